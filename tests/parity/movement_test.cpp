// Data movement against the reference: fill, cast (all pairs of types), strided copies, padding and cropping,
// rows, arange, one_hot.
#include "tests/parity/parity.h"

namespace isobit::parity {
namespace {

TEST(MovementParity, FillAndArange) {
  for (const DType dtype : kAll) {
    for (const std::int64_t n : {std::int64_t{0}, std::int64_t{1}, std::int64_t{33}, std::int64_t{300001}}) {
      for (const Scalar value :
           {Scalar(0.1), Scalar(-1e300), Scalar(NAN), Scalar(std::int64_t{(1LL << 53) + 1})})
        expect_parity("fill", {Array(dtype, n)},
                      [&](Backend& b, Outputs& out) { b.fill(out[0].view(), value); });
      if (dtype == DType::boolean) continue;
      expect_parity("arange", {Array(dtype, n)},
                    [&](Backend& b, Outputs& out) { b.arange(-3.7, 0.1, out[0].view()); });
      if (HasFailure()) return;
    }
  }
}

TEST(MovementParity, Cast) {
  for (const DType from : kAll) {
    for (const std::int64_t n : {std::int64_t{0}, std::int64_t{1}, std::int64_t{1077}}) {
      const Array x = random_array(from, n, Values::hard);
      for (const DType to : kAll) {
        SCOPED_TRACE(fmt::format("{} to {}", from, to));
        expect_parity("cast", {Array(to, n)},
                      [&](Backend& b, Outputs& out) { b.cast(x.view(), out[0].view()); });
        if (HasFailure()) return;
      }
    }
  }
  // All 2^16 halves, each way: rounding, subnormals, NaN.
  for (const DType half : {DType::f16, DType::bf16}) {
    Array all(half, 65536);
    for (std::int64_t i = 0; i < 65536; ++i) all.as<std::uint16_t>()[i] = static_cast<std::uint16_t>(i);
    Array wide(DType::f32, 65536);
    expect_parity("cast", {wide}, [&](Backend& b, Outputs& out) { b.cast(all.view(), out[0].view()); });
    backend(Device::cpu()).cast(all.view(), wide.view());
    for (std::int64_t i = 0; i < 65536; ++i) {  // between two halves, on the tie and beside it
      auto bits = numerics::bit_cast<std::uint32_t>(wide.as<float>()[i]);
      bits += half == DType::f16 ? 0x0fffu + static_cast<std::uint32_t>(i % 3)
                                 : 0x7fffu + static_cast<std::uint32_t>(i % 3);
      wide.as<float>()[i] = numerics::bit_cast<float>(bits);
    }
    expect_parity("cast", {Array(half, 65536)},
                  [&](Backend& b, Outputs& out) { b.cast(wide.view(), out[0].view()); });
  }
  const Array image = random_array(DType::u8, 500001);
  expect_parity("cast", {Array(DType::f32, 500001)},
                [&](Backend& b, Outputs& out) { b.cast(image.view(), out[0].view()); });
}

TEST(MovementParity, StridedCopy) {
  struct Problem {
    std::vector<std::int64_t> extents, strides;
    std::int64_t offset, size;
  };
  const Problem problems[] = {
      {{40, 33}, {1, 40}, 0, 40 * 33},               // transpose
      {{3, 65, 70}, {4550, 1, 65}, 0, 3 * 65 * 70},  // channels last and back
      {{64, 3, 70}, {210, 1, 3}, 0, 64 * 210},
      {{5, 6, 7}, {1, 5, 30}, 0, 210},  // all axes turned round
      {{300, 500}, {1, 300}, 0, 300 * 500},
      {{4, 9}, {9, -1}, 8, 36},  // flip
      {{4, 9}, {0, 1}, 2, 11},   // expand
      {{9, 4}, {1, 0}, 0, 9},
      {{10, 20}, {50, 2}, 7, 600},  // slice
      {{1000003}, {1}, 1, 1000004},
      {{0, 3}, {3, 1}, 0, 1},
      {{1}, {1}, 3, 4},
  };
  for (const Problem& p : problems) {
    StridedGeometry g;
    g.rank = static_cast<int>(p.extents.size());
    for (int i = 0; i < g.rank; ++i) {
      g.extent[i] = p.extents[static_cast<std::size_t>(i)];
      g.stride[0][i] = p.strides[static_cast<std::size_t>(i)];
    }
    g.offset[0] = p.offset;
    for (const DType dtype : {DType::u8, DType::bf16, DType::f32, DType::i64}) {
      if (p.size > 1000000 && dtype != DType::f32) continue;
      SCOPED_TRACE(fmt::format("[{}] {}", fmt::join(p.extents, ","), dtype));
      const Array x = random_array(dtype, p.size, Values::hard);
      expect_parity("strided_copy", {Array(dtype, g.numel())},
                    [&](Backend& b, Outputs& out) { b.strided_copy(g, x.view(), out[0].view()); });
      if (HasFailure()) return;
    }
  }
}

TEST(MovementParity, Pad) {
  struct Axis {
    std::int64_t in, before, after;
  };
  const std::vector<Axis> problems[] = {
      {{7, 2, 3}},
      {{7, -2, 3}},
      {{7, -2, -5}},
      {{3, 0, 0}, {5, 1, 2}, {6, 2, 0}, {4, 0, 0}},
      {{3, 1, 0}, {5, -1, 2}, {6, 2, -3}, {4, 0, 1}},
      {{0, 2, 1}, {3, 1, 1}},
      {{60, 0, 0}, {30, 2, 2}, {30, 2, 2}, {3, 0, 0}},
      {{5, 0, 0}, {4, 0, 0}},
      {{5, 7, -8}},  // what remains lies outside the input
  };
  for (const auto& axes : problems) {
    PadGeometry g;
    g.rank = static_cast<int>(axes.size());
    std::int64_t in = 1, out_size = 1;
    for (int i = 0; i < g.rank; ++i) {
      const Axis& a = axes[static_cast<std::size_t>(i)];
      g.in[i] = a.in, g.before[i] = a.before, g.out[i] = a.before + a.in + a.after;
      in *= g.in[i], out_size *= g.out[i];
    }
    g.value = 0.7;
    for (const DType dtype : kAll) {
      SCOPED_TRACE(
          fmt::format("rank {} [{}] {}", g.rank, fmt::join(g.in.begin(), g.in.begin() + g.rank, ","), dtype));
      const Array x = random_array(dtype, in), dy = random_array(dtype, out_size);
      expect_parity("pad", {Array(dtype, out_size)},
                    [&](Backend& b, Outputs& out) { b.pad(g, x.view(), out[0].view()); });
      expect_parity("pad_backward", {Array(dtype, in)},
                    [&](Backend& b, Outputs& out) { b.pad_backward(g, dy.view(), out[0].view()); });
      if (HasFailure()) return;
    }
  }
}

TEST(MovementParity, Rows) {
  for (const std::int64_t row_size : {0, 1, 5, 64, 700}) {
    for (const std::int64_t count : {0, 1, 50, 400}) {
      const std::int64_t rows = 37;
      std::vector<std::int64_t> at;
      for (std::int64_t i = 0; i < count; ++i) at.push_back(i * i * 7 % rows / (i % 3 + 1));
      const Array index = index_array(at);
      for (const DType dtype : kAll) {
        SCOPED_TRACE(fmt::format("{} rows of {} {}", count, row_size, dtype));
        const Array x = random_array(dtype, rows * row_size),
                    dy = random_array(dtype, count * row_size, Values::hard);
        expect_parity("gather_rows", {Array(dtype, count * row_size)}, [&](Backend& b, Outputs& out) {
          b.gather_rows(x.view(), index.view(), row_size, out[0].view());
        });
        if (is_floating(dtype))
          expect_parity("scatter_add_rows", {Array(dtype, rows * row_size)}, [&](Backend& b, Outputs& out) {
            b.scatter_add_rows(dy.view(), index.view(), rows, row_size, out[0].view());
          });
        if (HasFailure()) return;
      }
    }
  }
}

TEST(MovementParity, OneHot) {
  std::vector<std::int64_t> at;
  for (std::int64_t i = 0; i < 9000; ++i) at.push_back(i * i % 11);
  const Array label = index_array(at);
  for (const DType dtype : kAll)
    expect_parity("one_hot", {Array(dtype, 9000 * 11)},
                  [&](Backend& b, Outputs& out) { b.one_hot(label.view(), 11, 0.9, 0.1, out[0].view()); });
}

}  // namespace
}  // namespace isobit::parity
