// Problems of unary, binary and select: every function and dtype, sizes around the tile, the warp and the
// vector, every way an operand can lie, in place.
#include <algorithm>
#include <array>

#include "core/numerics/philox.h"
#include "core/verify/families.h"

namespace isobit::verify {
namespace {

using Extents = std::vector<std::int64_t>;

StridedGeometry geometry(const Extents& extents, const std::vector<Extents>& strides,
                         std::array<std::int64_t, 3> offsets = {}) {
  StridedGeometry g;
  g.rank = static_cast<int>(extents.size());
  g.offset = offsets;
  for (std::size_t i = 0; i < extents.size(); ++i) {
    g.extent[i] = extents[i];
    for (std::size_t o = 0; o < strides.size(); ++o) g.stride[o][i] = strides[o][i];
  }
  return g;
}
StridedGeometry dense(std::int64_t n) {
  return geometry({n}, {{1}, {1}, {1}});
}
std::string text_of(const StridedGeometry& g) {
  std::string text = fmt::format("[{}]", fmt::join(g.extent.begin(), g.extent.begin() + g.rank, ","));
  for (int o = 0; o < 3; ++o)
    text +=
        fmt::format(" {}:{}", g.offset[o], fmt::join(g.stride[o].begin(), g.stride[o].begin() + g.rank, ","));
  return text;
}
/// Elements that an operand must have.
std::int64_t needed(const StridedGeometry& g, int operand) {
  std::int64_t last = g.offset[operand];
  for (int i = 0; i < g.rank; ++i)
    last += std::max<std::int64_t>((g.extent[i] - 1) * g.stride[operand][i], 0);
  return last + 1;
}

/// Every way an operand can lie, against a dense or another one.
std::vector<StridedGeometry> layouts() {
  return {
      geometry({37, 50}, {{50, 1}, {0, 1}, {0, 0}}),     // a row for all
      geometry({37, 50}, {{50, 1}, {1, 0}, {0, 1}}),     // a number a row
      geometry({1000}, {{1}, {0}, {0}}),                 // one number
      geometry({1000}, {{0}, {1}, {1}}, {2, 3, 1}),      // the other way round, from an offset
      geometry({5, 2500}, {{2500, 1}, {0, 1}, {1, 0}}),  // a row longer than a tile
      geometry({40, 30}, {{1, 40}, {30, 1}, {0, 1}}),    // transposed
      geometry({6, 7, 8}, {{56, 8, 1}, {8, 0, 1}, {0, 1, 0}}),
      geometry({3, 4, 5, 6}, {{0, 30, 0, 5}, {120, 0, 6, 1}, {0, 0, 6, 1}}),
      geometry({29}, {{-1}, {2}, {1}}, {28, 0, 0}),  // flipped, every second
      geometry({0, 4}, {{4, 1}, {0, 1}, {0, 1}}),
  };
}

void add_unary(Suite& suite) {
  for (int code = 0; code <= static_cast<int>(UnaryOp::is_nan); ++code) {
    const auto op = static_cast<UnaryOp>(code);
    if (op == UnaryOp::logical_not) continue;
    for (const DType dtype : kFloating)
      for (const std::int64_t n : {0, 1, 37, 1300})
        if (Case* c = suite.open("unary", dtype, fmt::format("{} [{}]", name_of(op), n)))
          c->in(dtype, n, Values::hard)
              .out(op == UnaryOp::is_nan ? DType::boolean : dtype, n)
              .run([=](Backend& b, const Operands& o) { b.unary(op, Scalar(0.3), o.in[0], o.out[0]); });
  }
  for (const UnaryOp op :
       {UnaryOp::neg, UnaryOp::abs, UnaryOp::sign, UnaryOp::square, UnaryOp::relu, UnaryOp::add_scalar,
        UnaryOp::mul_scalar, UnaryOp::div_scalar, UnaryOp::rsub_scalar})
    for (const DType dtype : {DType::i32, DType::i64, DType::u8})
      for (const std::int64_t parameter : {-1, 0, 3})
        if (Case* c =
                suite.open("unary", dtype, fmt::format("{} [333] parameter {}", name_of(op), parameter)))
          c->in(dtype, 333, Values::hard).out(dtype, 333).run([=](Backend& b, const Operands& o) {
            b.unary(op, Scalar(parameter), o.in[0], o.out[0]);
          });
  if (Case* c = suite.open("unary", DType::boolean, "logical_not [77]"))
    c->in(DType::boolean, 77).out(DType::boolean, 77).run([](Backend& b, const Operands& o) {
      b.unary(UnaryOp::logical_not, {}, o.in[0], o.out[0]);
    });
}

void add_binary(Suite& suite) {
  for (int code = 0; code <= static_cast<int>(BinaryOp::abs_grad); ++code) {
    const auto op = static_cast<BinaryOp>(code);
    for (const DType dtype : kAllTypes) {
      const bool logical = is_logical(op), boolean = dtype == DType::boolean;
      if (logical != boolean && !(boolean && is_comparison(op))) continue;
      if (!is_floating(dtype) && is_gradient(op)) continue;
      for (const std::int64_t n : {0, 5, 1290})
        if (Case* c = suite.open("binary", dtype, fmt::format("{} [{}]", name_of(op), n)))
          c->in(dtype, n, Values::hard)
              .in(dtype, n, Values::hard)
              .out(is_comparison(op) || logical ? DType::boolean : dtype, n)
              .run([=](Backend& b, const Operands& o) {
                b.binary(op, Scalar(0.2), dense(n), o.in[0], o.in[1], o.out[0]);
              });
    }
  }
  for (const StridedGeometry& g : layouts())
    for (const DType dtype : kAllTypes)
      for (const BinaryOp op : {BinaryOp::sub, BinaryOp::le, BinaryOp::logical_and}) {
        if (is_logical(op) != (dtype == DType::boolean)) continue;
        if (Case* c = suite.open("binary", dtype, fmt::format("{} {}", name_of(op), text_of(g))))
          c->in(dtype, needed(g, 0), Values::hard)
              .in(dtype, needed(g, 1), Values::hard)
              .out(op == BinaryOp::sub ? dtype : DType::boolean, g.numel())
              .run([&](Backend& b, const Operands& o) { b.binary(op, {}, g, o.in[0], o.in[1], o.out[0]); });
      }
}

/// Problems nobody thought of: random extents, any operand repeated along any axis or with its axes turned
/// round.
void add_random_layouts(Suite& suite) {
  for (std::uint64_t round = 0; round < 200; ++round) {
    const RandomKey key = random_key(suite.seed(), "layout", round);
    std::uint64_t drawn = 0;
    const auto below = [&](std::uint64_t bound) {
      return static_cast<std::int64_t>(numerics::uniform_below(key, drawn++, bound));
    };
    const auto rank = static_cast<std::size_t>(1 + below(4));
    Extents extents;
    std::int64_t size = 1;
    for (std::size_t i = 0; i < rank; ++i) {
      const std::int64_t most = std::min<std::int64_t>(below(3) == 0 ? 1500 : 20, 20000 / size);
      extents.push_back(1 + below(static_cast<std::uint64_t>(std::max<std::int64_t>(most, 1))));
      size *= extents.back();
    }
    std::vector<Extents> strides;
    for (int operand = 0; operand < 3; ++operand) {
      Extents stride(rank, 0);
      std::int64_t step = 1;
      const bool turned = below(3) == 0;
      for (std::size_t i = 0; i < rank; ++i) {
        const std::size_t axis = turned ? i : rank - 1 - i;
        if (below(3) == 0) continue;
        stride[axis] = step;
        step *= extents[axis];
      }
      strides.push_back(stride);
    }
    const StridedGeometry g = geometry(extents, strides);
    const DType dtype = kFloating[below(4)];
    if (Case* c = suite.open("binary", dtype, "mul " + text_of(g), round >= 40))
      c->in(dtype, needed(g, 0), Values::hard)
          .in(dtype, needed(g, 1), Values::hard)
          .out(dtype, g.numel())
          .run([&](Backend& b, const Operands& o) {
            b.binary(BinaryOp::mul, {}, g, o.in[0], o.in[1], o.out[0]);
          });
    if (Case* c = suite.open("strided_copy", dtype, text_of(g), round >= 40))
      c->in(dtype, needed(g, 0), Values::hard).out(dtype, g.numel()).run([&](Backend& b, const Operands& o) {
        b.strided_copy(g, o.in[0], o.out[0]);
      });
  }
}

/// In place, as the seam allows; large enough for several threads.
void add_in_place(Suite& suite) {
  for (const std::int64_t n : {77, 300007})
    for (const DType dtype : {DType::f32, DType::bf16}) {
      if (Case* c = suite.open("unary", dtype, fmt::format("tanh in place [{}]", n), n > 1000))
        c->out(c->random(dtype, n, Values::hard)).run([](Backend& b, const Operands& o) {
          b.unary(UnaryOp::tanh, {}, o.out[0], o.out[0]);
        });
      if (Case* c = suite.open("binary", dtype, fmt::format("relu_grad in place [{}]", n), n > 1000))
        c->in(dtype, n, Values::hard)
            .out(c->random(dtype, n, Values::hard))
            .run([=](Backend& b, const Operands& o) {
              b.binary(BinaryOp::relu_grad, {}, dense(n), o.out[0], o.in[0], o.out[0]);
            });
    }
  const StridedGeometry rows = geometry({301, 999}, {{999, 1}, {0, 1}, {0, 0}});
  for (const DType dtype : {DType::f32, DType::bf16})
    if (Case* c = suite.open("binary", dtype, "add " + text_of(rows), true))
      c->in(dtype, rows.numel(), Values::hard)
          .in(dtype, 999, Values::hard)
          .out(dtype, rows.numel())
          .run([&](Backend& b, const Operands& o) {
            b.binary(BinaryOp::add, {}, rows, o.in[0], o.in[1], o.out[0]);
          });
}

void add_select(Suite& suite) {
  for (const StridedGeometry& g : layouts())
    for (const DType dtype : kAllTypes)
      if (Case* c = suite.open("select", dtype, text_of(g)))
        c->in(DType::boolean, needed(g, 0))
            .in(dtype, needed(g, 1), Values::hard)
            .in(dtype, needed(g, 2), Values::hard)
            .out(dtype, g.numel())
            .run([&](Backend& b, const Operands& o) { b.select(g, o.in[0], o.in[1], o.in[2], o.out[0]); });
}

}  // namespace

void add_elementwise(Suite& suite) {
  add_unary(suite);
  add_binary(suite);
  add_random_layouts(suite);
  add_in_place(suite);
  add_select(suite);
}

}  // namespace isobit::verify
