// Gradients: what is recorded, how to ask for derivatives of any order, and how to add an op of one's own.
//
// Every op whose inputs require a gradient records a Node. A node's backward function is itself written with
// differentiable ops, so asking with create_graph records the backward pass too and any order of derivative
// works. Recording changes no bit of any value. Traversal is iterative (a chain of 100,000 ops is fine) and
// runs nodes in reverse order of recording: contributions to one tensor are added in that order (inside one
// node: last input first).
#pragma once
#include <isobit/tensor.h>

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace isobit {

/// While alive, ops on this thread record nothing.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};
/// While alive, ops on this thread record again (inside a NoGrad).
class EnableGrad {
 public:
  explicit EnableGrad(bool on = true);
  ~EnableGrad();
  EnableGrad(const EnableGrad&) = delete;
  EnableGrad& operator=(const EnableGrad&) = delete;

 private:
  bool before_;
};
bool grad_enabled();

struct GradOptions {
  bool create_graph = false;  ///< record the backward pass, for higher derivatives
  bool keep_graph = false;    ///< keep saved tensors for a further pass (implied by create_graph)
  bool allow_unused =
      false;  ///< inputs that the output does not depend on give undefined tensors, not an Error
};
/// d(sum over outputs of <output, seed>)/d(inputs), one tensor per input; touches no tensor's grad(). A
/// missing seed is 1 for an output with one element. Inputs may be leaves or results of recorded ops.
std::vector<Tensor> grad(std::span<const Tensor> outputs, std::span<const Tensor> inputs,
                         std::span<const Tensor> seeds = {}, GradOptions options = {});
/// The same for one output.
std::vector<Tensor> grad(const Tensor& output, std::span<const Tensor> inputs, const Tensor& seed = {},
                         GradOptions options = {});
inline std::vector<Tensor> grad(const Tensor& output, std::initializer_list<Tensor> inputs,
                                const Tensor& seed = {}, GradOptions options = {}) {
  return grad(output, std::span(inputs.begin(), inputs.size()), seed, options);
}

// ---- recording (for ops; users' own ops use the same door)

/// A tensor kept for the backward pass. Remembers the version of its storage: get() throws Error, naming the
/// op, when the values were written to since, and after the graph was freed.
class SavedTensor {
 public:
  SavedTensor() = default;
  SavedTensor(
      const Tensor& t);  // NOLINT: a plain tensor converts, so that closures capture by writing its name

 private:
  friend class BackwardContext;
  friend class Node;
  Tensor tensor_;  // the values; cut off from the graph when it is the node's own output
  std::uint64_t version_ = 0;
  std::uint64_t checksum_ = 0;  // of storage that others can write
  bool own_output_ = false;
};

/// What a backward function gets.
class BackwardContext {
 public:
  /// Gradient of the node's output.
  const Tensor& dy() const { return *dy_; }
  /// Whether input i needs a gradient; results for others may be left undefined.
  bool needs(int i) const;
  /// Saved tensor i, in the order given to record(); with its history, so that derivatives of derivatives
  /// flow.
  Tensor saved(int i) const;

 private:
  friend class Node;
  friend struct Engine;
  BackwardContext(const Tensor& dy, Node& node) : dy_(&dy), node_(&node) {}
  const Tensor* dy_;
  Node* node_;
};

/// Returns one gradient per input (undefined = zero); each must have its input's shape and dtype.
using BackwardFunction = std::function<std::vector<Tensor>(const BackwardContext&)>;

/// Makes `output` the result of `op` on `inputs`: when recording is on and an input requires a gradient,
/// attaches a node; else returns `output` as it is. `output` must be fresh (no history). Saved tensors may be
/// inputs, `output` or others. Throws Error for an output that is not floating.
///
///   Tensor cube(const Tensor& x) {                       // a user's own op
///     Tensor y = my_kernel(x);
///     return record("cube", {x}, y, {x}, [](const BackwardContext& c) {
///       return std::vector{mul(c.dy(), mul_scalar(square(c.saved(0)), 3))};
///     });
///   }
Tensor record(const char* op, std::initializer_list<Tensor> inputs, Tensor output,
              std::initializer_list<Tensor> saved, BackwardFunction backward);
Tensor record(const char* op, std::span<const Tensor> inputs, Tensor output, std::span<const Tensor> saved,
              BackwardFunction backward);
/// True when record() would attach a node for these inputs: lets an op skip the cost of preparing.
bool recording(std::initializer_list<const Tensor*> inputs);

struct CaptureBody;

/// Collects the contributions to parameters' gradients apart, use by use, instead of adding them up: what
/// lets the parts of a batch be joined by the batch tree (isobit/parts.h). While alive, ops on this thread
/// that combine nothing but parameters (a reshape or cast of a weight) are marked, and backward() stops in
/// front of them and of the parameters.
class ContributionCapture {
 public:
  explicit ContributionCapture(std::span<const Tensor> parameters);
  ~ContributionCapture();
  ContributionCapture(const ContributionCapture&) = delete;
  ContributionCapture& operator=(const ContributionCapture&) = delete;
  /// What backward() brought so far, in the order in which it would have been added.
  std::vector<Tensor> contributions() const;
  /// Adds `joined` (one tensor per contribution, in that order) to the parameters' grads, by way of the
  /// marked ops.
  void finish(std::vector<Tensor> joined);

 private:
  std::unique_ptr<CaptureBody> body_;
  CaptureBody* before_;
};

}  // namespace isobit
