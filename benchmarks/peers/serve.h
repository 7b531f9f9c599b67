// What the peers in C++ share: the protocol's loop (docs/benchmarks.md). Nothing of isobit is linked here.
#pragma once
#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace peers {

/// One way of a library to compute the case that is open.
class Variant {
 public:
  virtual ~Variant() = default;
  virtual std::string name() const = 0;
  /// What the library says of itself.
  virtual std::string implementation() const = 0;
  /// Once, before the first run that keeps its weights.
  virtual void prepare_weights() = 0;
  /// The call that is timed; `cached`: the weights are those of the last call.
  virtual void run(bool cached) = 0;
  /// The result in isobit's layout.
  virtual void write(const std::string& path) = 0;
};

/// Why the library cannot do what is asked.
struct Refused {
  std::string why;
};

/// Opens a case; may throw Refused.
using Open = std::vector<std::unique_ptr<Variant>> (*)(const nlohmann::json& question);

/// Says that it is ready and answers until its input ends; returns the exit code.
int serve(const std::string& name, Open open);

/// The elements of an operand {"path", "shape", "dtype"}, as bytes.
std::vector<char> read_file(const nlohmann::json& operand);
void write_file(const std::string& path, const void* data, std::size_t bytes);

}  // namespace peers
