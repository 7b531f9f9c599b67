// Padding modes against NumPy's pad and SciPy's correlate, and the gradients of pad against what NumPy shows:
// the element that k places show gets the sum of their k gradients.
#include <gtest/gtest.h>
#include <isobit/autograd.h>
#include <isobit/ops.h>

#include <fstream>
#include <sstream>

#include "tests/support/paths.h"

namespace isobit::test {
namespace {

PadMode mode_named(const std::string& name) {
  for (int i = 0; i < kPadModes; ++i)
    if (name == name_of(static_cast<PadMode>(i))) return static_cast<PadMode>(i);
  ADD_FAILURE() << "no mode " << name;
  return PadMode::constant;
}

std::vector<double> numbers_of(std::istringstream& line) {
  std::vector<double> numbers;
  for (double v = 0; line >> v;) numbers.push_back(v);
  return numbers;
}

double at(const Tensor& t, std::int64_t i) {
  return static_cast<const double*>(t.raw())[i];
}

void check_pad(std::istringstream& line, const std::string& text) {
  std::string mode;
  std::int64_t n = 0, before = 0, after = 0;
  char colon = 0;
  line >> mode >> n >> before >> after >> colon;
  const std::vector<double> shown = numbers_of(line);
  ASSERT_EQ(shown.size(), static_cast<std::size_t>(before + n + after)) << text;
  Tensor x = arange(n, 0, 1, {.dtype = DType::f64}).set_requires_grad();
  const Tensor y = pad(x, {{before, after}}, mode_named(mode), -1);
  const Tensor dy = arange(y.numel(), 1, 1, {.dtype = DType::f64});
  const Tensor dx = grad(y, {x}, dy)[0];
  std::vector<double> expected(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < shown.size(); ++i) {
    EXPECT_EQ(at(y, static_cast<std::int64_t>(i)), shown[i]) << text << " place " << i;
    if (shown[i] >= 0) expected[static_cast<std::size_t>(shown[i])] += static_cast<double>(i + 1);
  }
  for (std::int64_t i = 0; i < n; ++i) EXPECT_EQ(at(dx, i), expected[static_cast<std::size_t>(i)]) << text;
}

void check_correlate(std::istringstream& line, const std::string& text) {
  std::string mode;
  std::int64_t rows = 0, columns = 0;
  char colon = 0;
  line >> mode >> rows >> columns >> colon;
  const std::vector<double> expected = numbers_of(line);
  ASSERT_EQ(expected.size(), 30u) << text;
  const Tensor x = arange(30, 1, 1, {.dtype = DType::f64}).reshape({1, 5, 6, 1});
  const Tensor w =
      arange(rows * columns, 1 - static_cast<double>(rows * columns / 2), 1, {.dtype = DType::f64})
          .reshape({rows, columns, 1, 1});
  ConvOptions o;
  o.padding = Same;
  o.mode = mode_named(mode);
  o.pad_value = 2;
  const Tensor y = conv(x, w, {}, o);
  for (std::int64_t i = 0; i < 30; ++i)
    EXPECT_EQ(at(y, i), expected[static_cast<std::size_t>(i)]) << text << " element " << i;
}

TEST(BorderConformance, NumpyPadsAndScipyCorrelates) {
  std::ifstream file(tests_directory() + "/conformance/data/border.txt");
  ASSERT_TRUE(file);
  int pads = 0, correlations = 0;
  for (std::string text; std::getline(file, text);) {
    if (text.empty() || text[0] == '#') continue;
    std::istringstream line(text);
    std::string kind;
    line >> kind;
    const std::string name = text.substr(0, text.find(':'));
    if (kind == "pad") {
      check_pad(line, name);
      ++pads;
    } else {
      check_correlate(line, name);
      ++correlations;
    }
  }
  EXPECT_EQ(pads, 240);
  EXPECT_EQ(correlations, 25);
}

}  // namespace
}  // namespace isobit::test
