// unary, binary and select against the reference: every function and dtype, sizes around the tile and the
// vector width, every way an operand can lie.
#include "tests/parity/parity.h"

namespace isobit::parity {
namespace {

StridedGeometry geometry(std::vector<std::int64_t> extents, std::vector<std::vector<std::int64_t>> strides,
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

DType result_type(UnaryOp op, DType dtype) {
  return op == UnaryOp::is_nan ? DType::boolean : dtype;
}

TEST(ElementwiseParity, Unary) {
  for (int code = 0; code <= static_cast<int>(UnaryOp::is_nan); ++code) {
    const auto op = static_cast<UnaryOp>(code);
    if (op == UnaryOp::logical_not) continue;
    for (const DType dtype : kFloating) {
      for (const std::int64_t n : {std::int64_t{0}, std::int64_t{1}, std::int64_t{37}, std::int64_t{1300}}) {
        SCOPED_TRACE(fmt::format("function {} of {} elements {}", code, n, dtype));
        const Array x = random_array(dtype, n, Values::hard, static_cast<std::uint32_t>(code + 1));
        expect_parity("unary", {Array(result_type(op, dtype), n)},
                      [&](Backend& b, Outputs& out) { b.unary(op, Scalar(0.3), x.view(), out[0].view()); });
        if (HasFailure()) return;
      }
    }
  }
}

TEST(ElementwiseParity, UnaryOfIntegers) {
  for (const UnaryOp op :
       {UnaryOp::neg, UnaryOp::abs, UnaryOp::sign, UnaryOp::square, UnaryOp::relu, UnaryOp::add_scalar,
        UnaryOp::mul_scalar, UnaryOp::div_scalar, UnaryOp::rsub_scalar}) {
    for (const DType dtype : {DType::i32, DType::i64, DType::u8}) {
      for (const std::int64_t parameter : {-1, 0, 3}) {
        SCOPED_TRACE(fmt::format("function {} of {}, parameter {}", static_cast<int>(op), dtype, parameter));
        Array x = random_array(dtype, 333);
        if (dtype == DType::i32) x.as<std::int32_t>()[5] = INT32_MIN;
        if (dtype == DType::i64) x.as<std::int64_t>()[5] = INT64_MIN;
        expect_parity("unary", {Array(dtype, 333)}, [&](Backend& b, Outputs& out) {
          b.unary(op, Scalar(parameter), x.view(), out[0].view());
        });
      }
    }
  }
  const Array x = random_array(DType::boolean, 77);
  expect_parity("unary", {Array(DType::boolean, 77)}, [&](Backend& b, Outputs& out) {
    b.unary(UnaryOp::logical_not, {}, x.view(), out[0].view());
  });
}

TEST(ElementwiseParity, Binary) {
  for (int code = 0; code <= static_cast<int>(BinaryOp::abs_grad); ++code) {
    const auto op = static_cast<BinaryOp>(code);
    for (const DType dtype : kAll) {
      const bool logical = is_logical(op), integer = !is_floating(dtype), boolean = dtype == DType::boolean;
      if (logical != boolean && !(boolean && is_comparison(op))) continue;
      if (integer && is_gradient(op)) continue;
      for (const std::int64_t n : {std::int64_t{0}, std::int64_t{5}, std::int64_t{1290}}) {
        SCOPED_TRACE(fmt::format("function {} of {} elements {}", code, n, dtype));
        const Array a = random_array(dtype, n, Values::hard, 1), b = random_array(dtype, n, Values::hard, 2);
        expect_parity("binary", {Array(is_comparison(op) || logical ? DType::boolean : dtype, n)},
                      [&](Backend& device, Outputs& out) {
                        device.binary(op, Scalar(0.2), dense(n), a.view(), b.view(), out[0].view());
                      });
        if (HasFailure()) return;
      }
    }
  }
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
std::int64_t needed(const StridedGeometry& g, int operand) {
  std::int64_t last = g.offset[operand];
  for (int i = 0; i < g.rank; ++i)
    last += std::max<std::int64_t>((g.extent[i] - 1) * g.stride[operand][i], 0);
  return last + 1;
}

TEST(ElementwiseParity, Broadcasting) {
  for (const StridedGeometry& g : layouts()) {
    for (const DType dtype : kAll) {
      for (const BinaryOp op : {BinaryOp::sub, BinaryOp::le, BinaryOp::logical_and}) {
        if (is_logical(op) != (dtype == DType::boolean)) continue;
        SCOPED_TRACE(
            fmt::format("[{}] {}", fmt::join(g.extent.begin(), g.extent.begin() + g.rank, ","), dtype));
        const Array a = random_array(dtype, needed(g, 0), Values::hard, 1);
        const Array b = random_array(dtype, needed(g, 1), Values::hard, 2);
        expect_parity("binary", {Array(op == BinaryOp::sub ? dtype : DType::boolean, g.numel())},
                      [&](Backend& device, Outputs& out) {
                        device.binary(op, {}, g, a.view(), b.view(), out[0].view());
                      });
        if (HasFailure()) return;
      }
    }
  }
}

// Problems nobody thought of: random extents, any operand repeated along any axis or with its axes turned
// round.
TEST(ElementwiseParity, RandomBroadcasting) {
  std::mt19937 engine(5);
  for (int round = 0; round < (is_long() ? 2000 : 40); ++round) {
    const int rank = 1 + static_cast<int>(engine() % 4);
    std::vector<std::int64_t> extents;
    std::int64_t size = 1;
    for (int i = 0; i < rank; ++i) {
      extents.push_back(1 + engine() %
                                std::max<std::int64_t>(
                                    1, std::min<std::int64_t>(engine() % 3 == 0 ? 1500 : 20, 20000 / size)));
      size *= extents.back();
    }
    std::vector<std::vector<std::int64_t>> strides;
    for (int operand = 0; operand < 3; ++operand) {
      std::vector<std::int64_t> stride(static_cast<std::size_t>(rank), 0);
      std::int64_t step = 1;
      const bool turned = engine() % 3 == 0;
      for (int i = 0; i < rank; ++i) {
        const auto axis = static_cast<std::size_t>(turned ? i : rank - 1 - i);
        if (engine() % 3 == 0) continue;
        stride[axis] = step;
        step *= extents[axis];
      }
      strides.push_back(stride);
    }
    const StridedGeometry g = geometry(extents, strides);
    const DType dtype = kFloating[engine() % 4];
    SCOPED_TRACE(fmt::format("[{}] {} round {}", fmt::join(extents, ","), dtype, round));
    const Array a = random_array(dtype, needed(g, 0), Values::hard, 1);
    const Array b = random_array(dtype, needed(g, 1), Values::hard, 2);
    expect_parity("binary", {Array(dtype, g.numel())}, [&](Backend& device, Outputs& out) {
      device.binary(BinaryOp::mul, {}, g, a.view(), b.view(), out[0].view());
    });
    expect_parity("strided_copy", {Array(dtype, g.numel())},
                  [&](Backend& device, Outputs& out) { device.strided_copy(g, a.view(), out[0].view()); });
    if (HasFailure()) return;
  }
}

TEST(ElementwiseParity, Select) {
  for (const StridedGeometry& g : layouts()) {
    for (const DType dtype : kAll) {
      const Array condition = random_array(DType::boolean, needed(g, 0));
      const Array a = random_array(dtype, needed(g, 1), Values::hard, 1);
      const Array b = random_array(dtype, needed(g, 2), Values::hard, 2);
      expect_parity("select", {Array(dtype, g.numel())}, [&](Backend& device, Outputs& out) {
        device.select(g, condition.view(), a.view(), b.view(), out[0].view());
      });
      if (HasFailure()) return;
    }
  }
}

// Large enough for several threads; in place, as the seam allows.
TEST(ElementwiseParity, LargeAndInPlace) {
  const std::int64_t n = 300007;
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Array x = random_array(dtype, n, Values::hard, 1), y = random_array(dtype, n, Values::hard, 2);
    expect_parity("unary", {x}, [&](Backend& b, Outputs& out) {
      b.unary(UnaryOp::tanh, {}, out[0].view(), out[0].view());
    });
    expect_parity("binary", {x}, [&](Backend& b, Outputs& out) {
      b.binary(BinaryOp::relu_grad, {}, dense(n), out[0].view(), y.view(), out[0].view());
    });
    const StridedGeometry rows = geometry({300, 999}, {{999, 1}, {0, 1}, {0, 0}});
    expect_parity("binary", {Array(dtype, rows.numel())}, [&](Backend& b, Outputs& out) {
      b.binary(BinaryOp::add, {}, rows, x.view(), y.view(), out[0].view());
    });
  }
}

}  // namespace
}  // namespace isobit::parity
