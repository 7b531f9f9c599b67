// Recording: nodes, saved tensors, and their release.
#include "core/autograd/node.h"

#include <atomic>
#include <cstring>

#include "core/autograd/capture.h"
#include "core/graph_recording.h"
#include "core/tensor/impl.h"

namespace isobit {

namespace {

/// A hash of the elements, for storage whose writes nobody counts. Never 0, which says that none was taken.
std::uint64_t checksum(const Tensor& t) {
  std::vector<char> bytes(static_cast<std::size_t>(t.bytes()));
  t.copy_to_host(bytes.data());
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (unsigned char c : bytes) hash = (hash ^ c) * 0x100000001b3u;
  return hash == 0 ? 1 : hash;
}

std::uint64_t next_sequence() {
  static std::atomic<std::uint64_t> counter{0};
  return counter.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

bool& grad_mode() {
  static thread_local bool on = true;
  return on;
}
NoGrad::NoGrad() : before_(grad_mode()) {
  grad_mode() = false;
}
NoGrad::~NoGrad() {
  grad_mode() = before_;
}
EnableGrad::EnableGrad(bool on) : before_(grad_mode()) {
  grad_mode() = on;
}
EnableGrad::~EnableGrad() {
  grad_mode() = before_;
}
bool grad_enabled() {
  return grad_mode();
}

Edge edge_of(const Tensor& t) {
  if (!t.defined()) return {};
  const TensorImpl& impl = *t.impl();
  Edge edge{impl.node, {}, impl.shape, impl.dtype};
  if (!edge.node && impl.meta && impl.meta->requires_grad) edge.leaf = t;
  return edge;
}

bool recording(std::initializer_list<const Tensor*> inputs) {
  if (!grad_mode()) return false;
  for (const Tensor* t : inputs)
    if (t->defined() && t->requires_grad()) return true;
  return false;
}

SavedTensor::SavedTensor(const Tensor& t) : tensor_(t) {
  if (!t.defined()) return;
  version_ = t.version();
  if (t.impl()->storage->others_write()) checksum_ = checksum(t);
}

Node::Node(const char* name, std::span<const Tensor> inputs, const Tensor& output,
           std::span<const Tensor> saved, BackwardFunction backward)
    : op(name),
      sequence(next_sequence()),
      shape(output.shape()),
      dtype(output.dtype()),
      backward_(std::move(backward)) {
  edges.reserve(inputs.size());
  for (const Tensor& t : inputs) edges.push_back(edge_of(t));
  saved_.reserve(saved.size());
  for (const Tensor& t : saved) {
    const bool own = t.defined() && t.impl() == output.impl();
    // The output would hold its node and the node its output: a cycle that is never freed. Keep the values
    // only.
    saved_.emplace_back(own ? share_storage(t, t.shape(), 0) : t);
    saved_.back().own_output_ = own;
  }
  parameters_only = capture_marks(inputs, output);
}

namespace {
/// What a dying node leaves behind, taken apart by the outermost destructor.
struct Remains {
  std::vector<Edge> edges;
  std::vector<SavedTensor> saved;
  BackwardFunction backward;
};
thread_local std::vector<Remains>* remains = nullptr;
}  // namespace

Node::~Node() {
  Remains mine{std::move(edges), std::move(saved_), std::move(backward_)};
  if (remains != nullptr) {
    remains->push_back(std::move(mine));
    return;
  }
  std::vector<Remains> list;
  remains = &list;
  list.push_back(std::move(mine));
  while (!list.empty()) {
    const Remains dying = std::move(list.back());
    list.pop_back();
  }
  remains = nullptr;
}

void Node::release() {
  released_ = true;
  saved_.clear();
  backward_ = nullptr;
}

Tensor Node::saved(int i) {
  if (i < 0 || i >= static_cast<int>(saved_.size()))
    fail(op, "backward asked for saved tensor {}, {} were saved", i, saved_.size());
  const SavedTensor& s = saved_[i];
  if (!s.tensor_.defined()) return {};
  if (s.tensor_.version() != s.version_)
    fail(op,
         "backward needs a {} {} tensor that was written to since it was saved (version {} then, {} now); "
         "write to a clone() "
         "instead",
         s.tensor_.dtype(), s.tensor_.shape(), s.version_, s.tensor_.version());
  if (s.checksum_ != 0 && checksum(s.tensor_) != s.checksum_)
    fail(op, "backward needs a {} {} tensor in memory of others that changed since it was saved",
         s.tensor_.dtype(), s.tensor_.shape());
  if (!s.own_output_) return s.tensor_;
  Tensor output = share_storage(s.tensor_, s.tensor_.shape(), 0);
  output.impl()->node = shared_from_this();
  return output;
}

bool BackwardContext::needs(int i) const {
  return node_->edges.at(i).wanted();
}
Tensor BackwardContext::saved(int i) const {
  return node_->saved(i);
}

std::vector<Tensor> Node::run(const Tensor& dy) {
  if (released_)
    fail(op,
         "backward passed here before and freed what it had saved; pass keep_graph to the first pass to go "
         "through twice");
  const MathScope as_forward(math_);
  std::vector<Tensor> gradients = backward_(BackwardContext(dy, *this));
  if (gradients.size() != edges.size())
    fail(op, "backward returned {} gradients for {} inputs", gradients.size(), edges.size());
  for (std::size_t i = 0; i < edges.size(); ++i) {
    const Tensor& g = gradients[i];
    if (!g.defined() || !edges[i].wanted()) continue;
    if (!(g.shape() == edges[i].shape) || g.dtype() != edges[i].dtype)
      fail(op, "backward returned a gradient {} {} for input {}, which is {} {}", g.dtype(), g.shape(), i,
           edges[i].dtype, edges[i].shape);
  }
  return gradients;
}

Tensor record(const char* op, std::span<const Tensor> inputs, Tensor output, std::span<const Tensor> saved,
              BackwardFunction backward) {
  if (!grad_mode()) return output;
  bool wanted = false;
  for (const Tensor& t : inputs) wanted = wanted || (t.defined() && t.requires_grad());
  if (!wanted) return output;
  require_floating(op, output);
  if (output.impl()->node || output.requires_grad())
    fail(op, "record() needs a fresh output, this one has a history");
  output.impl()->node = std::make_shared<Node>(op, inputs, output, saved, std::move(backward));
  return output;
}

Tensor record(const char* op, std::initializer_list<Tensor> inputs, Tensor output,
              std::initializer_list<Tensor> saved, BackwardFunction backward) {
  return record(op, std::span(inputs.begin(), inputs.size()), std::move(output),
                std::span(saved.begin(), saved.size()), std::move(backward));
}

// ---- the tensor's side

bool Tensor::requires_grad() const {
  const TensorImpl& self = body(*this, "requires_grad");
  return self.node != nullptr || (self.meta && self.meta->requires_grad);
}

Tensor& Tensor::set_requires_grad(bool on) {
  TensorImpl& self = body(*this, "set_requires_grad");
  if (on) require_floating("set_requires_grad", *this);
  if (self.node)
    fail("set_requires_grad", "the tensor is the result of {}; detach() it first", self.node->op);
  self.autograd().requires_grad = on;
  return *this;
}

Tensor Tensor::grad() const {
  const TensorImpl& self = body(*this, "grad");
  return self.meta ? self.meta->grad : Tensor();
}

void Tensor::set_grad(Tensor g) {
  TensorImpl& self = body(*this, "set_grad");
  if (g.defined()) {
    if (!(g.shape() == self.shape) || g.dtype() != self.dtype)
      fail("set_grad", "gradient {} {} for a tensor {} {}", g.dtype(), g.shape(), self.dtype, self.shape);
    require_same_device("set_grad", {this, &g});
  } else if (!self.meta) {
    return;
  }
  if (GraphRecording* r = GraphRecording::current()) [[unlikely]]
    r->touch_gradient(*this);
  self.autograd().grad = std::move(g);
}

Tensor Tensor::detach() const {
  body(*this, "detach");
  return share_storage(*this, shape(), 0);
}

bool Tensor::is_leaf() const {
  return body(*this, "is_leaf").node == nullptr;
}

void Tensor::register_hook(std::function<Tensor(const Tensor&)> hook) const {
  TensorImpl& self = body(*this, "register_hook");
  if (!requires_grad()) fail("register_hook", "the tensor {} takes no part in gradients", shape());
  (self.node ? self.node->hooks : self.autograd().hooks).push_back(std::move(hook));
}

}  // namespace isobit
