// The comparison's verdicts on honest results, overflow, and wrong ones that nothing explains; where.
#include <gtest/gtest.h>
#include <isobit/compare.h>
#include <isobit/error.h>

#include <cmath>
#include <functional>
#include <limits>

#include "core/numerics/half.h"
#include "tests/support/plain_conv.h"
#include "tests/support/random_conv.h"

namespace isobit {
namespace {

using compare::Judgement;
using compare::Op;
using compare::Problem;
using compare::Result;
using compare::Verdict;
using test::Draw;
using test::PlainConv;
using test::PlainTerm;
using test::random_conv;

TEST(Compare, HundredHonestControls) {
  int equal = 0, reordered = 0;
  for (std::uint64_t i = 0; i < 100; ++i) {
    Draw draw(i);
    const PlainConv c = random_conv(draw);
    const auto operand = [&](const Shape& shape, std::uint64_t stream) {
      const Tensor t = random_normal(shape, {i, stream}, i % 7 == 3 ? 2 : 0);
      if (i % 5 == 1)
        return t.to(DType::i32).to(DType::f32);  // whole numbers: every order gives the same bits
      if (i % 5 == 2) return round_operands(t, compare::Operands::tf32);
      return t;
    };
    Problem p;
    p.x = operand(c.x_shape(), 1);
    p.w = operand(c.w_shape(), 2);
    p.dy = operand(c.y_shape(), 3);
    p.conv = c.options();
    Tensor got;
    switch (i % 4) {
      case 0:
        got = test::plain_forward(c, c, p.x, p.w);
        break;
      case 1:
        p.result = Result::dx;
        got = test::plain_backward_input(c, c, p.dy, p.w);
        break;
      case 2:
        p.result = Result::dw;
        got = test::plain_backward_filter(c, c, p.x, p.dy);
        break;
      default:  // the transposed convolution from dy to x
        p.op = Op::conv_transpose;
        p.transpose.stride = c.stride;
        p.transpose.dilation = c.dilation;
        p.transpose.groups = c.groups;
        p.transpose.padding = Padding({{c.top, c.bottom}, {c.left, c.right}});
        p.transpose.output_shape = PerAxis(c.h, c.w);
        got = test::plain_backward_input(c, c, p.dy, p.w);
        p.x = p.dy;
    }
    const Judgement j = judge(p, got);
    equal += j.verdict == Verdict::bit_equal;
    reordered += j.verdict == Verdict::reordered;
    EXPECT_TRUE(j.verdict == Verdict::bit_equal || j.verdict == Verdict::reordered)
        << i << ": " << j.to_string();
    EXPECT_LE(j.max_share, 1) << i;
    EXPECT_TRUE(j.where.words.empty()) << i << ": " << j.where.words;
    if (i % 5 == 1) {
      EXPECT_EQ(j.verdict, Verdict::bit_equal) << i << ": " << j.to_string();
    }
  }
  EXPECT_EQ(equal + reordered, 100);
  EXPECT_GT(equal, 15);
  EXPECT_GT(reordered, 50);
}

TEST(Compare, HonestSumsInF16) {
  for (std::uint64_t i = 0; i < 60; ++i) {
    Draw draw(i + 1000);
    const PlainConv c = random_conv(draw);
    Problem p;
    p.x = random_normal(c.x_shape(), {i, 1}, i % 3 == 1 ? 1 : 0);
    if (i % 3 == 2) p.x = relu(p.x);
    p.w = random_normal(c.w_shape(), {i, 2});
    p.dy = random_normal(c.y_shape(), {i, 3}, i % 2 == 1 ? 0.5 : 0);
    p.conv = c.options();
    const auto narrow = [](float sum, float a, float b, const PlainTerm&) {
      return numerics::f16_to_f32(numerics::f32_to_f16(sum + a * b));
    };
    Tensor got;
    switch (i % 4) {
      case 0:
      case 1:
        got = test::plain_forward(c, c, p.x, p.w, narrow);
        break;
      case 2:
        p.result = Result::dx;
        got = test::plain_backward_input(c, c, p.dy, p.w, narrow);
        break;
      default:
        p.result = Result::dw;
        got = test::plain_backward_filter(c, c, p.x, p.dy, narrow);
    }
    const Judgement j = judge(p, got);
    EXPECT_TRUE(j.verdict == Verdict::lower_precision || j.verdict == Verdict::bit_equal)
        << i << " of " << p.to_string() << ": " << j.to_string();
  }
}

Problem plain_problem(const PlainConv& c, Result result = Result::y) {
  Problem p;
  p.result = result;
  p.x = random_normal(c.x_shape(), {3, 1});
  p.w = random_normal(c.w_shape(), {3, 2});
  p.dy = random_normal(c.y_shape(), {3, 3});
  p.conv = c.options();
  return p;
}

TEST(Compare, LinearPoolsAndBias) {
  Problem p;
  p.op = Op::linear;
  p.x = random_normal({3, 4, 50}, {1, 1});
  p.w = random_normal({50, 7}, {1, 2});
  p.b = random_normal({7}, {1, 3});
  p.dy = random_normal({3, 4, 7}, {1, 4});
  for (const Result result : {Result::y, Result::dx, Result::dw, Result::db}) {
    p.result = result;
    EXPECT_EQ(judge(p, run(p)).verdict, Verdict::bit_equal);
    // One rounding of f64's result is as honest as any order.
    Problem wide = p;
    wide.x = p.x.to(DType::f64);
    wide.w = p.w.to(DType::f64);
    wide.b = p.b.to(DType::f64);
    wide.dy = p.dy.to(DType::f64);
    const Judgement j = judge(p, run(wide).to(DType::f32));
    EXPECT_EQ(j.verdict, Verdict::reordered) << j.to_string();
    EXPECT_LT(j.ratio, 1) << j.to_string();
  }
  p.result = Result::y;
  Problem bare = p;
  bare.b = Tensor();
  EXPECT_EQ(judge(p, run(bare)).explanation, "bias left out");
  const Judgement narrow = judge(p, run(p, {}, compare::Operands::bf16));
  EXPECT_EQ(narrow.verdict, Verdict::lower_precision);
  EXPECT_EQ(narrow.explanation, "operands rounded to bf16");

  Problem pool;
  pool.op = Op::max_pool;
  pool.x =
      sub(random_normal({2, 5, 5, 3}, {1, 5}), full({2, 5, 5, 3}, 4));  // below 0: padding with zeros shows
  pool.window = 3;
  pool.pool.padding = 1;
  pool.pool.stride = 2;
  EXPECT_EQ(judge(pool, run(pool)).verdict, Verdict::bit_equal);
  const Tensor zeros_around =
      max_pool(pad(pool.x, {{0, 0}, {1, 1}, {1, 1}, {0, 0}}), 3, {.stride = PerAxis(2)});
  const Judgement j = judge(pool, zeros_around);
  EXPECT_EQ(j.explanation, "padding counted as zeros") << j.to_string();
  EXPECT_NE(j.where.words.find("border"), std::string::npos) << j.to_string();
}

TEST(Compare, Overflow) {
  const PlainConv c{.h = 4, .w = 4, .c = 2, .k = 3, .r = 3, .s = 3};
  Problem p = plain_problem(c);
  p.x.mutable_data<float>()[0] = 3e38f;
  p.x.mutable_data<float>()[1] = 3e38f;
  p.w.fill(3);
  const Tensor y = test::plain_forward(c, c, p.x, p.w);
  EXPECT_EQ(judge(p, run(p)).verdict, Verdict::bit_equal) << "exact mode overflows, too";
  EXPECT_EQ(judge(p, y).verdict, Verdict::overflow);
  std::vector<float> values = y.to_vector<float>();
  ASSERT_TRUE(std::isinf(values[0]));
  values[0] = std::numeric_limits<float>::quiet_NaN();  // inf - inf of another order
  const Judgement j = judge(p, from_vector(values, y.shape()));
  EXPECT_EQ(j.verdict, Verdict::overflow) << j.to_string();

  // Beyond f16 in an accumulator of f16.
  Problem q = plain_problem(c);
  q.x.fill(200);
  q.w.fill(100);
  q.w.mutable_data<float>()[0] = 1.5f;
  const Tensor narrow =
      test::plain_forward(c, c, q.x, q.w, [](float sum, float a, float b, const PlainTerm&) {
        return numerics::f16_to_f32(numerics::f32_to_f16(sum + a * b));
      });
  const Judgement beyond = judge(q, narrow);
  EXPECT_EQ(beyond.verdict, Verdict::overflow) << beyond.to_string();
}

TEST(Compare, WrongThatNothingExplains) {
  const PlainConv c{.n = 4, .h = 6, .w = 5, .c = 3, .k = 6, .r = 3, .s = 3, .groups = 3};
  const Problem p = plain_problem(c);
  const Tensor y = test::plain_forward(c, c, p.x, p.w);
  const auto spoiled =
      [&](const std::function<bool(std::int64_t n, std::int64_t at, std::int64_t k)>& where) {
        std::vector<float> values = y.to_vector<float>();
        for (std::size_t i = 0; i < values.size(); ++i) {
          const auto at = static_cast<std::int64_t>(i);
          if (where(at / (12 * 6), at / 6 % 12, at % 6)) values[i] += 1 + static_cast<float>(i % 7);
        }
        const Judgement j = judge(p, from_vector(values, y.shape()));
        EXPECT_EQ(j.verdict, Verdict::wrong) << j.to_string();
        EXPECT_EQ(j.explanation, "") << j.to_string();
        return j.where.words;
      };
  EXPECT_EQ(spoiled([](std::int64_t n, std::int64_t, std::int64_t) { return n == 2; }),
            "all 72 wrong elements (25 % of all) lie in sample 2");
  EXPECT_EQ(spoiled([](std::int64_t, std::int64_t, std::int64_t k) { return k / 2 == 1; }),
            "all 96 wrong elements (33.3 % of all) lie in group 1 of 3");
  EXPECT_EQ(spoiled([](std::int64_t, std::int64_t at, std::int64_t) { return at % 3 == 2; }),
            "all 96 wrong elements (33.3 % of all) lie in the right border column");
  EXPECT_EQ(spoiled([](std::int64_t n, std::int64_t at, std::int64_t k) {
              return n == 3 && at / 3 == 1 && k == 4;
            }),
            "all 3 wrong elements (1.04 % of all) lie in row 1, channel 4, the last sample (3)");
  EXPECT_EQ(spoiled([](std::int64_t, std::int64_t at, std::int64_t) {
              return at / 3 == 0 || at / 3 == 3 || at % 3 != 1;
            }),
            "all 240 wrong elements (83.3 % of all) lie in the border, one pixel wide");
  // A NaN where there should be none.
  std::vector<float> values = y.to_vector<float>();
  values[7] = std::numeric_limits<float>::quiet_NaN();
  const Judgement j = judge(p, from_vector(values, y.shape()));
  EXPECT_EQ(j.verdict, Verdict::wrong);
  EXPECT_EQ(j.first, 7);
  EXPECT_TRUE(std::isinf(j.max_share));
}

TEST(Compare, ZerosAndAMissingTermAreRefused) {
  const PlainConv c{.h = 5, .w = 5, .c = 512, .k = 2, .r = 3, .s = 3};
  const Problem p = plain_problem(c);
  EXPECT_EQ(judge(p, zeros(c.y_shape())).verdict, Verdict::wrong);
  const Tensor y = test::plain_forward(c, c, p.x, p.w, [](float sum, float a, float b, const PlainTerm& t) {
    return t.c == 100 && t.r == 1 && t.s == 1 ? sum : sum + a * b;  // one of 4608
  });
  EXPECT_EQ(judge(p, y).verdict, Verdict::wrong);
}

TEST(Compare, ADriftIsNoFault) {
  // Ten thousand equal numbers, added up one after the other: every rounding goes the same way.
  Problem p;
  p.op = Op::linear;
  const std::int64_t n = 10000;
  p.x = full({2, n}, 0.1);
  p.w = full({n, 3}, 0.7);
  std::vector<float> y;
  for (int i = 0; i < 6; ++i) {
    float sum = 0;
    for (std::int64_t t = 0; t < n; ++t) sum += 0.1f * 0.7f;
    y.push_back(sum);
  }
  const Judgement j = judge(p, from_vector(y, {2, 3}));
  EXPECT_EQ(j.verdict, Verdict::reordered) << j.to_string();
  EXPECT_NE(j.note.find("further off than roundings"), std::string::npos) << j.to_string();
}

TEST(Compare, Features) {
  const PlainConv c{
      .n = 2, .h = 8, .w = 8, .c = 2, .k = 12, .r = 3, .s = 3, .stride = 2, .top = 1, .left = 1};
  const Problem p = plain_problem(c, Result::dx);
  std::vector<float> values = run(p).to_vector<float>();
  for (std::size_t i = 0; i < values.size(); ++i)
    if (i / 2 % 8 == 0) values[i] += 10;  // the left column
  const Judgement j = judge(p, from_vector(values, c.x_shape()));
  const auto wrong_in = [&](const std::string& feature, const std::string& bucket) -> std::int64_t {
    for (const compare::Feature& f : j.where.features)
      for (const compare::Bucket& b : f.buckets)
        if (f.name == feature && b.name == bucket) return b.wrong;
    return -1;
  };
  EXPECT_EQ(wrong_in("columns from the left", "0"), 32);
  EXPECT_EQ(wrong_in("columns from the left", "1"), 0);
  EXPECT_EQ(wrong_in("columns from the right", "4 and more"), 32);
  EXPECT_EQ(wrong_in("phase of the stride", "(1,1)"), 16);
  EXPECT_EQ(wrong_in("phase of the stride", "(1,0)"), 0);
  EXPECT_EQ(wrong_in("sample", "1"), 16);
  EXPECT_EQ(wrong_in("channel c", "1"), 16);
  ASSERT_EQ(j.where.map.shape(), (Shape{8, 8}));
  EXPECT_EQ(j.where.map_axes, "h, w");
  EXPECT_GT(j.where.map.data<float>()[8], 1);
  EXPECT_LE(j.where.map.data<float>()[9], 1);
}

TEST(Compare, ARowIsNoPhase) {
  // The top row of a transposed convolution is one of many in its phase.
  const PlainConv c{.n = 2, .h = 9, .w = 8, .c = 2, .k = 3, .r = 3, .s = 3, .stride = 2};
  const Problem p = plain_problem(c, Result::dx);
  std::vector<float> values = run(p).to_vector<float>();
  for (std::size_t i = 0; i < values.size(); ++i)
    if (i / 16 % 9 == 0) values[i] += 1;
  EXPECT_NE(judge(p, from_vector(values, c.x_shape())).where.words.find("lie in the top border row"),
            std::string::npos);
}

TEST(Compare, StridesOfAnySize) {
  // Their product is 0 in 64 bits.
  Problem p;
  p.result = Result::dx;
  p.x = random_normal({1, 4, 4, 2}, {3, 1});
  p.w = random_normal({3, 3, 2, 2}, {3, 2});
  p.dy = random_normal({1, 1, 1, 2}, {3, 3});
  p.conv.stride = PerAxis(std::int64_t{1} << 32, std::int64_t{1} << 32);
  const Judgement j = judge(p, add(run(p), full({}, 1)));
  EXPECT_EQ(j.verdict, Verdict::wrong) << j.to_string();
  for (const compare::Feature& f : j.where.features) EXPECT_NE(f.name, "phase of the stride");
}

TEST(Compare, HeatMap) {
  const Tensor picture = compare::heat_map(
      from_vector(std::vector<float>{0, 1, 2, std::numeric_limits<float>::infinity()}, {2, 2}), 2, 3);
  ASSERT_EQ(picture.shape(), (Shape{6, 6, 3}));
  const auto pixel = [&](std::size_t row, std::size_t column) {
    const auto* at = picture.data<std::uint8_t>().data() + (row * 6 + column) * 3;
    return std::vector<int>{at[0], at[1], at[2]};
  };
  EXPECT_EQ(pixel(0, 0), (std::vector<int>{68, 1, 84}));
  EXPECT_EQ(pixel(2, 2), pixel(0, 0));
  EXPECT_EQ(pixel(0, 3), (std::vector<int>{33, 144, 141}));
  EXPECT_EQ(pixel(3, 0), (std::vector<int>{253, 231, 37}));
  EXPECT_EQ(pixel(5, 5), (std::vector<int>{255, 255, 255}));
  EXPECT_THROW(compare::heat_map(zeros({3}), 1), Error);
}

TEST(Compare, SaysWhatIsNoProblem) {
  const PlainConv c{.h = 4, .w = 4, .c = 2, .k = 3, .r = 3, .s = 3};
  const Problem p = plain_problem(c);
  EXPECT_THROW(judge(p, zeros({1, 2, 2, 4})), Error);
  Problem activated = p;
  activated.conv.activation = Activate::gelu;
  EXPECT_THROW(judge(activated, run(p)), Error);
  activated.conv.activation = Activate::relu;
  EXPECT_EQ(judge(activated, relu(run(p))).verdict, Verdict::bit_equal);
  EXPECT_EQ(judge(activated, run(p)).explanation, "relu left out");
  activated.result = Result::dx;
  EXPECT_THROW(judge(activated, p.x), Error);
  Problem bare = p;
  bare.w = Tensor();
  EXPECT_THROW(judge(bare, run(p)), Error);
  EXPECT_THROW(compare::parse_operands("f8"), Error);
  EXPECT_EQ(compare::parse_operands("bf16"), compare::Operands::bf16);
}

}  // namespace
}  // namespace isobit
