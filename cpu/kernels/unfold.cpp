// unfold and fold, which move the windows of a convolution out of a tensor and back.
// unfold: runs of elements that move as they are. The taps of a filter's row that lie inside of x are one run
// where the width is not dilated, else one each; what lies outside is read element by element through the
// axis' mode. A task owns rows (n, o, p) of columns.
// fold: each element is a chain from +0 over the taps that read it, ascending. Where channels fill half a
// register a lane owns a channel, and a pixel's taps are listed once for all of them. Else a row of pixels is
// summed in place, filter row by filter row, its outputs from the last to the first: an element then meets
// its taps in ascending order, and a lane owns an element of the filter row. A task owns rows (n, d, h) of
// dx.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/unfold.cpp"
#include "hwy/foreach_target.h"
#include <array>
#include <cstring>
#include <vector>

#include "core/numerics/pad_index.h"
#include "core/typed.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/tiles-inl.h"
#include "cpu/runtime/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

/// count elements; one is not worth a call.
template <class U>
HWY_INLINE void copy_elements(const U* from, U* to, std::int64_t count) {
  if (count == 1) {
    *to = *from;
  } else {
    std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(U));
  }
}

/// What tap `tap` of output `out` reads on an axis; -1: the value.
inline std::int64_t read_at(const AxisGeometry& a, std::int64_t out, std::int64_t tap) {
  return numerics::pad_source(a.mode, out * a.stride + tap * a.dilation - a.pad_before, a.in);
}

/// The taps of output `out` that lie inside of an axis: [begin, end).
struct Inside {
  std::int64_t begin, end;
};
inline Inside inside_taps(const AxisGeometry& a, std::int64_t out) {
  const std::int64_t start = out * a.stride - a.pad_before;
  const auto below = [&](std::int64_t limit) {  // taps whose coordinate is less than limit
    const std::int64_t room = limit - start;
    return room <= 0 ? std::int64_t{0} : std::min(a.filter, (room - 1) / a.dilation + 1);
  };
  return {below(0), below(a.in)};
}

/// The row of a filter at output q of the row of x that begins at x; null: all of it is the value.
template <class U>
HWY_INLINE void unfold_taps(const AxisGeometry& width, std::int64_t c, std::int64_t q, Inside inside,
                            const U* x, U value, U* to) {
  if (x == nullptr) {
    std::fill_n(to, width.filter * c, value);
    return;
  }
  const auto outside = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t s = begin; s < end; ++s) {
      const std::int64_t at = read_at(width, q, s);
      if (at < 0) {
        std::fill_n(to + s * c, c, value);
      } else {
        copy_elements(x + at * c, to + s * c, c);
      }
    }
  };
  outside(0, inside.begin);
  const std::int64_t first = q * width.stride - width.pad_before;
  if (width.dilation == 1) {
    if (inside.begin < inside.end)
      copy_elements(x + (first + inside.begin) * c, to + inside.begin * c, (inside.end - inside.begin) * c);
  } else {
    for (std::int64_t s = inside.begin; s < inside.end; ++s)
      copy_elements(x + (first + s * width.dilation) * c, to + s * c, c);
  }
  outside(inside.end, width.filter);
}

template <class U>
void unfold_units(const ConvGeometry& g, const U* x, U value, U* columns) {
  const AxisGeometry &depth = g.axis[0], &height = g.axis[1], &width = g.axis[2];
  const std::int64_t lines = depth.filter * height.filter, run = width.filter * g.c;
  const std::int64_t rows = g.n * depth.out * height.out, row_size = width.out * lines * run;
  if (rows == 0 || row_size == 0) return;
  for_rows(rows, row_size * static_cast<std::int64_t>(sizeof(U)), [&](std::int64_t begin, std::int64_t end) {
    const Scratch<const U*> line(lines);
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t p = row % height.out, o = row / height.out % depth.out,
                         n = row / height.out / depth.out;
      for (std::int64_t t = 0; t < depth.filter; ++t)
        for (std::int64_t r = 0; r < height.filter; ++r) {
          const std::int64_t d = read_at(depth, o, t), h = read_at(height, p, r);
          line[t * height.filter + r] =
              d < 0 || h < 0 ? nullptr : x + ((n * depth.in + d) * height.in + h) * width.in * g.c;
        }
      U* to = columns + row * row_size;
      for (std::int64_t q = 0; q < width.out; ++q) {
        const Inside inside = inside_taps(width, q);
        for (std::int64_t i = 0; i < lines; ++i, to += run)
          unfold_taps(width, g.c, q, inside, line[i], value, to);
      }
    }
  });
}

/// For every coordinate of an axis the taps that read it and their outputs, taps ascending: [begin[i],
/// begin[i + 1]).
struct Readers {
  std::vector<std::int64_t> begin, tap, out;

  explicit Readers(const AxisGeometry& a) {
    begin.reserve(static_cast<std::size_t>(a.in) + 1);
    for (std::int64_t i = 0; i < a.in; ++i) {
      begin.push_back(static_cast<std::int64_t>(tap.size()));
      for (std::int64_t s = 0; s < a.filter; ++s) {
        const std::int64_t distance = i + a.pad_before - s * a.dilation;
        if (distance < 0) break;
        if (distance % a.stride != 0 || distance / a.stride >= a.out) continue;
        tap.push_back(s);
        out.push_back(distance / a.stride);
      }
    }
    begin.push_back(static_cast<std::int64_t>(tap.size()));
  }
};

/// A row of pixels, a lane a channel; `places` is room for the taps of one.
template <class S>
void fold_channels(const ConvGeometry& g, const std::array<Readers, 3>& readers, std::int64_t n,
                   std::int64_t d, std::int64_t h, std::int64_t* places, const S* columns, S* to) {
  using T = Compute<S>;
  const auto& [depth, height, width] = g.axis;
  const auto& [in_depth, in_height, in_width] = readers;
  const std::int64_t taps = g.taps(), c = g.c;
  for (std::int64_t w = 0; w < width.in; ++w, to += c) {
    std::int64_t count = 0;
    for (auto i = in_depth.begin[d]; i < in_depth.begin[d + 1]; ++i)
      for (auto j = in_height.begin[h]; j < in_height.begin[h + 1]; ++j)
        for (auto k = in_width.begin[w]; k < in_width.begin[w + 1]; ++k) {
          const std::int64_t position =
              ((n * depth.out + in_depth.out[i]) * height.out + in_height.out[j]) * width.out +
              in_width.out[k];
          const std::int64_t tap =
              (in_depth.tap[i] * height.filter + in_height.tap[j]) * width.filter + in_width.tap[k];
          places[count++] = (position * taps + tap) * c;
        }
    for_vectors<T>(c, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
      Vec<T> sum(T{0});
      for (std::int64_t k = 0; k < count; ++k)
        sum += load_some<T, tail.value>(columns + places[k] + i, lanes);
      store_some<tail.value>(sum, to + i, lanes);
    });
  }
}

/// to[0 ... n) += from.
template <class S, class T>
HWY_INLINE void add_run(const S* from, T* to, std::int64_t n) {
  for_vectors<T>(n, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
    store_some<tail.value>(
        load_some<T, tail.value>(to + i, lanes) + load_some<T, tail.value>(from + i, lanes), to + i, lanes);
  });
}

/// A row of pixels, summed in `sums`.
template <class S>
void fold_row(const ConvGeometry& g, const std::array<Readers, 3>& readers, std::int64_t n, std::int64_t d,
              std::int64_t h, Compute<S>* sums, const S* columns, S* to) {
  const auto& [depth, height, width] = g.axis;
  const auto& [in_depth, in_height, in_width] = readers;
  const std::int64_t taps = g.taps(), c = g.c;
  std::fill_n(sums, width.in * c, Compute<S>{0});
  for (auto i = in_depth.begin[d]; i < in_depth.begin[d + 1]; ++i)
    for (auto j = in_height.begin[h]; j < in_height.begin[h + 1]; ++j) {
      const std::int64_t row = (n * depth.out + in_depth.out[i]) * height.out + in_height.out[j];
      const std::int64_t first_tap = (in_depth.tap[i] * height.filter + in_height.tap[j]) * width.filter;
      for (std::int64_t q = width.out - 1; q >= 0; --q) {
        const Inside inside = inside_taps(width, q);
        const S* const from = columns + ((row * width.out + q) * taps + first_tap) * c;
        const std::int64_t first = q * width.stride - width.pad_before;
        if (width.dilation == 1) {
          if (inside.begin < inside.end)
            add_run(from + inside.begin * c, sums + (first + inside.begin) * c,
                    (inside.end - inside.begin) * c);
        } else {
          for (std::int64_t s = inside.begin; s < inside.end; ++s)
            add_run(from + s * c, sums + (first + s * width.dilation) * c, c);
        }
      }
    }
  convert_tile(sums, to, width.in * c);
}

template <class S>
void fold_all(const ConvGeometry& g, const S* columns, S* dx) {
  using T = Compute<S>;
  const AxisGeometry &depth = g.axis[0], &height = g.axis[1], &width = g.axis[2];
  const std::int64_t rows = g.n * depth.in * height.in, row_size = width.in * g.c;
  if (rows == 0 || row_size == 0) return;
  const std::array<Readers, 3> readers{Readers(depth), Readers(height), Readers(width)};
  const bool by_channel = 2 * g.c >= static_cast<std::int64_t>(Vec<T>::size);
  const std::int64_t read = std::min(g.taps(), std::int64_t{1} << 20);
  for_rows(rows, row_size * static_cast<std::int64_t>(sizeof(S)) * (1 + read),
           [&](std::int64_t begin, std::int64_t end) {
             const Scratch<std::int64_t> places(by_channel ? g.taps() : 0);
             const Scratch<T> sums(by_channel ? 0 : row_size);
             for (std::int64_t row = begin; row < end; ++row) {
               const std::int64_t h = row % height.in, d = row / height.in % depth.in,
                                  n = row / height.in / depth.in;
               S* const to = dx + row * row_size;
               if (by_channel) {
                 fold_channels(g, readers, n, d, h, places.data(), columns, to);
               } else {
                 fold_row(g, readers, n, d, h, sums.data(), columns, to);
               }
             }
           });
}

}  // namespace

void run_unfold(const ConvGeometry& g, ConstView x, View columns) {
  std::uint64_t bits = 0;
  with_dtype(x.dtype, [&](auto type) {
    using S = decltype(type);
    const S value = numerics::cast<S>(g.pad_value);
    std::memcpy(&bits, &value, sizeof(S));  // the low bytes: every supported processor is little-endian
  });
  switch (size_of(x.dtype)) {
    case 1:
      return unfold_units(g, x.as<std::uint8_t>(), static_cast<std::uint8_t>(bits),
                          columns.as<std::uint8_t>());
    case 2:
      return unfold_units(g, x.as<std::uint16_t>(), static_cast<std::uint16_t>(bits),
                          columns.as<std::uint16_t>());
    case 4:
      return unfold_units(g, x.as<std::uint32_t>(), static_cast<std::uint32_t>(bits),
                          columns.as<std::uint32_t>());
    default:
      return unfold_units(g, x.as<std::uint64_t>(), bits, columns.as<std::uint64_t>());
  }
}
void run_fold(const ConvGeometry& g, ConstView columns, View dx) {
  with_floating(dx.dtype, [&](auto type) {
    using S = decltype(type);
    fold_all(g, columns.as<S>(), dx.as<S>());
  });
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_unfold);
HWY_EXPORT(run_fold);

namespace kernels {
void unfold(const ConvGeometry& g, ConstView x, View columns) {
  HWY_DYNAMIC_DISPATCH(run_unfold)(g, x, columns);
}
void fold(const ConvGeometry& g, ConstView columns, View dx) {
  HWY_DYNAMIC_DISPATCH(run_fold)(g, columns, dx);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
