// The tape: a node per recorded op.
#pragma once
#include <isobit/arithmetic.h>
#include <isobit/autograd.h>

#include <memory>
#include <vector>

namespace isobit {

/// Where a gradient goes: to the node that made the input, or to a leaf, or (neither) nowhere.
struct Edge {
  std::shared_ptr<Node> node;
  Tensor leaf;
  Shape shape;
  DType dtype = DType::f32;
  bool wanted() const { return node != nullptr || leaf.defined(); }
};

class Node : public std::enable_shared_from_this<Node> {
 public:
  Node(const char* op, std::span<const Tensor> inputs, const Tensor& output, std::span<const Tensor> saved,
       BackwardFunction backward);
  /// Iterative: a chain of any length is taken apart without deep recursion.
  ~Node();

  /// Runs hooks' subject, the backward function; one gradient per edge. Throws Error for a graph already
  /// freed, a stale saved tensor, or a gradient of the wrong form.
  std::vector<Tensor> run(const Tensor& dy);
  /// Drops what the backward pass needed.
  void release();

  const char* op;
  std::uint64_t sequence;  ///< of recording, growing
  std::vector<Edge> edges;
  Shape shape;  ///< of the output
  DType dtype;
  bool parameters_only = false;  ///< in a ContributionCapture: made of nothing but parameters
  std::vector<std::function<Tensor(const Tensor&)>> hooks;

 private:
  friend class BackwardContext;
  Tensor saved(int i);
  std::vector<SavedTensor> saved_;
  BackwardFunction backward_;
  Math math_ = current_math();  // of the forward pass, and so of the backward pass
  bool released_ = false;
};

/// The leaf or node a gradient of t goes to.
Edge edge_of(const Tensor& t);
/// On by default, per thread.
bool& grad_mode();

}  // namespace isobit
