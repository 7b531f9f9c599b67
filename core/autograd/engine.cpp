// The backward pass: nodes run in reverse order of recording (their numbers grow along every path, so that
// order is a topological one), one after the other from a heap: no recursion, whatever the depth of the
// graph.
#include "core/autograd/engine.h"

#include <isobit/ops.h>

#include <algorithm>
#include <limits>
#include <queue>
#include <unordered_map>

#include "core/tensor/impl.h"

namespace isobit {

namespace {

Tensor run_hooks(const std::vector<std::function<Tensor(const Tensor&)>>& hooks, Tensor gradient,
                 const char* op) {
  for (std::size_t i = 0; i < hooks.size(); ++i) {
    const auto hook = hooks[i];  // a copy: the hook may register another
    Tensor replaced = hook(gradient);
    if (!replaced.defined()) continue;
    if (!(replaced.shape() == gradient.shape()) || replaced.dtype() != gradient.dtype())
      fail(op, "a hook returned {} {} for a gradient {} {}", replaced.dtype(), replaced.shape(),
           gradient.dtype(), gradient.shape());
    gradient = std::move(replaced);
  }
  return gradient;
}

/// An entry of the heap: a node that waits for its turn, or a contribution that is delivered at its number.
struct Event {
  std::uint64_t sequence;
  std::uint64_t order;  // of equal numbers the earlier first
  std::shared_ptr<Node> node;
  std::size_t delivery = 0;
  bool operator<(const Event& o) const {
    return sequence != o.sequence ? sequence < o.sequence : order > o.order;
  }
};

class Pass {
 public:
  Pass(std::vector<Contribution> start, std::span<const Edge> wanted, bool keep_graph)
      : start_(std::move(start)), keep_graph_(keep_graph) {
    result_.wanted.resize(wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i)
      if (wanted[i].node) asked_[wanted[i].node.get()].push_back(i);
    for (std::size_t i = 0; i < start_.size(); ++i) heap_.push({start_[i].sequence, order_++, nullptr, i});
  }

  Engine::Result run(std::span<const Edge> wanted) {
    while (!heap_.empty()) {
      const Event event = heap_.top();
      heap_.pop();
      if (event.node)
        run_node(*event.node);
      else
        route(start_[event.delivery].target, event.sequence, std::move(start_[event.delivery].value));
    }
    for (auto& [leaf, gradient] : result_.leaves) {
      const auto& meta = leaf.impl()->meta;
      if (meta && !meta->hooks.empty()) gradient = run_hooks(meta->hooks, gradient, "leaf");
    }
    for (std::size_t i = 0; i < wanted.size(); ++i)
      if (wanted[i].leaf.defined())
        if (const auto at = leaf_at_.find(wanted[i].leaf.impl()); at != leaf_at_.end())
          result_.wanted[i] = result_.leaves[at->second].second;
    return std::move(result_);
  }

 private:
  void run_node(Node& node) {
    auto pending = pending_.extract(&node);
    Tensor dy = std::move(pending.mapped());
    if (!node.hooks.empty()) dy = run_hooks(node.hooks, std::move(dy), node.op);
    if (const auto at = asked_.find(&node); at != asked_.end())
      for (std::size_t i : at->second) result_.wanted[i] = dy;
    std::vector<Tensor> gradients = node.run(dy);
    if (!keep_graph_) node.release();
    // Inside a node the last input's contribution comes first: reverse order, as between nodes.
    for (std::size_t i = gradients.size(); i-- > 0;) {
      const Edge& edge = node.edges[i];
      if (gradients[i].defined() && edge.wanted()) route(edge, node.sequence, std::move(gradients[i]));
    }
  }

  void route(const Edge& edge, std::uint64_t sequence, Tensor value) {
    if (capture_stops(edge))
      capture_keep({edge, sequence, std::move(value)});
    else
      deliver(edge, std::move(value));
  }

  void deliver(const Edge& edge, Tensor value) {
    if (edge.node) {
      Tensor& sum = pending_[edge.node.get()];
      if (sum.defined()) {
        sum = add(sum, value);
      } else {
        sum = std::move(value);
        heap_.push({edge.node->sequence, order_++, edge.node});
      }
      return;
    }
    const auto [at, fresh] = leaf_at_.try_emplace(edge.leaf.impl(), result_.leaves.size());
    if (fresh)
      result_.leaves.emplace_back(edge.leaf, std::move(value));
    else
      result_.leaves[at->second].second = add(result_.leaves[at->second].second, value);
  }

  std::vector<Contribution> start_;
  bool keep_graph_;
  std::uint64_t order_ = 0;
  std::priority_queue<Event> heap_;
  std::unordered_map<Node*, Tensor> pending_;
  std::unordered_map<Node*, std::vector<std::size_t>> asked_;
  std::unordered_map<TensorImpl*, std::size_t> leaf_at_;
  Engine::Result result_;
};

}  // namespace

std::vector<Contribution> Engine::seeds(std::span<const Tensor> outputs, std::span<const Tensor> seeds,
                                        const char* op) {
  if (!seeds.empty() && seeds.size() != outputs.size())
    fail(op, "{} seeds for {} outputs", seeds.size(), outputs.size());
  std::vector<Contribution> start;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Tensor& y = outputs[i];
    body(y, op);
    if (!y.requires_grad())
      fail(op, "the output {} {} depends on nothing that requires a gradient", y.dtype(), y.shape());
    Tensor seed = seeds.empty() ? Tensor() : seeds[i];
    if (!seed.defined()) {
      if (y.numel() != 1)
        fail(op,
             "an output of shape {} has {} elements; give a seed of that shape, or reduce it to one element",
             y.shape(), y.numel());
      seed = ones_like(y);
    }
    if (!(seed.shape() == y.shape()) || seed.dtype() != y.dtype())
      fail(op, "seed {} {} for an output {} {}", seed.dtype(), seed.shape(), y.dtype(), y.shape());
    require_same_device(op, {&y, &seed});
    start.push_back({edge_of(y), std::numeric_limits<std::uint64_t>::max(), seed});
  }
  return start;
}

Engine::Result Engine::run(std::vector<Contribution> start, std::span<const Edge> wanted, bool create_graph,
                           bool keep_graph) {
  const EnableGrad mode(create_graph);
  return Pass(std::move(start), wanted, keep_graph || create_graph).run(wanted);
}

void Engine::commit(std::vector<std::pair<Tensor, Tensor>> leaves) {
  const NoGrad no_grad;
  for (auto& [leaf, gradient] : leaves) {
    const Tensor before = leaf.grad();
    // A gradient may share its storage with another's (add hands one dy to both sides); a leaf's grad is its
    // own.
    if (before.defined())
      gradient = add(before, gradient);
    else if (gradient.impl()->count > 1 || gradient.impl()->storage->count > 1 || !gradient.is_leaf())
      gradient = gradient.clone();
  }
  for (auto& [leaf, gradient] : leaves) leaf.set_grad(std::move(gradient));
}

void Tensor::backward(const Tensor& seed, bool keep_graph) const {
  const Tensor outputs[] = {*this}, given[] = {seed};
  auto start = Engine::seeds(outputs, given, "backward");
  Engine::commit(Engine::run(std::move(start), {}, false, keep_graph).leaves);
}

std::vector<Tensor> grad(std::span<const Tensor> outputs, std::span<const Tensor> inputs,
                         std::span<const Tensor> seeds, GradOptions options) {
  std::vector<Edge> wanted;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    body(inputs[i], "grad");
    wanted.push_back(edge_of(inputs[i]));
    if (!wanted.back().wanted())
      fail("grad", "input {} {} does not require a gradient", i, inputs[i].shape());
  }
  auto start = Engine::seeds(outputs, seeds, "grad");
  auto result = Engine::run(std::move(start), wanted, options.create_graph, options.keep_graph).wanted;
  for (std::size_t i = 0; i < result.size(); ++i)
    if (!result[i].defined() && !options.allow_unused)
      fail("grad", "the outputs do not depend on input {} {}; pass allow_unused if that is meant", i,
           inputs[i].shape());
  return result;
}

std::vector<Tensor> grad(const Tensor& output, std::span<const Tensor> inputs, const Tensor& seed,
                         GradOptions options) {
  const Tensor outputs[] = {output}, given[] = {seed};
  return grad(std::span(outputs), inputs, std::span(given), options);
}

}  // namespace isobit
