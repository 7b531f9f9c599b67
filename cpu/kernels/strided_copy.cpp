// strided_copy: permutes, expansions, flips and slices, on elements of 1, 2, 4 or 8 bytes as they are. Where
// the input is contiguous along another axis than the output (a transpose), tiles of 32 x 32 keep both sides
// in the first-level cache; else rows of the output are copied, spread or picked one after the other. A task
// owns a part of the output. Results larger than the caches go past them.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/strided_copy.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/columns-inl.h"
#include "cpu/kernels/elementwise-inl.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/stream-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

constexpr std::int64_t kSide = 32;

/// out[i * row + j] = in[i + j * step] for i < height, j < width.
template <class U>
void transpose_plain(const U* in, std::int64_t step, U* out, std::int64_t row, std::int64_t height,
                     std::int64_t width) {
  for (std::int64_t i = 0; i < height; ++i)
    for (std::int64_t j = 0; j < width; ++j) out[i * row + j] = in[i + j * step];
}

#if HWY_TARGET != HWY_SCALAR
/// The same for 4 x 4 elements of 32 bits, in registers.
HWY_INLINE void transpose_4x4(const std::uint32_t* in, std::int64_t step, std::uint32_t* out,
                              std::int64_t row) {
  constexpr hn::FixedTag<std::uint32_t, 4> d;
  constexpr hn::FixedTag<std::uint64_t, 2> wide;
  const auto a = hn::LoadU(d, in), b = hn::LoadU(d, in + step), c = hn::LoadU(d, in + 2 * step),
             e = hn::LoadU(d, in + 3 * step);
  const auto ab_low = hn::BitCast(wide, hn::InterleaveLower(d, a, b));  // a0 b0 a1 b1
  const auto ab_high = hn::BitCast(wide, hn::InterleaveUpper(d, a, b));
  const auto ce_low = hn::BitCast(wide, hn::InterleaveLower(d, c, e));
  const auto ce_high = hn::BitCast(wide, hn::InterleaveUpper(d, c, e));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, ab_low, ce_low)), d, out);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, ab_low, ce_low)), d, out + row);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, ab_high, ce_high)), d, out + 2 * row);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, ab_high, ce_high)), d, out + 3 * row);
}
#endif

template <class U>
void transpose_tile(const U* in, std::int64_t step, U* out, std::int64_t row, std::int64_t height,
                    std::int64_t width) {
#if HWY_TARGET != HWY_SCALAR
  if constexpr (sizeof(U) == 4) {
    const std::int64_t whole_height = height / 4 * 4, whole_width = width / 4 * 4;
    for (std::int64_t j = 0; j < whole_width; j += 4)
      for (std::int64_t i = 0; i < whole_height; i += 4)
        transpose_4x4(in + i + j * step, step, out + i * row + j, row);
    transpose_plain(in + whole_height, step, out + whole_height * row, row, height - whole_height, width);
    transpose_plain(in + whole_width * step, step, out + whole_width, row, whole_height, width - whole_width);
    return;
  }
#endif
  transpose_plain(in, step, out, row, height, width);
}

/// `axis` is contiguous in the input, the last one in the output.
template <class U>
void transpose(const StridedGeometry& g, int axis, const U* in, U* out) {
  const int last = g.rank - 1;
  Axes source, target;  // the other axes
  std::int64_t row = 1, stride = 1;
  for (int i = last; i >= 0; --i) {
    if (i == axis) row = stride;
    stride *= g.extent[i];
  }
  stride = 1;
  std::array<std::int64_t, Shape::max_rank> dense{};
  for (int i = last; i >= 0; --i) {
    dense[i] = stride;
    stride *= g.extent[i];
  }
  for (int i = 0; i < last; ++i) {
    if (i == axis) continue;
    source.add(g.extent[i], g.stride[0][i]);
    target.add(g.extent[i], dense[i]);
  }
  const std::int64_t height = g.extent[axis], width = g.extent[last], step = g.stride[0][last];
  // Strips of kSide elements of the last axis: all that lies beside them in the input is read on the way.
  const std::int64_t strips = (width + kSide - 1) / kSide;
  const std::int64_t bytes = g.numel() * static_cast<std::int64_t>(sizeof(U));
  const std::int64_t row_bytes = width * static_cast<std::int64_t>(sizeof(U));  // all strides are multiples
  const bool stream = kSide * sizeof(U) % kLineBytes == 0 && past_caches(out, bytes, row_bytes);
  for_rows(source.size() * strips, kSide * height * static_cast<std::int64_t>(2 * sizeof(U)),
           [&](std::int64_t begin, std::int64_t end) {
             HWY_ALIGN U tile[kSide * kSide];
             for (std::int64_t task = begin; task < end; ++task) {
               const std::int64_t other = task / strips, left = task % strips * kSide;
               const std::int64_t columns = std::min(kSide, width - left);
               const U* from = in + source.offset(other) + left * step;
               U* to = out + target.offset(other) + left;
               for (std::int64_t top = 0; top < height; top += kSide) {
                 const std::int64_t rows = std::min(kSide, height - top);
                 if (!stream) {
                   transpose_tile(from + top, step, to + top * row, row, rows, columns);
                   continue;
                 }
                 transpose_tile(from + top, step, tile, kSide, rows, columns);
                 for (std::int64_t i = 0; i < rows; ++i)
                   stream_tile(tile + i * kSide, to + (top + i) * row, columns);
               }
             }
             if (stream) hwy::FlushStream();
           });
}

template <class U>
void copy_elements(const StridedGeometry& g, const U* in, U* out) {
  const std::int64_t n = g.numel();
  if (n == 0) return;
  const int last = g.rank - 1;
  const std::int64_t step = g.stride[0][last];
  if (step != 0 && step != 1 && g.extent[last] > 1) {
    for (int i = 0; i < last; ++i)
      if (g.stride[0][i] == 1 && g.extent[i] > 1) return transpose(g, i, in + g.offset[0], out);
  }
  const bool stream = past_caches(out, n * static_cast<std::int64_t>(sizeof(U)));
  for_ranges(n, 2 * sizeof(U), [&](std::int64_t begin, std::int64_t end) {
    const Operand<U, U> from(g, 0, in);
    if (!stream) return from.gather(begin, end - begin, out + begin);
    HWY_ALIGN U tile[kTile];
    for (std::int64_t i = begin; i < end; i += kTile) {
      from.gather(i, std::min(kTile, end - i), tile);
      stream_tile(tile, out + i, std::min(kTile, end - i));
    }
    hwy::FlushStream();
  });
}

}  // namespace

void run_strided_copy(const StridedGeometry& g, ConstView in, View out) {
  switch (size_of(out.dtype)) {
    case 1:
      return copy_elements(g, in.as<std::uint8_t>(), out.as<std::uint8_t>());
    case 2:
      return copy_elements(g, in.as<std::uint16_t>(), out.as<std::uint16_t>());
    case 4:
      return copy_elements(g, in.as<std::uint32_t>(), out.as<std::uint32_t>());
    default:
      return copy_elements(g, in.as<std::uint64_t>(), out.as<std::uint64_t>());
  }
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_strided_copy);

namespace kernels {
void strided_copy(const StridedGeometry& g, ConstView in, View out) {
  HWY_DYNAMIC_DISPATCH(run_strided_copy)(g, in, out);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
