// strided_copy: permutes, expansions, flips and slices, on elements of 1, 2, 4 or 8 bytes as they are. Where
// the input is contiguous along another axis than the output (a transpose), strips of the output are as wide
// as keeps both sides in a cache; else rows of the output are copied, spread or picked one after the other. A
// task owns a part of the output. Results larger than the caches go past them.
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

constexpr std::int64_t kSide = 32, kWideStrip = 256;

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

/// Columns of a register: the output's lines that one write fills.
constexpr std::int64_t kWide = HWY_LANES(std::uint32_t);

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
/// A register whose blocks of four lie 4 * step apart.
template <int kBlocks>
HWY_INLINE auto load_blocks(const std::uint32_t* in, std::int64_t step) {
  constexpr hn::FixedTag<std::uint32_t, 4 * kBlocks> d;
  if constexpr (kBlocks == 1) {
    return hn::LoadU(d, in);
  } else {
    return hn::Combine(d, load_blocks<kBlocks / 2>(in + 2 * kBlocks * step, step),
                       load_blocks<kBlocks / 2>(in, step));
  }
}

/// The same for 4 x kWide elements: blocks of 4 x 4 side by side. out lies on a register where kStream.
template <bool kStream>
HWY_INLINE void transpose_wide(const std::uint32_t* in, std::int64_t step, std::uint32_t* out,
                               std::int64_t row) {
  constexpr hn::FixedTag<std::uint32_t, kWide> d;
  constexpr hn::FixedTag<std::uint64_t, kWide / 2> pair;
  constexpr int kBlocks = kWide / 4;
  const auto a = load_blocks<kBlocks>(in, step), b = load_blocks<kBlocks>(in + step, step),
             c = load_blocks<kBlocks>(in + 2 * step, step), e = load_blocks<kBlocks>(in + 3 * step, step);
  const auto ab_low = hn::BitCast(pair, hn::InterleaveLower(d, a, b));
  const auto ab_high = hn::BitCast(pair, hn::InterleaveUpper(d, a, b));
  const auto ce_low = hn::BitCast(pair, hn::InterleaveLower(d, c, e));
  const auto ce_high = hn::BitCast(pair, hn::InterleaveUpper(d, c, e));
  const auto write = [=](auto v, std::int64_t i) HWY_ATTR {
    if constexpr (kStream) {
      hn::Stream(hn::BitCast(d, v), d, out + i * row);
    } else {
      hn::StoreU(hn::BitCast(d, v), d, out + i * row);
    }
  };
  write(hn::InterleaveLower(pair, ab_low, ce_low), 0);
  write(hn::InterleaveUpper(pair, ab_low, ce_low), 1);
  write(hn::InterleaveLower(pair, ab_high, ce_high), 2);
  write(hn::InterleaveUpper(pair, ab_high, ce_high), 3);
}
#else
template <bool kStream>
void transpose_wide(const std::uint32_t*, std::int64_t, std::uint32_t*, std::int64_t) {}
#endif

template <class U>
inline constexpr bool kHasWide = sizeof(U) == 4 && (HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2);

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

/// Asks for a strip of the input, some lines at a time, in the order in which they lie in memory.
template <class U>
class StripAhead {
 public:
  /// `columns` may be 0: then nothing is asked for.
  StripAhead(const U* strip, std::int64_t step, std::int64_t height, std::int64_t columns)
      : at_(strip), step_(step), height_(height), left_(columns) {}
  HWY_INLINE void ask(int lines) {
    for (; lines > 0 && left_ > 0; --lines) {
      __builtin_prefetch(at_ + done_, 0, 2);
      done_ += kLine;
      if (done_ < height_) continue;
      done_ = 0;
      at_ += step_;
      --left_;
    }
  }

 private:
  static constexpr std::int64_t kLine = kLineBytes / sizeof(U);
  const U* at_;
  std::int64_t step_, height_, left_, done_ = 0;
};

/// A strip of the output by whole registers: all rows that read the same lines of the input go together, so
/// that each line comes to the first-level cache once. `next` is the strip that comes after, asked for in
/// step with what is written: a burst of questions would wait for memory, and the stores behind it.
template <bool kStream, class U>
void transpose_strip(const U* in, std::int64_t step, U* out, std::int64_t row, std::int64_t height,
                     std::int64_t width, StripAhead<U> next) {
  constexpr std::int64_t kLine = kLineBytes / sizeof(U);
  constexpr int kTurned = 4 * kWide * sizeof(U) / kLineBytes;  // lines of a turn
  const std::int64_t whole_height = height / 4 * 4, whole_width = width / kWide * kWide;
  for (std::int64_t top = 0; top < whole_height; top += kLine) {
    const std::int64_t bottom = std::min(top + kLine, whole_height);
    for (std::int64_t j = 0; j < whole_width; j += kWide)
      for (std::int64_t i = top; i < bottom; i += 4) {
        next.ask(kTurned);
        transpose_wide<kStream>(in + i + j * step, step, out + i * row + j, row);
      }
  }
  transpose_tile(in + whole_width * step, step, out + whole_width, row, whole_height, width - whole_width);
  transpose_plain(in + whole_height, step, out + whole_height * row, row, height - whole_height, width);
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
  // Strips of some elements of the last axis: all that lies beside them in the input is read on the way.
  constexpr std::int64_t kStrip = kHasWide<U> ? kWideStrip : kSide;
  const std::int64_t strips = (width + kStrip - 1) / kStrip;
  const std::int64_t bytes = g.numel() * static_cast<std::int64_t>(sizeof(U));
  const std::int64_t row_bytes = width * static_cast<std::int64_t>(sizeof(U));  // all strides are multiples
  const bool stream = kStrip * sizeof(U) % kLineBytes == 0 && past_caches(out, bytes, row_bytes);
  for_rows(source.size() * strips, kStrip * height * static_cast<std::int64_t>(2 * sizeof(U)),
           [&](std::int64_t begin, std::int64_t end) {
             HWY_ALIGN U tile[kSide * kSide];
             const auto strip_at = [&](std::int64_t task) {
               return in + source.offset(task / strips) + task % strips * kStrip * step;
             };
             const auto columns_of = [&](std::int64_t task) {
               return std::min(kStrip, width - task % strips * kStrip);
             };
             for (std::int64_t task = begin; task < end; ++task) {
               const std::int64_t columns = columns_of(task);
               const U* from = strip_at(task);
               U* to = out + target.offset(task / strips) + task % strips * kStrip;
               if constexpr (kHasWide<U>) {
                 const bool more = task + 1 < end;
                 const U* const next = more ? strip_at(task + 1) : from;
                 const auto run = stream ? transpose_strip<true, U> : transpose_strip<false, U>;
                 run(from, step, to, row, height, columns,
                     StripAhead<U>(next, step, height, more ? columns_of(task + 1) : 0));
                 continue;
               }
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
