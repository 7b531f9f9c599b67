// unfold and fold, which move the windows of a convolution out of a tensor and back.
// unfold: runs of elements that move as they are. The taps of a filter's row that lie inside of x are one run
// where the width is not dilated, else one each; what lies outside is read element by element through the
// axis' mode. A task owns rows (n, o, p) of columns.
// Short runs are copied as a whole block of bytes: what that writes too much is written again by the next.
// fold: each element is a chain from +0 over the taps that read it, ascending. A lane owns a channel; where a
// row of pixels finds its taps is listed once, filter rows by row of pixels, the taps in them by pixel. Or a
// lane owns an element of a filter row, of few channels: see fold_runs. A task owns rows (n, d, h) of dx.
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

/// Outputs [q, ...) of a row whose taps all lie inside, kBytes for each line of the filter, as long as
/// `until` says; returns the first that is left.
template <std::int64_t kBytes, class U>
HWY_INLINE std::int64_t unfold_short(const AxisGeometry& width, std::int64_t c, std::int64_t q,
                                     std::int64_t until, const Scratch<const U*>& line, U* to) {
  const std::int64_t lines = line.size(), run = width.filter * c;
  for (; q < until; ++q) {
    const std::int64_t first = (q * width.stride - width.pad_before) * c;
    for (std::int64_t i = 0; i < lines; ++i, to += run) std::memcpy(to, line[i] + first, kBytes);
  }
  return q;
}

/// Bytes of a block that a run of `bytes` is copied as; 0: none.
inline std::int64_t block_bytes(std::int64_t bytes) {
  return bytes <= 16 ? 16 : bytes <= 32 ? 32 : bytes <= 64 ? 64 : 0;
}

template <class U>
void unfold_units(const ConvGeometry& g, const U* x, U value, U* columns) {
  const AxisGeometry &depth = g.axis[0], &height = g.axis[1], &width = g.axis[2];
  const std::int64_t lines = depth.filter * height.filter, run = width.filter * g.c;
  const std::int64_t rows = g.n * depth.out * height.out, row_size = width.out * lines * run;
  if (rows == 0 || row_size == 0) return;
  // Outputs whose taps all lie inside of the width, and of these those that a block of bytes leaves room for.
  const std::int64_t block = block_bytes(run * static_cast<std::int64_t>(sizeof(U)));
  const std::int64_t overhang = block / static_cast<std::int64_t>(sizeof(U)) - run;
  const U* const x_end = x + g.x_size();
  const std::int64_t span = width.in - width.filter + width.pad_before;
  const std::int64_t inner_begin =
      width.pad_before <= 0 ? 0 : (width.pad_before + width.stride - 1) / width.stride;
  const std::int64_t inner_end =
      block == 0 || width.dilation != 1 || span < 0
          ? 0
          : std::min(span / width.stride + 1, width.out - (overhang + lines * run - 1) / (lines * run));
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
      // A block may read on into the next row of x, but not beyond the last.
      const bool last = std::find_if(line.begin(), line.end(), [&](const U* from) {
                          return from == nullptr || x_end - from < width.in * g.c + overhang;
                        }) != line.end();
      U* to = columns + row * row_size;
      for (std::int64_t q = 0; q < width.out; ++q) {
        if (q == inner_begin && q < inner_end && !last) {
          q = block == 16   ? unfold_short<16>(width, g.c, q, inner_end, line, to)
              : block == 32 ? unfold_short<32>(width, g.c, q, inner_end, line, to)
                            : unfold_short<64>(width, g.c, q, inner_end, line, to);
          to += (q - inner_begin) * lines * run;
          if (q == width.out) break;
        }
        const Inside inside = inside_taps(width, q);
        for (std::int64_t i = 0; i < lines; ++i, to += run)
          unfold_taps(width, g.c, q, inside, line[i], value, to);
      }
    }
  });
}

/// Taps of a filter row from which fold goes by its runs.
constexpr std::int64_t kLongRun = 4;

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

/// to[0 ... n) += from.
template <class S, class T>
HWY_INLINE void add_run(const S* from, T* to, std::int64_t n) {
  for_vectors<T>(n, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
    store_some<tail.value>(
        load_some<T, tail.value>(to + i, lanes) + load_some<T, tail.value>(from + i, lanes), to + i, lanes);
  });
}

/// A row of pixels, summed in `sums` filter row by filter row, its outputs from the last to the first: an
/// element then meets its taps in ascending order. lines[m] is where the first output of filter row m lies.
template <class S>
void fold_runs(const ConvGeometry& g, const S* const* lines, std::int64_t count, Compute<S>* sums, S* to) {
  using T = Compute<S>;
  const AxisGeometry& width = g.axis[2];
  const std::int64_t c = g.c, window = g.taps() * c;
  std::fill_n(sums, width.in * c, T{0});
  for (std::int64_t m = 0; m < count; ++m)
    for (std::int64_t q = width.out - 1; q >= 0; --q) {
      const Inside inside = inside_taps(width, q);
      const S* const from = lines[m] + q * window;
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
  convert_tile(static_cast<const T*>(sums), to, width.in * c);
}

template <class S>
void fold_all(const ConvGeometry& g, const S* columns, S* dx) {
  using T = Compute<S>;
  const AxisGeometry &depth = g.axis[0], &height = g.axis[1], &width = g.axis[2];
  const std::int64_t rows = g.n * depth.in * height.in, row_size = width.in * g.c;
  if (rows == 0 || row_size == 0) return;
  const Readers in_depth(depth), in_height(height), in_width(width);
  const std::int64_t c = g.c, window = g.taps() * c;
  // Of the taps of a pixel, from the first column of the filter row's first output.
  const Scratch<std::int64_t> taps(static_cast<std::int64_t>(in_width.tap.size()));
  for (std::int64_t k = 0; k < taps.size(); ++k) taps[k] = in_width.out[k] * window + in_width.tap[k] * c;
  // Runs pay where they are long and lie beside each other, and where loads of few elements cost much.
  const bool beside = width.filter >= kLongRun && width.stride >= width.filter && width.dilation == 1;
  const bool by_runs = 2 * c < static_cast<std::int64_t>(Vec<T>::size) && (beside || !std::is_same_v<S, T>);
  const std::int64_t read = std::min(g.taps(), std::int64_t{1} << 20);
  for_rows(
      rows, row_size * static_cast<std::int64_t>(sizeof(S)) * (1 + read),
      [&](std::int64_t begin, std::int64_t end) {
        const Scratch<const S*> lines(depth.filter * height.filter);
        const Scratch<T> sums(by_runs ? row_size : 0);
        for (std::int64_t row = begin; row < end; ++row) {
          const std::int64_t h = row % height.in, d = row / height.in % depth.in,
                             n = row / height.in / depth.in;
          std::int64_t count = 0;
          for (auto i = in_depth.begin[d]; i < in_depth.begin[d + 1]; ++i)
            for (auto j = in_height.begin[h]; j < in_height.begin[h + 1]; ++j) {
              const std::int64_t from = (n * depth.out + in_depth.out[i]) * height.out + in_height.out[j];
              const std::int64_t tap = (in_depth.tap[i] * height.filter + in_height.tap[j]) * width.filter;
              lines[count++] = columns + from * width.out * window + tap * c;
            }
          S* to = dx + row * row_size;
          if (by_runs) {
            fold_runs(g, lines.data(), count, sums.data(), to);
            continue;
          }
          for (std::int64_t w = 0; w < width.in; ++w, to += c) {
            const std::int64_t* const first = taps.data() + in_width.begin[w];
            const std::int64_t* const last = taps.data() + in_width.begin[w + 1];
            for_vectors<T>(c, [&](auto tail, std::int64_t i, std::int64_t size) HWY_ATTR {
              Vec<T> sum(T{0});
              for (std::int64_t m = 0; m < count; ++m)
                for (const std::int64_t* tap = first; tap < last; ++tap)
                  sum += load_some<T, tail.value>(lines[m] + *tap + i, size);
              store_some<tail.value>(sum, to + i, size);
            });
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
