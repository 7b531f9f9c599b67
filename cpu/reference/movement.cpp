// The definition of the kernels that move data: fills, casts, strided copies, rows, padding. Padding and
// strides are the plain index formulas of core/backend.h.
#include <array>
#include <vector>

#include "cpu/reference/border.h"
#include "cpu/reference/order.h"
#include "cpu/reference/reference.h"
#include "cpu/reference/strides.h"
#include "cpu/reference/types.h"

namespace isobit::cpu::reference {

void fill(View out, Scalar value) {
  with_any("fill", out.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    const S v = scalar_as<S>(value);
    for (std::int64_t i = 0; i < out.numel; ++i) out.as<S>()[i] = v;
  });
}

void cast(ConstView in, View out) {
  with_any("cast", in.dtype, [&](auto from) {
    with_any("cast", out.dtype, [&](auto to) {
      using From = typename decltype(from)::type;
      using To = typename decltype(to)::type;
      for (std::int64_t i = 0; i < out.numel; ++i) store<To>(out, i, load<From>(in, i));
    });
  });
}

void strided_copy(const StridedGeometry& g, ConstView in, View out) {
  with_movable("strided_copy", out.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    for (std::int64_t i = 0; i < g.numel(); ++i) out.as<S>()[i] = in.as<S>()[operand_element(g, 0, i)];
  });
}

namespace {

// The element of `in` that padded element `i` shows, or -1 for one that shows the value.
std::int64_t padded_source(const PadGeometry& g, std::int64_t i) {
  std::int64_t source = 0, stride = 1;
  for (int a = g.rank - 1; a >= 0; --a) {
    const std::int64_t at = read_through(g.mode[a], i % g.out[a] - g.before[a], g.in[a]);
    i /= g.out[a];
    if (at < 0) return -1;
    source += at * stride;
    stride *= g.in[a];
  }
  return source;
}

std::int64_t product(const std::array<std::int64_t, Shape::max_rank>& extents, int rank) {
  std::int64_t p = 1;
  for (int a = 0; a < rank; ++a) p *= extents[a];
  return p;
}

}  // namespace

namespace {

// Elements that several coordinates read: their dy one by one, the first as it is.
void fold_back(const PadGeometry& g, ConstView dy, View dx) {
  with_floating("pad_backward", dy.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    const auto size = static_cast<std::size_t>(product(g.in, g.rank));
    std::vector<Compute<S>> sum(size);
    std::vector<bool> begun(size);
    for (std::int64_t i = 0; i < product(g.out, g.rank); ++i) {
      const std::int64_t source = padded_source(g, i);
      if (source < 0) continue;
      const auto e = static_cast<std::size_t>(source);
      sum[e] = begun[e] ? sum[e] + load<S>(dy, i) : load<S>(dy, i);
      begun[e] = true;
    }
    for (std::size_t e = 0; e < size; ++e) store<S>(dx, static_cast<std::int64_t>(e), sum[e]);
  });
}

}  // namespace

void pad(const PadGeometry& g, ConstView x, View y) {
  with_movable("pad", x.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    const double border = x.dtype == DType::boolean && g.value != 0 ? 1.0 : g.value;
    const S value = numerics::cast<S>(border);
    for (std::int64_t i = 0; i < product(g.out, g.rank); ++i) {
      const std::int64_t source = padded_source(g, i);
      y.as<S>()[i] = source < 0 ? value : x.as<S>()[source];
    }
  });
}

void pad_backward(const PadGeometry& g, ConstView dy, View dx) {
  if (g.folds()) return fold_back(g, dy, dx);
  with_movable("pad_backward", dy.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    for (std::int64_t i = 0; i < product(g.in, g.rank); ++i) store<S>(dx, i, 0.0);  // what was cropped away
    for (std::int64_t i = 0; i < product(g.out, g.rank); ++i) {
      const std::int64_t source = padded_source(g, i);
      if (source >= 0) dx.as<S>()[source] = dy.as<S>()[i];
    }
  });
}

void gather_rows(ConstView rows, ConstView index, std::int64_t row_size, View out) {
  with_movable("gather_rows", out.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    for (std::int64_t i = 0; i < index.numel; ++i)
      for (std::int64_t j = 0; j < row_size; ++j)
        out.as<S>()[i * row_size + j] = rows.as<S>()[index.as<std::int64_t>()[i] * row_size + j];
  });
}

void scatter_add_rows(ConstView dy, ConstView index, std::int64_t row_count, std::int64_t row_size,
                      View out) {
  with_floating("scatter_add_rows", dy.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    std::vector<Compute<S>> sum(static_cast<std::size_t>(row_count * row_size));
    for (std::int64_t i = 0; i < index.numel; ++i)
      for (std::int64_t j = 0; j < row_size; ++j) {
        auto& element = sum[static_cast<std::size_t>(index.as<std::int64_t>()[i] * row_size + j)];
        element = element + load<S>(dy, i * row_size + j);
      }
    for (std::int64_t i = 0; i < row_count * row_size; ++i)
      store<S>(out, i, sum[static_cast<std::size_t>(i)]);
  });
}

void arange(double start, double step, View out) {
  with_numeric("arange", out.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    for (std::int64_t i = 0; i < out.numel; ++i) {
      const double distance = static_cast<double>(i) * step;
      store<S>(out, i, start + distance);
    }
  });
}

void one_hot(ConstView label, std::int64_t classes, double on, double off, View out) {
  with_any("one_hot", out.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    for (std::int64_t i = 0; i < label.numel; ++i)
      for (std::int64_t j = 0; j < classes; ++j)
        store<S>(out, i * classes + j, label.as<std::int64_t>()[i] == j ? on : off);
  });
}

}  // namespace isobit::cpu::reference
