// Layers computed by PyTorch or ONNX's reference: operands go there and results come back in files of
// NumPy's.
#include "cli/compare_peer.h"

#include <isobit/error.h>
#include <isobit/npz.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "benchmarks/peer.h"

namespace isobit::cli {
namespace {

/// Removed with all that is in it.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "isobit-compare-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) fail("compare", "no temporary folder could be made ({})", name);
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string file(const char* name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

struct Library {
  bench::Peer peer;
  Folder folder;
  Library(const std::string& name, const std::vector<std::string>& command)
      : peer(name, command, threads()) {}
};

}  // namespace

std::pair<compare::Implementation, std::string> other_library(const std::string& library,
                                                              std::vector<std::string>& refused) {
  const char* named = std::getenv("ISOBIT_PYTHON");
  const std::string python = named != nullptr && *named != '\0' ? named : "python3";
  auto other =
      std::make_shared<Library>(library, std::vector<std::string>{python, "-c", compare_script(), library});
  if (!other->peer.available()) fail("compare", "--against {}: {}", library, other->peer.why());
  const std::string name = other->peer.name();
  return {[other, &refused](const compare::LayerCall& call) -> nn::StateDict {
            if (call.problems.empty()) return {};
            const compare::Problem& y = call.problems.front();
            io::NamedTensors operands{{"x", call.x}};
            if (y.w.defined()) operands.emplace_back("w", y.w);
            if (y.b.defined()) operands.emplace_back("b", y.b);
            // The gradient in front of a relu: the other's y would let other elements through.
            if (call.problems.size() > 1) operands.emplace_back("dy", call.problems[1].dy);
            const std::string in = other->folder.file("in.npz"), out = other->folder.file("out.npz");
            io::write_npz(in, operands);
            const nlohmann::json answer =
                other->peer.ask({{"in", in}, {"out", out}, {"problem", nlohmann::json::parse(to_json(y))}});
            if (answer.contains("refused")) {
              refused.push_back(fmt::format("{}: {}", call.path, answer["refused"].dump()));
              return {};
            }
            return io::read_npz(out);
          },
          name};
}

}  // namespace isobit::cli
