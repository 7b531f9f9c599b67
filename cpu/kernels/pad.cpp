// pad, pad_backward. Inner axes that pass whole are one block; the axis before them is the row's.
//   pad, and pad_backward where nothing folds   runs of bytes that move as they are, so that no instruction
//                    set matters: what lies inside of x as one run, each block outside as the mode says. A
//                    task owns rows of the output
//   pad_backward where coordinates fold         a lane owns an element of dx and adds up the dy of its
//                    images (core/numerics/pad_images.h), which are found axis by axis: rows of dy first,
//                    then places of the row, both ascending, which is row-major order. Neighbours that have
//                    one image each, or whose images are neighbours, are one run. A task owns rows of dx
#include <vector>

#include "core/numerics/pad_images.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/pad.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/tiles-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

using numerics::pad_images;
using Images = numerics::PadImages<std::int64_t>;

/// How many elements of an axis, `element` the first, have the images `images`, each that much further.
std::int64_t alike(PadMode mode, std::int64_t element, std::int64_t extent, std::int64_t out,
                   numerics::PadInterior<std::int64_t> interior, const Images& images) {
  if (mode == PadMode::circular) {
    const std::int64_t last =
        images.empty() ? out - extent : images.first + (out - 1 - images.first) / extent * extent;
    return std::min({extent - element, extent - images.first, out - last});
  }
  if (interior.begin <= element && element < interior.end) return interior.end - element;
  if (mode == PadMode::constant) return (element < interior.begin ? interior.begin : extent) - element;
  return 1;
}

/// to[0 .. n) = the sum of the runs that start at the images' blocks of the given rows of dy.
template <class S>
void add_images(const S* dy, const std::vector<std::int64_t>& rows, std::int64_t row_size,
                const Images& images, std::int64_t block, std::int64_t n, S* to) {
  using T = Compute<S>;
  if (rows.empty() || images.empty()) {
    std::fill_n(to, n, S{});
    return;
  }
  if (rows.size() == 1 && images.first + images.gap[0] >= images.end) {
    std::memcpy(to, dy + rows[0] * row_size + images.first * block, static_cast<std::size_t>(n) * sizeof(S));
    return;
  }
  for_vectors<T>(n, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
    Vec<T> sum(T{0});
    bool begun = false;
    for (const std::int64_t row : rows) {
      int turn = 0;
      for (std::int64_t u = images.first; u < images.end; u += images.gap[turn], turn ^= 1) {
        const Vec<T> term = load_some<T, tail.value>(dy + row * row_size + u * block + i, lanes);
        sum = begun ? sum + term : term;
        begun = true;
      }
    }
    store_some<tail.value>(sum, to + i, lanes);
  });
}

template <class S>
void fold_back(const PadGeometry& g, const S* dy, S* dx) {
  int last = g.rank - 1;
  std::int64_t block = 1, rows = 1;
  while (last > 0 && g.before[last] == 0 && g.in[last] == g.out[last]) block *= g.in[last--];
  for (int i = 0; i < last; ++i) rows *= g.in[i];
  const std::int64_t extent = g.in[last], in_row = extent * block, out_row = g.out[last] * block;
  if (in_row == 0) return;
  const auto interior = numerics::pad_interior(g.mode[last], extent, g.before[last], g.out[last]);
  const std::int64_t bytes = (in_row + out_row) * static_cast<std::int64_t>(sizeof(S));
  for_rows(rows, bytes, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::int64_t> sources, outer;
    for (std::int64_t row = begin; row < end; ++row) {
      std::array<std::int64_t, Shape::max_rank> at{};
      std::int64_t rest = row;
      for (int i = last - 1; i >= 0; --i) {
        at[i] = rest % g.in[i];
        rest /= g.in[i];
      }
      sources.assign(1, 0);
      for (int i = 0; i < last; ++i) {
        const Images images = pad_images(g.mode[i], at[i], g.in[i], g.before[i], g.out[i]);
        outer.swap(sources);
        sources.clear();
        for (const std::int64_t source : outer) {
          int turn = 0;
          for (std::int64_t u = images.first; u < images.end; u += images.gap[turn], turn ^= 1)
            sources.push_back(source * g.out[i] + u);
        }
      }
      for (std::int64_t e = 0; e < extent;) {
        const Images images = pad_images(g.mode[last], e, extent, g.before[last], g.out[last]);
        const std::int64_t count = alike(g.mode[last], e, extent, g.out[last], interior, images);
        add_images(dy, sources, out_row, images, block, count * block, dx + row * in_row + e * block);
        e += count;
      }
    }
  });
}

}  // namespace

void run_fold_back(const PadGeometry& g, ConstView dy, View dx) {
  with_floating(dy.dtype, [&](auto type) {
    using S = decltype(type);
    fold_back(g, dy.as<S>(), dx.as<S>());
  });
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <cstring>

#include "core/typed.h"

namespace isobit::cpu {
HWY_EXPORT(run_fold_back);

namespace kernels {
namespace {

constexpr std::int64_t kGrainBytes = 64 * 1024;

/// The blocks [begin, end) of a row of y, which lie outside of the row `from` of x.
template <class U>
void copy_outside(PadMode mode, std::int64_t begin, std::int64_t end, std::int64_t before,
                  std::int64_t extent, std::int64_t block, U value, const U* from, U* to) {
  if (mode == PadMode::constant) {
    std::fill_n(to + begin * block, (end - begin) * block, value);
    return;
  }
  for (std::int64_t u = begin; u < end;) {
    const std::int64_t source = numerics::pad_source(mode, u - before, extent);
    const std::int64_t count = mode == PadMode::circular ? std::min(extent - source, end - u) : 1;
    if (count * block == 1) {
      to[u] = from[source];
    } else {
      std::memcpy(to + u * block, from + source * block, static_cast<std::size_t>(count * block) * sizeof(U));
    }
    u += count;
  }
}

/// y = x as g says. Elements of U.
template <class U>
void copy_padded(const PadGeometry& g, U value, const U* x, U* y) {
  std::int64_t block = 1, rows = 1;
  int last = g.rank - 1;
  while (last > 0 && g.before[last] == 0 && g.in[last] == g.out[last]) block *= g.in[last--];
  for (int i = 0; i < last; ++i) rows *= g.out[i];
  const std::int64_t in_row = g.in[last] * block, out_row = g.out[last] * block;
  if (rows == 0 || out_row == 0) return;
  const std::int64_t before = g.before[last];
  const std::int64_t left = std::clamp<std::int64_t>(before, 0, g.out[last]);
  const std::int64_t right = std::clamp<std::int64_t>(before + g.in[last], 0, g.out[last]);
  const std::int64_t first = std::max<std::int64_t>(-before, 0) * block;
  const auto run = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      std::int64_t rest = row, source = 0, stride = 1;
      bool inside = true;
      for (int i = last - 1; i >= 0; --i) {
        std::int64_t at = rest % g.out[i] - g.before[i];
        rest /= g.out[i];
        if (at < 0 || at >= g.in[i]) at = numerics::pad_source(g.mode[i], at, g.in[i]);
        inside = inside && at >= 0;
        source += at * stride;
        stride *= g.in[i];
      }
      U* to = y + row * out_row;
      if (!inside) {
        std::fill_n(to, out_row, value);
        continue;
      }
      const U* from = x + source * in_row;
      copy_outside(g.mode[last], 0, left, before, g.in[last], block, value, from, to);
      if (right > left)
        std::memcpy(to + left * block, from + first,
                    static_cast<std::size_t>((right - left) * block) * sizeof(U));
      copy_outside(g.mode[last], right, g.out[last], before, g.in[last], block, value, from, to);
    }
  };
  const std::int64_t grain =
      std::max<std::int64_t>(kGrainBytes / (out_row * static_cast<std::int64_t>(sizeof(U))), 1);
  if (rows <= 4 * grain) return run(0, rows);
  parallel_ranges(rows, grain, run);
}

void copy_padded(const PadGeometry& g, std::uint64_t bits, ConstView x, View y) {
  switch (size_of(y.dtype)) {
    case 1:
      return copy_padded(g, static_cast<std::uint8_t>(bits), x.as<std::uint8_t>(), y.as<std::uint8_t>());
    case 2:
      return copy_padded(g, static_cast<std::uint16_t>(bits), x.as<std::uint16_t>(), y.as<std::uint16_t>());
    case 4:
      return copy_padded(g, static_cast<std::uint32_t>(bits), x.as<std::uint32_t>(), y.as<std::uint32_t>());
    default:
      return copy_padded(g, bits, x.as<std::uint64_t>(), y.as<std::uint64_t>());
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
  copy_padded(g, bits, x, y);
}

void pad_backward(const PadGeometry& g, ConstView dy, View dx) {
  if (g.folds()) return HWY_DYNAMIC_DISPATCH(run_fold_back)(g, dy, dx);
  PadGeometry back;  // crops what was padded, pads what was cropped
  back.rank = g.rank;
  back.in = g.out;
  back.out = g.in;
  for (int i = 0; i < g.rank; ++i) back.before[i] = -g.before[i];
  copy_padded(back, 0, dy, dx);
}

}  // namespace kernels
}  // namespace isobit::cpu
#endif
