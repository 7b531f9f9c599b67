// ContributionCapture: the parts of a batch bring their contributions one by one, and the joined ones are
// sent on.
#include "core/autograd/capture.h"

#include <algorithm>

#include "core/autograd/engine.h"
#include "core/tensor/impl.h"

namespace isobit {

namespace {
thread_local CaptureBody* in_force = nullptr;
}

bool capture_stops(const Edge& edge) {
  if (in_force == nullptr) return false;
  return edge.node ? edge.node->parameters_only : in_force->parameters.count(edge.leaf.impl()) > 0;
}

void capture_keep(Contribution contribution) {
  in_force->contributions.push_back(std::move(contribution));
}

bool capture_marks(std::span<const Tensor> inputs, const Tensor& output) {
  if (in_force == nullptr) return false;
  std::int64_t widest = 0;
  for (const Tensor& t : inputs) {
    if (!t.defined()) continue;
    const TensorImpl* impl = t.impl();
    if (!(impl->node ? impl->node->parameters_only : in_force->parameters.count(impl) > 0)) return false;
    widest = std::max(widest, t.numel());
  }
  return output.numel() <= widest;
}

ContributionCapture::ContributionCapture(std::span<const Tensor> parameters)
    : body_(std::make_unique<CaptureBody>()), before_(in_force) {
  for (const Tensor& p : parameters) {
    if (!p.defined() || !p.is_leaf() || !p.requires_grad())
      fail("ContributionCapture", "a parameter must be a leaf that requires a gradient");
    body_->parameters.insert(p.impl());
    body_->keep.push_back(p);
  }
  in_force = body_.get();
}

ContributionCapture::~ContributionCapture() {
  in_force = before_;
}

std::vector<Tensor> ContributionCapture::contributions() const {
  std::vector<Tensor> values;
  values.reserve(body_->contributions.size());
  for (const Contribution& c : body_->contributions) values.push_back(c.value);
  return values;
}

void ContributionCapture::finish(std::vector<Tensor> joined) {
  std::vector<Contribution> start = std::move(body_->contributions);
  body_->contributions.clear();
  if (joined.size() != start.size())
    fail("ContributionCapture", "{} joined contributions for {} that were captured", joined.size(),
         start.size());
  for (std::size_t i = 0; i < start.size(); ++i) {
    if (!joined[i].defined() || !(joined[i].shape() == start[i].value.shape()))
      fail("ContributionCapture", "joined contribution {} does not have the captured shape {}", i,
           start[i].value.shape());
    start[i].value = std::move(joined[i]);
  }
  struct Lift {  // what remains to be run is the parameters' own part of the graph: nothing stops there now
    CaptureBody* held = in_force;
    Lift() { in_force = nullptr; }
    ~Lift() { in_force = held; }
  } lift;
  Engine::commit(Engine::run(std::move(start), {}, false, false).leaves);
}

}  // namespace isobit
