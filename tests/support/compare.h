// Comparison by bits: any NaN equals any NaN, everything else is compared as it lies, zeros' signs included.
#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "core/backend.h"

namespace isobit::test {

/// EXPECT_TRUE(equal_bits(got, expected)) << shape: names the first place that differs, both values and their
/// bits, and how many differ. The elements are host memory.
testing::AssertionResult equal_bits(ConstView got, ConstView expected);

/// The same as an expectation; `what` stands in front of the message.
void expect_equal_bits(ConstView got, ConstView expected, const std::string& what);

/// One element as text, with its bits.
std::string element_text(ConstView v, std::int64_t i);

/// Element i as a double.
double element_value(ConstView v, std::int64_t i);

/// Whether two elements of the views count as equal.
bool same_element(ConstView a, ConstView b, std::int64_t i);

}  // namespace isobit::test
