// Parts of a batch: gradient accumulation and data parallelism that do not change the answer.
//
// A batch may be computed in parts as long as each begins at a multiple of its power-of-two length (the last
// may be shorter) and holds at least 16 samples: then the joined gradients are the bits of the whole batch
// (docs/numerics.md, batch tree). Each part states where it lies; losses divide once, by the size of the
// whole; random draws are keyed by the index in the whole batch; gradients of the parts are joined by a
// binary counter, the uses of a shared parameter apart.
#pragma once
#include <isobit/autograd.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace isobit {

/// Samples [first, first + length) of a batch of `whole`.
struct Part {
  std::int64_t first = 0, length = 0, whole = 0;
};

/// While alive, losses and random layers on this thread take the batch they see as this part of the whole.
/// Throws Error unless 0 <= first, length > 0, first + length <= whole.
class PartScope {
 public:
  explicit PartScope(Part part);
  ~PartScope();
  PartScope(const PartScope&) = delete;
  PartScope& operator=(const PartScope&) = delete;

 private:
  const Part* before_;
  Part part_;
};
/// The part in force on this thread, or {0, batch, batch}. Throws Error(op) when a part is in force whose
/// length is not `batch`.
Part current_part(const char* op, std::int64_t batch);

/// True while a PartScope lives on this thread.
bool in_part();

/// The parts of a batch of `whole` in pieces of `length`; throws Error unless length is a power of two and at
/// least 16, or length >= whole.
std::vector<Part> split_batch(std::int64_t whole, std::int64_t length);

/// Joins values of consecutive parts by the batch tree: pushing parts in order and taking gives the same bits
/// as the tree over the whole batch. Values are lists (one entry per use of each parameter) added entry by
/// entry.
class BinaryCounter {
 public:
  BinaryCounter();
  ~BinaryCounter();
  /// Throws Error when parts do not follow each other, are not aligned, or the lists differ in length or
  /// shape.
  void push(const Part& part, std::vector<Tensor> values);
  /// The joined list; the counter is empty afterwards. Throws Error when the parts do not cover the whole.
  std::vector<Tensor> take();

 private:
  struct Body;
  std::unique_ptr<Body> body_;
};

/// Computes a batch in parts and leaves the whole batch's gradient in every parameter's grad() (added to what
/// is there). `loss` gets a part and returns its loss (already divided by the whole: the losses of
/// isobit/ops.h do). Returns the joined loss. An exception leaves all grads untouched.
Tensor backward_in_parts(std::span<const Part> parts, std::span<const Tensor> parameters,
                         const std::function<Tensor(const Part&)>& loss);

}  // namespace isobit
