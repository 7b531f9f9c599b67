// pad, pad_backward, gather_rows: runs of bytes that move as they are, so nothing here depends on the
// instruction set. A task owns rows of the output.
#include <algorithm>
#include <cstring>

#include "core/numerics/casts.h"
#include "cpu/kernels/kernels.h"
#include "core/typed.h"
#include "cpu/runtime/thread_pool.h"

namespace isobit::cpu::kernels {
namespace {

using Extents = std::array<std::int64_t, Shape::max_rank>;

constexpr std::int64_t kGrainBytes = 64 * 1024;

/// Rows of `bytes` each, on several threads when there are enough of them.
template <class Body>
void for_rows_of(std::int64_t rows, std::int64_t bytes, const Body& body) {
  const std::int64_t grain = std::max<std::int64_t>(kGrainBytes / std::max<std::int64_t>(bytes, 1), 1);
  if (rows <= 4 * grain) {
    if (rows > 0) body(std::int64_t{0}, rows);
    return;
  }
  parallel_ranges(rows, grain, body);
}

/// out[i...] = in[i - before...] where that lies in `in`, else value. Elements of U.
template <class U>
void copy_window(int rank, const Extents& in_extent, const Extents& out_extent, Extents before, U value,
                 const U* in, U* out) {
  // Inner axes that pass whole become one block; the innermost other axis is the row.
  std::int64_t block = 1;
  int last = rank - 1;
  while (last > 0 && before[last] == 0 && in_extent[last] == out_extent[last]) block *= in_extent[last--];
  const std::int64_t in_row = in_extent[last] * block, out_row = out_extent[last] * block;
  const std::int64_t left = std::clamp<std::int64_t>(before[last], 0, out_extent[last]) * block;
  const std::int64_t right =
      std::clamp<std::int64_t>(before[last] + in_extent[last], 0, out_extent[last]) * block;
  const std::int64_t first = std::max<std::int64_t>(-before[last], 0) * block;
  std::int64_t rows = 1;
  for (int i = 0; i < last; ++i) rows *= out_extent[i];
  if (out_row == 0) return;
  for_rows_of(rows, out_row * static_cast<std::int64_t>(sizeof(U)),
              [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t row = begin; row < end; ++row) {
                  std::int64_t rest = row, source = 0, stride = 1;
                  bool inside = right > left;
                  for (int i = last - 1; i >= 0; --i) {
                    const std::int64_t at = rest % out_extent[i] - before[i];
                    rest /= out_extent[i];
                    inside = inside && at >= 0 && at < in_extent[i];
                    source += at * stride;
                    stride *= in_extent[i];
                  }
                  U* to = out + row * out_row;
                  if (!inside) {
                    std::fill_n(to, out_row, value);
                    continue;
                  }
                  std::fill_n(to, left, value);
                  std::memcpy(to + left, in + source * in_row + first,
                              static_cast<std::size_t>(right - left) * sizeof(U));
                  std::fill_n(to + right, out_row - right, value);
                }
              });
}

void copy_window(int rank, const Extents& in_extent, const Extents& out_extent, const Extents& before,
                 std::uint64_t bits, ConstView in, View out) {
  switch (size_of(out.dtype)) {
    case 1:
      return copy_window(rank, in_extent, out_extent, before, static_cast<std::uint8_t>(bits),
                         in.as<std::uint8_t>(), out.as<std::uint8_t>());
    case 2:
      return copy_window(rank, in_extent, out_extent, before, static_cast<std::uint16_t>(bits),
                         in.as<std::uint16_t>(), out.as<std::uint16_t>());
    case 4:
      return copy_window(rank, in_extent, out_extent, before, static_cast<std::uint32_t>(bits),
                         in.as<std::uint32_t>(), out.as<std::uint32_t>());
    default:
      return copy_window(rank, in_extent, out_extent, before, bits, in.as<std::uint64_t>(),
                         out.as<std::uint64_t>());
  }
}

}  // namespace

void pad(const PadGeometry& g, ConstView x, View y) {
  std::uint64_t bits = 0;
  with_dtype(x.dtype, [&](auto type) {
    using S = decltype(type);
    const S value = numerics::cast<S>(g.value);
    std::memcpy(&bits, &value, sizeof(S));  // the low bytes: every supported processor is little-endian
  });
  copy_window(g.rank, g.in, g.out, g.before, bits, x, y);
}

void pad_backward(const PadGeometry& g, ConstView dy, View dx) {
  Extents before{};
  for (int i = 0; i < g.rank; ++i) before[i] = -g.before[i];
  copy_window(g.rank, g.out, g.in, before, 0, dy, dx);
}

void gather_rows(ConstView rows, ConstView index, std::int64_t row_size, View out) {
  const std::int64_t bytes = row_size * size_of(out.dtype);
  const auto* from = rows.as<unsigned char>();
  const auto* at = index.as<std::int64_t>();
  auto* to = out.as<unsigned char>();
  if (bytes == 0) return;
  for_rows_of(index.numel, bytes, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      std::memcpy(to + i * bytes, from + at[i] * bytes, static_cast<std::size_t>(bytes));
  });
}

}  // namespace isobit::cpu::kernels
