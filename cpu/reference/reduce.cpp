// The definition of reductions over axes of a dense tensor. The order is ReduceGeometry's: lanes over the
// last axis make a term, a blocked chain goes over the other reduced axes in row-major order, and the batch
// tree over axis 0.
#include <vector>

#include "cpu/reference/order.h"
#include "cpu/reference/reference.h"
#include "cpu/reference/types.h"

namespace isobit::cpu::reference {
namespace {

// Some axes of a tensor, to be walked in row-major order.
class Axes {
 public:
  void add(std::int64_t extent, std::int64_t stride) {
    extent_.push_back(extent);
    stride_.push_back(stride);
    size_ *= extent;
  }
  std::int64_t size() const { return size_; }
  /// Where the i-th index lies, in elements.
  std::int64_t offset(std::int64_t i) const {
    std::int64_t sum = 0;
    for (std::size_t a = extent_.size(); a-- > 0;) {
      sum += i % extent_[a] * stride_[a];
      i /= extent_[a];
    }
    return sum;
  }

 private:
  std::vector<std::int64_t> extent_, stride_;
  std::int64_t size_ = 1;
};

struct Plan {
  explicit Plan(const ReduceGeometry& g) {
    std::int64_t stride = 1;
    std::vector<std::int64_t> strides(static_cast<std::size_t>(g.rank));
    for (int a = g.rank - 1; a >= 0; --a) {
      strides[static_cast<std::size_t>(a)] = stride;
      stride *= g.extent[static_cast<std::size_t>(a)];
    }
    for (int a = 0; a < g.rank; ++a) {
      const auto axis = static_cast<std::size_t>(a);
      const std::int64_t extent = g.extent[axis];
      if (!g.reduced[axis]) {
        kept.add(extent, strides[axis]);
        continue;
      }
      reduced.add(extent, strides[axis]);
      if (a == 0 && g.batch) {
        samples = extent;
        sample_stride = strides[axis];
      } else if (a == g.rank - 1 && g.lanes) {
        lanes = extent;
      } else {
        middle.add(extent, strides[axis]);
      }
    }
  }
  Axes kept, reduced, middle;
  std::int64_t samples = 1, sample_stride = 0;  // 1 and 0 without a batch axis
  std::int64_t lanes = 1;                       // extent of the last axis when it is summed by lanes
};

template <class S>
void float_sum(const ReduceGeometry& g, ConstView x, View out) {
  using V = Compute<S>;
  const Plan plan(g);
  for (std::int64_t i = 0; i < plan.kept.size(); ++i) {
    const std::int64_t base = plan.kept.offset(i);
    // The terms of one sample, in order.
    const auto sample = [&](BlockedChain<V>& chain, std::int64_t n) {
      for (std::int64_t m = 0; m < plan.middle.size(); ++m) {
        const std::int64_t at = base + n * plan.sample_stride + plan.middle.offset(m);
        if (!g.lanes) {
          chain.add(load<S>(x, at));
          continue;
        }
        Lanes<V> lanes;
        for (std::int64_t j = 0; j < plan.lanes; ++j) lanes.add(load<S>(x, at + j));
        chain.add(lanes.sum());
      }
    };
    V sum = 0;
    if (g.batch) {
      sum = batch_tree<V>(plan.samples, plan.middle.size(), sample);
    } else {
      BlockedChain<V> chain;
      sample(chain, 0);
      sum = chain.sum();
    }
    store<S>(out, i, sum);
  }
}

template <class S>
void integer_sum(const ReduceGeometry& g, ConstView x, View out) {
  const Plan plan(g);
  for (std::int64_t i = 0; i < plan.kept.size(); ++i) {
    std::uint64_t sum = 0;  // wraps
    for (std::int64_t j = 0; j < plan.reduced.size(); ++j)
      sum += static_cast<std::uint64_t>(load<S>(x, plan.kept.offset(i) + plan.reduced.offset(j)));
    out.as<S>()[i] = static_cast<S>(sum);
  }
}

}  // namespace

void reduce_sum(const ReduceGeometry& g, ConstView x, View out) {
  if (x.dtype == DType::i32) return integer_sum<std::int32_t>(g, x, out);
  if (x.dtype == DType::i64) return integer_sum<std::int64_t>(g, x, out);
  with_floating("reduce_sum", x.dtype, [&](auto tag) { float_sum<typename decltype(tag)::type>(g, x, out); });
}

void reduce_extreme(ReduceOp op, const ReduceGeometry& g, ConstView x, View out, View index) {
  with_numeric("reduce_extreme", x.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    const Plan plan(g);
    for (std::int64_t i = 0; i < plan.kept.size(); ++i) {
      const std::int64_t base = plan.kept.offset(i);
      Compute<S> best = load<S>(x, base + plan.reduced.offset(0));
      std::int64_t where = 0;
      for (std::int64_t j = 1; j < plan.reduced.size(); ++j) {
        if (best != best) break;  // the first NaN wins
        const Compute<S> v = load<S>(x, base + plan.reduced.offset(j));
        const bool better = op == ReduceOp::max ? v > best : v < best;
        if (better || v != v) {
          best = v;
          where = j;
        }
      }
      store<S>(out, i, best);
      if (index.data != nullptr) store<std::int64_t>(index, i, where);
    }
  });
}

}  // namespace isobit::cpu::reference
