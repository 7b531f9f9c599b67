// softmax, log_softmax and their gradients against the reference: rows around the lanes and the vector width,
// with equal maxima, infinities and NaN.
#include "tests/parity/parity.h"

namespace isobit::parity {
namespace {

struct Rows {
  std::int64_t rows, columns;
};
constexpr Rows kRows[] = {{3, 1},  {7, 2},  {64, 10},  {5, 15},    {5, 16}, {4, 63},
                          {4, 64}, {3, 65}, {2, 1000}, {700, 131}, {0, 9}};

TEST(SoftmaxParity, Forward) {
  for (const auto& [rows, columns] : kRows) {
    for (const DType dtype : kFloating) {
      for (const Values values : {Values::plain, Values::hard}) {
        const std::int64_t columns_here = columns;
        SCOPED_TRACE(fmt::format("{} rows of {} {}", rows, columns, dtype));
        const Array x = random_array(dtype, rows * columns, values);
        expect_parity("softmax", {Array(dtype, x.numel())},
                      [&](Backend& b, Outputs& out) { b.softmax(columns_here, x.view(), out[0].view()); });
        expect_parity("log_softmax", {Array(dtype, x.numel())}, [&](Backend& b, Outputs& out) {
          b.log_softmax(columns_here, x.view(), out[0].view());
        });
        if (HasFailure()) return;
      }
    }
  }
}

TEST(SoftmaxParity, Backward) {
  for (const auto& [rows, columns] : kRows) {
    for (const DType dtype : kFloating) {
      for (const Values values : {Values::finite, Values::hard}) {
        const std::int64_t columns_here = columns;
        SCOPED_TRACE(fmt::format("{} rows of {} {}", rows, columns, dtype));
        const Array dy = random_array(dtype, rows * columns, values, 1);
        const Array y = random_array(dtype, rows * columns, values, 2);
        expect_parity("softmax_backward", {Array(dtype, y.numel())}, [&](Backend& b, Outputs& out) {
          b.softmax_backward(columns_here, dy.view(), y.view(), out[0].view());
        });
        expect_parity("log_softmax_backward", {Array(dtype, y.numel())}, [&](Backend& b, Outputs& out) {
          b.log_softmax_backward(columns_here, dy.view(), y.view(), out[0].view());
        });
        if (HasFailure()) return;
      }
    }
  }
}

}  // namespace
}  // namespace isobit::parity
