#include "core/graph_recording.h"

#include <isobit/error.h>

#include <atomic>

#include "core/tensor/impl.h"

namespace isobit {
namespace {

std::uint64_t next_number() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

}  // namespace

GraphRecording::GraphRecording(Device device) : device_(device), number_(next_number()) {}

void GraphRecording::add_key(RandomKey now, std::function<RandomKey()> next) {
  auto live = std::make_shared<RandomKey>(now);
  keys_.emplace_back(now, live);
  before_replay([live, next = std::move(next)] { *live = next(); });
}

const RandomKey* GraphRecording::live_key(const RandomKey& key, const char* op) const {
  for (const auto& [added, live] : keys_)
    if (added.seed == key.seed && added.stream == key.stream) return live.get();
  fail(op,
       "a graph is being recorded, and every replay would draw the same numbers again: draw outside of the "
       "step and pass the tensor in, or use nn::Dropout, whose keys advance");
}

void GraphRecording::touch(const Tensor& t, bool written) {
  const TensorImpl& self = *t.impl();
  if (makes(t) || !(self.storage->device == device_)) return;
  Kept& kept = kept_[self.storage];
  if (!kept.tensor.defined()) kept.tensor = share_storage(t, t.shape(), 0);
  kept.written = kept.written || written;
}

void GraphRecording::touch_gradient(const Tensor& leaf) {
  if (!makes(leaf)) leaves_.push_back(leaf);
}

bool GraphRecording::makes(const Tensor& t) const {
  return t.impl()->storage->recording == number_;
}

bool GraphRecording::computes(const Tensor& t) const {
  const auto it = kept_.find(t.impl()->storage);
  return makes(t) || (it != kept_.end() && it->second.written);
}

void GraphRecording::check_kept() const {
  for (const auto& [storage, kept] : kept_)
    if (storage->count.load() == 1)
      fail("graphed",
           "a tensor of before the step, {} {}, that the step reads or writes is there no more, and a replay "
           "would find it as it was: keep it, change it in place (copy_from), and let a step begin and end "
           "without gradients (optimizer.step() or zero_grad() at its end)",
           kept.tensor.dtype(), kept.tensor.shape());
}

void GraphRecording::finish() {
  const std::vector<Tensor> leaves = std::move(leaves_);  // which are kept no longer than this
  for (const Tensor& leaf : leaves)
    if (const Tensor gradient = leaf.grad(); gradient.defined() && makes(gradient))
      fail("graphed",
           "the step leaves a gradient at {} {}, and a replay would not: end it with optimizer.step() or "
           "zero_grad(), or return the gradient (grad())",
           leaf.dtype(), leaf.shape());
  check_kept();
}

void GraphRecording::prepare_replay() {
  check_kept();
  for (const auto& check : checks_) check();
  for (const auto& advance : advances_) advance();
  for (auto& [storage, kept] : kept_)
    if (kept.written) kept.tensor.mutable_raw();  // counts the write
}

}  // namespace isobit
