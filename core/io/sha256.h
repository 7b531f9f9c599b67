// SHA-256 (FIPS 180-4), by OpenSSL.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace isobit::io {

/// Feeds bytes, then gives the digest in 64 lower-case hexadecimal digits. One object hashes one message:
/// update() or hex() after hex() throws Error.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(const void* bytes, std::size_t count);
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace isobit::io
