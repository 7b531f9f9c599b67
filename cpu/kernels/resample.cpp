// resample: rows of few entries times lines. Two ways, by the inner extent alone; in both a lane owns an
// output and takes its entries in their order.
// Wide (half a register of inner elements or more): lanes lie side by side in the inner elements of one
// output row, whose entries are the same for all of them. A task owns a run of outputs.
// Narrow (the last spatial axis of pictures of few channels): lanes lie side by side in the flattened (row,
// inner) of one line. Of some outputs at a time the place and weight of their first, second, ... entries are
// laid out once (a plan); then every line gathers by them, halves from a widened copy. A lane whose row has
// no such entry keeps its sum. A task owns lines, or, where these are few, stretches of one. Rows of more
// than kSlots entries, and lines fewer than kFewLines, are summed one output after the other.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/resample.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/tiles-inl.h"
#include "cpu/runtime/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

/// Entries of a plan, so that it stays in the cache; its outputs; entries of one output.
constexpr std::int64_t kPlaces = 8192, kMostOutputs = 2048, kSlots = 128;
/// Lines for which a plan is not worth its making.
constexpr std::int64_t kFewLines = 3;

/// The matrix: entries [start[j], start[j + 1]) of row j.
template <class T>
struct Rows {
  const std::int64_t* start;
  const std::int64_t* column;
  const T* weight;

  /// The most entries that one of the rows [begin, end) has.
  std::int64_t most(std::int64_t begin, std::int64_t end) const {
    std::int64_t most = 0;
    for (std::int64_t j = begin; j < end; ++j) most = std::max(most, start[j + 1] - start[j]);
    return most;
  }
};

/// Inner elements [0, n) of one output row; x and y point at the first. kEntries of 1 and 2 are unrolled, 0
/// stands for any number.
template <int kEntries, class S, class T>
HWY_INLINE void wide_row(const Rows<T>& rows, std::int64_t begin, std::int64_t end, std::int64_t inner,
                         const S* x, S* y, std::int64_t n) {
  const S* const first = x + rows.column[begin] * inner;
  const S* const second = kEntries == 2 ? x + rows.column[begin + 1] * inner : nullptr;
  for_vectors<T>(n, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
    Vec<T> sum = Vec<T>(rows.weight[begin]) * load_some<T, tail.value>(first + i, lanes);
    if constexpr (kEntries == 2) {
      sum = fma(Vec<T>(rows.weight[begin + 1]), load_some<T, tail.value>(second + i, lanes), sum);
    } else if constexpr (kEntries == 0) {
      for (std::int64_t e = begin + 1; e < end; ++e)
        sum =
            fma(Vec<T>(rows.weight[e]), load_some<T, tail.value>(x + rows.column[e] * inner + i, lanes), sum);
    }
    store_some<tail.value>(sum, y + i, lanes);
  });
}

template <class S, class T>
void wide(const ResampleGeometry& g, const Rows<T>& rows, const S* x, S* y) {
  const std::int64_t total = g.outer * g.out * g.inner;
  for_ranges(total, 3 * sizeof(S), [&](std::int64_t begin, std::int64_t end) {
    std::int64_t row = begin / g.inner, from = begin % g.inner;
    while (begin < end) {
      const std::int64_t j = row % g.out, n = std::min(g.inner - from, end - begin);
      const S* const line = x + row / g.out * g.in * g.inner + from;
      const std::int64_t first = rows.start[j], last = rows.start[j + 1];
      if (last - first == 1) {
        wide_row<1>(rows, first, last, g.inner, line, y + begin, n);
      } else if (last - first == 2) {
        wide_row<2>(rows, first, last, g.inner, line, y + begin, n);
      } else if (last > first) {
        wide_row<0>(rows, first, last, g.inner, line, y + begin, n);
      } else {
        std::fill_n(y + begin, n, S{});
      }
      begin += n;
      ++row;
      from = 0;
    }
  });
}

/// x[at[i]] of every lane.
template <class T, class I>
HWY_INLINE Vec<T> gather(const T* x, const I* at) {
  constexpr hn::RebindToSigned<Tag<T>> d;
  return Vec<T>(hn::GatherIndex(Tag<T>(), x, hn::LoadU(d, at)));
}

/// The entries of `room` outputs or fewer: of slot k, output i, place[k * room + i] from the first element
/// that any of them reads. Outputs beyond the last have no entries.
template <class T>
class Plan {
 public:
  using I = hn::TFromD<hn::RebindToSigned<Tag<T>>>;

  Plan(const ResampleGeometry& g, const Rows<T>& rows, std::int64_t begin, std::int64_t end,
       std::int64_t room)
      : size_(end - begin),
        room_(room),
        slots_(rows.most(begin / g.inner, (end - 1) / g.inner + 1)),
        place_(slots_ <= kSlots ? slots_ * room : 0),
        weight_(place_.size()),
        entries_(room) {
    std::int64_t lowest = g.in, highest = -1;
    for (std::int64_t e = rows.start[begin / g.inner]; e < rows.start[(end - 1) / g.inner + 1]; ++e) {
      lowest = std::min(lowest, rows.column[e]);
      highest = std::max(highest, rows.column[e]);
    }
    first_ = highest < 0 ? 0 : lowest * g.inner;
    span_ = highest < 0 ? 0 : (highest + 1) * g.inner - first_;
    if (!fits()) return;
    std::fill_n(place_.data(), place_.size(), I{0});
    std::fill_n(weight_.data(), weight_.size(), T{0});
    std::fill_n(entries_.data(), room, T{0});
    std::int64_t j = begin / g.inner, b = begin % g.inner;
    for (std::int64_t i = 0; i < size_; ++i) {
      const std::int64_t from = rows.start[j], count = rows.start[j + 1] - from;
      entries_[i] = static_cast<T>(count);
      for (std::int64_t k = 0; k < count; ++k) {
        place_[k * room + i] = static_cast<I>(rows.column[from + k] * g.inner + b - first_);
        weight_[k * room + i] = rows.weight[from + k];
      }
      if (++b == g.inner) {
        b = 0;
        ++j;
      }
    }
  }

  /// Whether places count in I, and there is room for them.
  bool fits() const { return span_ <= std::int64_t{1} << 30 && slots_ <= kSlots; }
  std::int64_t first() const { return first_; }
  std::int64_t span() const { return span_; }

  /// y[0 ...] of the plan's outputs; x points at the first element that they read.
  template <class S>
  HWY_INLINE void apply(const T* x, S* y) const {
    for_vectors<T>(size_, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
      Vec<T> sum(T{0});
      if (slots_ > 0) {
        const Vec<T> entries = load<T>(entries_.data() + i);
        const Vec<T> product =
            load<T>(weight_.data() + i) * gather(x, static_cast<const I*>(place_.data() + i));
        sum = select(entries > Vec<T>(T{0}), product, sum);
        for (std::int64_t k = 1; k < slots_; ++k) {
          const std::int64_t at = k * room_ + i;
          const Vec<T> more =
              fma(load<T>(weight_.data() + at), gather(x, static_cast<const I*>(place_.data() + at)), sum);
          sum = select(entries > Vec<T>(static_cast<T>(k)), more, sum);
        }
      }
      store_some<tail.value>(sum, y + i, lanes);
    });
  }

 private:
  std::int64_t size_, room_, slots_, first_ = 0, span_ = 0;
  Scratch<I> place_;
  Scratch<T> weight_, entries_;
};

/// One output after the other: rows of very many entries, lines of very many elements, very few lines.
template <class S, class T>
void scattered(const ResampleGeometry& g, const Rows<T>& rows, std::int64_t begin, std::int64_t end,
               const S* x, S* y) {
  std::int64_t j = begin / g.inner, b = begin % g.inner;
  for (std::int64_t at = begin; at < end; ++at) {
    T sum = 0;
    for (std::int64_t e = rows.start[j]; e < rows.start[j + 1]; ++e) {
      const T v = numerics::cast<T>(x[rows.column[e] * g.inner + b]);
      sum = e == rows.start[j] ? rows.weight[e] * v : fma(rows.weight[e], v, sum);
    }
    y[at] = numerics::cast<S>(sum);
    if (++b == g.inner) {
      b = 0;
      ++j;
    }
  }
}

/// Outputs [begin, end) of a line, at most `room`, of the lines [first, last).
template <class S, class T>
void stretch(const ResampleGeometry& g, const Rows<T>& rows, std::int64_t begin, std::int64_t end,
             std::int64_t room, std::int64_t first, std::int64_t last, const S* x, S* y) {
  const std::int64_t step_in = g.in * g.inner, step_out = g.out * g.inner;
  const auto one_by_one = [&] {
    for (std::int64_t a = first; a < last; ++a)
      scattered(g, rows, begin, end, x + a * step_in, y + a * step_out);
  };
  if (last - first < kFewLines) return one_by_one();
  const Plan<T> plan(g, rows, begin, end, room);
  if (!plan.fits()) {
    one_by_one();
  } else if constexpr (std::is_same_v<S, T>) {
    for (std::int64_t a = first; a < last; ++a)
      plan.apply(x + a * step_in + plan.first(), y + a * step_out + begin);
  } else {
    const Scratch<T> widened(std::max<std::int64_t>(plan.span(), 1));
    for (std::int64_t a = first; a < last; ++a) {
      convert_tile(x + a * step_in + plan.first(), widened.data(), plan.span());
      plan.apply(static_cast<const T*>(widened.data()), y + a * step_out + begin);
    }
  }
}

template <class S, class T>
void narrow(const ResampleGeometry& g, const Rows<T>& rows, const S* x, S* y) {
  const std::int64_t slots = std::clamp<std::int64_t>(rows.most(0, g.out), 1, kSlots);
  const std::int64_t room = std::clamp<std::int64_t>(kPlaces / slots / 64 * 64, 64, kMostOutputs);
  const std::int64_t line = g.out * g.inner, stretches = (line + room - 1) / room;
  const std::int64_t bytes = 4 * (slots + 1) * static_cast<std::int64_t>(sizeof(S));
  const auto run = [&](std::int64_t s, std::int64_t first, std::int64_t last) {
    stretch(g, rows, s * room, std::min((s + 1) * room, line), room, first, last, x, y);
  };
  if (g.outer >= stretches)
    return for_rows(g.outer, line * bytes, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t s = 0; s < stretches; ++s) run(s, begin, end);
    });
  for_rows(stretches, g.outer * std::min(line, room) * bytes, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t s = begin; s < end; ++s) run(s, 0, g.outer);
  });
}

}  // namespace

void run_resample(const ResampleGeometry& g, ConstView x, ConstView start, ConstView column, ConstView weight,
                  View y) {
  if (y.numel == 0) return;
  with_floating(x.dtype, [&](auto type) {
    using S = decltype(type);
    using T = Compute<S>;
    const Rows<T> rows{start.as<std::int64_t>(), column.as<std::int64_t>(), weight.as<T>()};
    if (2 * g.inner >= static_cast<std::int64_t>(Vec<T>::size)) return wide(g, rows, x.as<S>(), y.as<S>());
    narrow(g, rows, x.as<S>(), y.as<S>());
  });
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_resample);

namespace kernels {
void resample(const ResampleGeometry& g, ConstView x, ConstView start, ConstView column, ConstView weight,
              View y) {
  HWY_DYNAMIC_DISPATCH(run_resample)(g, x, start, column, weight, y);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
