// What an operator of ONNX gets when it is computed, and the table of those that isobit computes.
#pragma once
#include <isobit/tensor.h>

#include <set>
#include <span>
#include <string_view>

#include "cli/onnx/model.h"

namespace isobit::cli::onnx {

/// One computation of a node. The accessors throw Error naming the operator where an attribute is of another
/// kind, or an input is missing; each notes what was asked for, so that finish() can refuse what nobody
/// looked at.
class Call {
 public:
  Call(const GraphNode& node, std::int64_t version, std::vector<Tensor> inputs, Device device)
      : node_(node), version_(version), inputs_(std::move(inputs)), device_(device) {}

  const std::string& op() const { return node_.op; }
  /// Of the operator set of the node's domain: which rules hold.
  std::int64_t version() const { return version_; }
  Device device() const { return device_; }

  /// Undefined where an optional input is left out.
  Tensor optional_input(std::size_t i);
  Tensor input(std::size_t i);
  std::size_t inputs() const { return inputs_.size(); }
  /// The elements of an input of type i64 (or i32), on the host.
  std::vector<std::int64_t> whole_numbers(std::size_t i);
  std::vector<double> real_numbers(std::size_t i);
  bool wants_output(std::size_t i) const { return i < node_.outputs.size() && !node_.outputs[i].empty(); }

  bool has(const char* name);
  std::int64_t integer(const char* name, std::int64_t missing);
  double real(const char* name, double missing);
  std::string text(const char* name, const char* missing);
  std::vector<std::int64_t> integers(const char* name);  ///< empty where it is missing
  std::vector<double> reals(const char* name);
  Tensor tensor(const char* name);
  /// Attributes that say nothing of the result.
  void ignore(std::initializer_list<const char*> names) { looked_at_.insert(names.begin(), names.end()); }

  /// Throws Unsupported for an attribute or input that the operator did not look at: it may mean something.
  void finish() const;

  /// Throws Error naming the operator: the model is wrong.
  template <class... Args>
  [[noreturn]] void wrong(fmt::format_string<Args...> format, Args&&... args) const {
    fail(node_.op, "{}", fmt::format(format, std::forward<Args>(args)...));
  }
  /// Throws Unsupported: sound, but isobit has no such thing.
  [[noreturn]] void lacks(std::string_view what) const {
    throw Unsupported(fmt::format("isobit has no {} of {}", what, node_.op));
  }

 private:
  const Attribute* find(const char* name);
  template <class T>
  const T* get(const char* name, const char* kind);

  const GraphNode& node_;
  std::int64_t version_;
  std::vector<Tensor> inputs_;
  Device device_;
  std::set<std::string, std::less<>> looked_at_;
  std::set<std::size_t> taken_;
};

/// `wanted`: convolutions, pooling, norms, losses and so on: a case with one of them that cannot be run is a
/// skip. Others serve what stands around them; a case that has none but those and cannot be run is not of
/// these operators.
struct Operator {
  std::string_view name;
  std::vector<Tensor> (*run)(Call&);
  bool wanted = true;
};

/// Null where isobit has no such operator.
const Operator* find_operator(const GraphNode& node);

// ---- the families, a file each
std::span<const Operator> conv_operators();
std::span<const Operator> pool_operators();
std::span<const Operator> pad_operators();
std::span<const Operator> norm_operators();
std::span<const Operator> row_operators();
std::span<const Operator> loss_operators();
std::span<const Operator> optimizer_operators();
std::span<const Operator> resize_operators();
std::span<const Operator> elementwise_operators();
std::span<const Operator> shape_operators();

}  // namespace isobit::cli::onnx
