// ONNX files as plain values: models (the nodes of a graph) and tensors. The only part that knows Protocol
// Buffers is model.cpp. The formats are those of onnx.proto (IR version 3 to 13).
//
// A file that is damaged gives an isobit::Error which names it; what is sound but not for isobit (int8,
// strings, sequences) gives Unsupported.
#pragma once
#include <isobit/tensor.h>

#include <cstdint>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

namespace isobit::cli::onnx {

/// Sound, but nothing that isobit has: a case is skipped for it. what() is the reason, the same words for the
/// same reason, so that skips can be counted by it.
class Unsupported : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// monostate: of a kind that no operator here takes (a graph, a list of tensors, a tensor of an unsupported
/// type).
using Attribute = std::variant<std::monostate, std::int64_t, double, std::string, std::vector<std::int64_t>,
                               std::vector<double>, std::vector<std::string>, Tensor>;

struct GraphNode {
  std::string domain, op;                    ///< domain "" is ONNX's own
  std::vector<std::string> inputs, outputs;  ///< "" where an optional one is left out
  std::map<std::string, Attribute> attributes;
};

struct Model {
  /// An input or output of the graph. `unsupported` holds the reason where it is no tensor of a type of
  /// isobit's.
  struct Value {
    std::string name, unsupported;
  };
  std::vector<GraphNode> nodes;        ///< in an order in which they can be computed
  std::vector<Value> inputs, outputs;  ///< inputs without initializers
  std::map<std::string, Tensor> initializers;
  std::string unsupported;                     ///< of an initializer: why it is not among them
  std::map<std::string, std::int64_t> opsets;  ///< version by domain
};

/// `name` is what errors call the bytes. Never throws Unsupported: what a model holds of that stands in it.
Model decode_model(std::span<const std::uint8_t> bytes, const std::string& name);
/// On the CPU. Any of isobit's element types; strings, 8-bit integers with a sign and so on are Unsupported.
Tensor decode_tensor(std::span<const std::uint8_t> bytes, const std::string& name);

/// The whole file. Error when it cannot be read or exceeds 1 GiB.
std::vector<std::uint8_t> read_bytes(const std::string& path);

}  // namespace isobit::cli::onnx
