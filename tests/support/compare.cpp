#include "tests/support/compare.h"

namespace isobit::test {

testing::AssertionResult equal_bits(ConstView got, ConstView expected) {
  if (got.dtype != expected.dtype || got.numel != expected.numel)
    return testing::AssertionFailure() << fmt::format("got {}[{}], expected {}[{}]", got.dtype, got.numel,
                                                      expected.dtype, expected.numel);
  const auto found = verify::compare(got, expected);
  if (!found) return testing::AssertionSuccess();
  return testing::AssertionFailure() << fmt::format(
             "{} of {} elements differ, first [{}]: got {}, expected {}", found->count, got.numel,
             found->first, element_text(got, found->first), element_text(expected, found->first));
}

void expect_equal_bits(ConstView got, ConstView expected, const std::string& what) {
  EXPECT_TRUE(equal_bits(got, expected)) << what;
}

}  // namespace isobit::test
