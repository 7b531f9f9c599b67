// Comparison by bits, as an assertion: any NaN equals any NaN, everything else is compared as it lies, zeros'
// signs included.
#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "core/backend.h"
#include "core/verify/array.h"

namespace isobit::test {

using verify::element_text;
using verify::element_value;
using verify::same_element;

/// EXPECT_TRUE(equal_bits(got, expected)) << shape: names the first place that differs, both values and their
/// bits, and how many differ. The elements are host memory.
testing::AssertionResult equal_bits(ConstView got, ConstView expected);

/// The same as an expectation; `what` stands in front of the message.
void expect_equal_bits(ConstView got, ConstView expected, const std::string& what);

}  // namespace isobit::test
