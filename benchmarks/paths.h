// What the build knows of places (written by benchmarks/CMakeLists.txt).
#pragma once
#include <string>

namespace isobit::bench {

/// The peers' programs, empty where this build has none.
std::string onednn_peer_program();
std::string openblas_peer_program();
std::string plain_peer_program();

}  // namespace isobit::bench
