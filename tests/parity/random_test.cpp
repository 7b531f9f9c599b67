// Random numbers and dropout against the reference: starts and lengths off the blocks of the generator,
// probabilities on and beside its steps, the last counters before they wrap.
#include "tests/parity/parity.h"

namespace isobit::parity {
namespace {

constexpr RandomKey kKey{0x123456789abcdef0u, 0xfedcba9876543210u};

TEST(RandomParity, UniformAndNormal) {
  for (const DType dtype : kFloating) {
    for (const std::uint64_t first :
         {std::uint64_t{0}, std::uint64_t{3}, (std::uint64_t{1} << 34) - 5, ~std::uint64_t{0} - 40}) {
      for (const std::int64_t n : {std::int64_t{0}, std::int64_t{1}, std::int64_t{63}, std::int64_t{200}}) {
        SCOPED_TRACE(fmt::format("{} first {} n {}", dtype, first, n));
        expect_parity("random_uniform", {Array(dtype, n)}, [&](Backend& b, Outputs& out) {
          b.random_uniform(kKey, first, -0.3, 1.1, out[0].view());
        });
        expect_parity("random_normal", {Array(dtype, n)}, [&](Backend& b, Outputs& out) {
          b.random_normal(kKey, first, 0.5, 2.0, out[0].view());
        });
        if (HasFailure()) return;
      }
    }
    expect_parity("random_uniform", {Array(dtype, 100003)},
                  [&](Backend& b, Outputs& out) { b.random_uniform(kKey, 1, 0, 1, out[0].view()); });
    expect_parity("random_normal", {Array(dtype, 20003)},
                  [&](Backend& b, Outputs& out) { b.random_normal(kKey, 1, 0, 1, out[0].view()); });
  }
}

TEST(RandomParity, Dropout) {
  for (const DType dtype : kFloating) {
    for (const double p : {0.0, 0.1, 0.5, 0.5 + 0x1p-30, 0x1p-24, 1.0 - 0x1p-24, 0x1p-40}) {
      SCOPED_TRACE(fmt::format("{} p {}", dtype, p));
      const Array x = random_array(dtype, 777, Values::hard);
      expect_parity("dropout", {Array(dtype, 777)},
                    [&](Backend& b, Outputs& out) { b.dropout(kKey, 6, p, x.view(), out[0].view()); });
      expect_parity("dropout", {x},
                    [&](Backend& b, Outputs& out) { b.dropout(kKey, 6, p, out[0].view(), out[0].view()); });
      if (HasFailure()) return;
    }
    const Array x = random_array(dtype, 100003, Values::hard);
    expect_parity("dropout", {Array(dtype, 100003)},
                  [&](Backend& b, Outputs& out) { b.dropout(kKey, 0, 0.25, x.view(), out[0].view()); });
  }
}

}  // namespace
}  // namespace isobit::parity
