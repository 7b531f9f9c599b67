// Parts of a batch, joined by the batch tree.
#include <isobit/ops.h>
#include <isobit/parts.h>

#include <bit>

namespace isobit {

namespace {
constexpr std::int64_t smallest_part = 16;  // the largest leaf of the batch tree (core/numerics/order.h)
thread_local const Part* part_in_force = nullptr;

std::int64_t slot_of(std::int64_t length) {
  return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(length)));
}

void check(const char* op, const Part& p) {
  if (p.first < 0 || p.length <= 0 || p.whole <= 0 || p.length > p.whole || p.first > p.whole - p.length)
    fail(op, "samples [{}, {} + {}) are no part of a batch of {}", p.first, p.first, p.length, p.whole);
}
}  // namespace

PartScope::PartScope(Part part) : before_(part_in_force), part_(part) {
  check("PartScope", part);
  part_in_force = &part_;
}
PartScope::~PartScope() {
  part_in_force = before_;
}

bool in_part() {
  return part_in_force != nullptr;
}

Part current_part(const char* op, std::int64_t batch) {
  if (part_in_force == nullptr) return {0, batch, batch};
  if (part_in_force->length != batch)
    fail(op, "got {} samples inside a PartScope of {} (samples [{}, {}) of {})", batch, part_in_force->length,
         part_in_force->first, part_in_force->first + part_in_force->length, part_in_force->whole);
  return *part_in_force;
}

std::vector<Part> split_batch(std::int64_t whole, std::int64_t length) {
  if (whole <= 0 || length <= 0)
    fail("split_batch", "a batch of {} in parts of {}: both must be positive", whole, length);
  if (length < whole && (!std::has_single_bit(static_cast<std::uint64_t>(length)) || length < smallest_part))
    fail("split_batch",
         "parts of {} would change the answer: a part's length must be a power of two and at least {}",
         length, smallest_part);
  std::vector<Part> parts;
  for (std::int64_t first = 0; first < whole; first += std::min(length, whole - first))
    parts.push_back({first, std::min(length, whole - first), whole});
  return parts;
}

struct BinaryCounter::Body {
  struct Entry {
    std::int64_t first, slot;  // an aligned interval of the tree
    std::vector<Tensor> values;
  };
  std::vector<Entry> stack;
  std::int64_t next = 0, whole = 0;

  /// left + right, entry by entry.
  void merge_top() {
    const NoGrad no_grad;
    Entry right = std::move(stack.back());
    stack.pop_back();
    Entry& left = stack.back();
    for (std::size_t i = 0; i < left.values.size(); ++i)
      left.values[i] = add(left.values[i], right.values[i]);
    left.slot *= 2;
  }
};

BinaryCounter::BinaryCounter() : body_(std::make_unique<Body>()) {}
BinaryCounter::~BinaryCounter() = default;

void BinaryCounter::push(const Part& part, std::vector<Tensor> values) {
  check("BinaryCounter", part);
  Body& b = *body_;
  const std::int64_t slot = slot_of(part.length);
  if (part.first != b.next)
    fail("BinaryCounter", "the part begins at sample {}, expected {}", part.first, b.next);
  if (b.next > 0 && part.whole != b.whole)
    fail("BinaryCounter", "a part of a batch of {} after one of a batch of {}", part.whole, b.whole);
  const bool last = part.first + part.length == part.whole;
  if (part.first % slot != 0 || (!last && (slot != part.length || slot < smallest_part)))
    fail("BinaryCounter",
         "samples [{}, {}) of {} are no aligned part: lengths must be powers of two of at least {} (the last "
         "may be shorter) and "
         "begin at multiples of themselves",
         part.first, part.first + part.length, part.whole, smallest_part);
  if (!b.stack.empty()) {
    const auto& known = b.stack.front().values;
    if (known.size() != values.size())
      fail("BinaryCounter", "the part at sample {} brings {} values, those before {}", part.first,
           values.size(), known.size());
    for (std::size_t i = 0; i < values.size(); ++i)
      if (!(values[i].shape() == known[i].shape()))
        fail("BinaryCounter", "value {} of the part at sample {} has shape {}, before {}", i, part.first,
             values[i].shape(), known[i].shape());
  }
  b.whole = part.whole;
  b.next = part.first + part.length;
  b.stack.push_back({part.first, slot, std::move(values)});
  while (b.stack.size() > 1) {
    const auto &left = b.stack[b.stack.size() - 2], &right = b.stack.back();
    if (left.slot != right.slot || left.first % (2 * left.slot) != 0) break;
    b.merge_top();
  }
}

std::vector<Tensor> BinaryCounter::take() {
  Body& b = *body_;
  if (b.stack.empty() || b.next != b.whole)
    fail("BinaryCounter", "the parts so far reach sample {} of {}", b.next, b.whole);
  while (b.stack.size() > 1) b.merge_top();
  std::vector<Tensor> values = std::move(b.stack.front().values);
  b = Body();
  return values;
}

Tensor backward_in_parts(std::span<const Part> parts, std::span<const Tensor> parameters,
                         const std::function<Tensor(const Part&)>& loss) {
  if (parts.empty()) fail("backward_in_parts", "no parts");
  BinaryCounter counter;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const PartScope scope(parts[i]);
    ContributionCapture capture(parameters);
    const Tensor value = loss(parts[i]);
    value.backward();
    std::vector<Tensor> values = capture.contributions();
    values.push_back(value.detach());
    counter.push(parts[i], std::move(values));
    if (i + 1 < parts.size()) continue;
    std::vector<Tensor> joined = counter.take();
    Tensor total = std::move(joined.back());
    joined.pop_back();
    capture.finish(std::move(joined));
    return total;
  }
  return {};
}

}  // namespace isobit
