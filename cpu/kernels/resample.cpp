// resample: rows of few entries times lines. Two ways, by the inner extent alone; in both a lane owns an
// output and takes its entries in their order.
// Wide (half a register of inner elements or more, of halves a whole one): lanes lie side by side in the
// inner elements of one output row, whose entries are the same for all of them. A task owns a run of outputs.
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
/// Lines for which a plan is not worth its making, two fewer of single elements.
constexpr std::int64_t kFewLines = 5;
/// Elements of such a line that are widened at a time.
constexpr std::int64_t kWidened = 65536;

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

/// The elements of a line that outputs [begin, end) read: `count` of them.
template <class T>
struct Span {
  std::int64_t first = 0, count = 0;

  Span(const ResampleGeometry& g, const Rows<T>& rows, std::int64_t begin, std::int64_t end) {
    std::int64_t lowest = g.in, highest = -1;
    for (std::int64_t e = rows.start[begin / g.inner]; e < rows.start[(end - 1) / g.inner + 1]; ++e) {
      lowest = std::min(lowest, rows.column[e]);
      highest = std::max(highest, rows.column[e]);
    }
    if (highest < 0) return;
    first = lowest * g.inner;
    count = (highest + 1) * g.inner - first;
  }
};

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
        entries_(room),
        span_(g, rows, begin, end) {
    if (!fits()) return;
    std::fill_n(place_.data(), place_.size(), I{0});
    std::fill_n(weight_.data(), weight_.size(), T{0});
    std::fill_n(entries_.data(), room, T{0});
    std::int64_t j = begin / g.inner, b = begin % g.inner;
    for (std::int64_t i = 0; i < size_; ++i) {
      const std::int64_t from = rows.start[j], count = rows.start[j + 1] - from;
      entries_[i] = static_cast<T>(count);
      for (std::int64_t k = 0; k < count; ++k) {
        place_[k * room + i] = static_cast<I>(rows.column[from + k] * g.inner + b - span_.first);
        weight_[k * room + i] = rows.weight[from + k];
      }
      if (++b == g.inner) {
        b = 0;
        ++j;
      }
    }
  }

  /// Whether places count in I, and there is room for them.
  bool fits() const { return span_.count <= std::int64_t{1} << 30 && slots_ <= kSlots; }
  const Span<T>& span() const { return span_; }

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
  std::int64_t size_, room_, slots_;
  Scratch<I> place_;
  Scratch<T> weight_, entries_;
  Span<T> span_;
};

/// One output row after the other: rows of very many entries, lines of very many elements, very few lines.
/// x points at element `from` of the line, y at the first output. kInner of 1 is unrolled, 0 stands for any
/// number of inner elements.
template <std::int64_t kInner, class S, class T, class Out>
HWY_INLINE void scattered_by(const ResampleGeometry& g, const Rows<T>& rows, std::int64_t begin,
                             std::int64_t end, std::int64_t from, const S* x, Out* y) {
  const std::int64_t inner = kInner > 0 ? kInner : g.inner;
  std::int64_t j = begin / inner, b = begin % inner;
  while (begin < end) {
    const std::int64_t n = kInner == 1 ? 1 : std::min(inner - b, end - begin);
    const std::int64_t first = rows.start[j], last = rows.start[j + 1];
    if (last - first == 2) {
      const S* const one = x + (rows.column[first] * inner + b - from);
      const S* const two = x + (rows.column[first + 1] * inner + b - from);
      const T by_one = rows.weight[first], by_two = rows.weight[first + 1];
      for (std::int64_t i = 0; i < n; ++i) {
        const T product = by_one * numerics::cast<T>(one[i]);
        y[i] = numerics::cast<Out>(fma(by_two, numerics::cast<T>(two[i]), product));
      }
    } else {
      for (std::int64_t i = 0; i < n; ++i) {
        T sum = 0;
        for (std::int64_t e = first; e < last; ++e) {
          const T v = numerics::cast<T>(x[rows.column[e] * inner + b + i - from]);
          sum = e == first ? rows.weight[e] * v : fma(rows.weight[e], v, sum);
        }
        y[i] = numerics::cast<Out>(sum);
      }
    }
    begin += n;
    y += n;
    b = 0;
    ++j;
  }
}
template <class S, class T, class Out>
void scattered(const ResampleGeometry& g, const Rows<T>& rows, std::int64_t begin, std::int64_t end,
               std::int64_t from, const S* x, Out* y) {
  if (g.inner == 1) return scattered_by<1>(g, rows, begin, end, from, x, y);
  scattered_by<0>(g, rows, begin, end, from, x, y);
}

/// Outputs [begin, end) of a line, at most `room`, of the lines [first, last).
template <class S, class T>
void stretch(const ResampleGeometry& g, const Rows<T>& rows, std::int64_t begin, std::int64_t end,
             std::int64_t room, std::int64_t first, std::int64_t last, const S* x, S* y) {
  const std::int64_t step_in = g.in * g.inner, step_out = g.out * g.inner;
  const auto one_by_one = [&] {
    for (std::int64_t a = first; a < last; ++a)
      scattered(g, rows, begin, end, 0, x + a * step_in, y + a * step_out + begin);
  };
  if (last - first < (g.inner == 1 ? kFewLines - 2 : kFewLines)) {
    if constexpr (!std::is_same_v<S, T>) {
      const Span<T> span(g, rows, begin, end);
      if (span.count <= kWidened) {
        const Scratch<T> line(std::max<std::int64_t>(span.count, 1)), sums(end - begin);
        for (std::int64_t a = first; a < last; ++a) {
          convert_tile(x + a * step_in + span.first, line.data(), span.count);
          scattered(g, rows, begin, end, span.first, static_cast<const T*>(line.data()), sums.data());
          convert_tile(static_cast<const T*>(sums.data()), y + a * step_out + begin, end - begin);
        }
        return;
      }
    }
    return one_by_one();
  }
  const Plan<T> plan(g, rows, begin, end, room);
  if (!plan.fits()) {
    one_by_one();
  } else if constexpr (std::is_same_v<S, T>) {
    for (std::int64_t a = first; a < last; ++a)
      plan.apply(x + a * step_in + plan.span().first, y + a * step_out + begin);
  } else {
    const Scratch<T> widened(std::max<std::int64_t>(plan.span().count, 1));
    for (std::int64_t a = first; a < last; ++a) {
      convert_tile(x + a * step_in + plan.span().first, widened.data(), plan.span().count);
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
    const auto lanes = static_cast<std::int64_t>(Vec<T>::size);
    if ((std::is_same_v<S, T> ? 2 : 1) * g.inner >= lanes) return wide(g, rows, x.as<S>(), y.as<S>());
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
