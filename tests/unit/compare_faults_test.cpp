// Twelve planted faults, each on three shapes: the comparison must name each of them, with the right verdict
// and place.
#include <gtest/gtest.h>
#include <isobit/compare.h>
#include <isobit/half.h>

#include <cmath>
#include <limits>

#include "core/numerics/half.h"
#include "tests/support/plain_conv.h"

namespace isobit {
namespace {

using compare::Judgement;
using compare::Op;
using compare::Problem;
using compare::Result;
using compare::Verdict;
using test::PlainConv;
using test::PlainTerm;

/// A convolution of random operands.
struct Case {
  PlainConv conv;
  Tensor x, w, dy;
  explicit Case(const PlainConv& c)
      : conv(c),
        x(random_normal(c.x_shape(), {7, 1})),
        w(random_normal(c.w_shape(), {7, 2})),
        dy(random_normal(c.y_shape(), {7, 3})) {}
  Problem problem(Result result) const {
    Problem p;
    p.result = result;
    p.x = x;
    p.w = w;
    p.dy = dy;
    p.conv = conv.options();
    return p;
  }
};

void expect(const Judgement& j, Verdict verdict, const std::string& fault, const std::string& place = "") {
  EXPECT_EQ(name_of(j.verdict), name_of(verdict)) << j.to_string();
  EXPECT_EQ(j.explanation.substr(0, fault.size()), fault) << j.to_string();
  EXPECT_NE(j.where.words.find(place), std::string::npos) << j.to_string();
}

TEST(CompareFaults, FlippedFilter) {
  for (const PlainConv& c :
       {PlainConv{.h = 6, .w = 7, .c = 3, .k = 4, .r = 3, .s = 3, .top = 1, .left = 1},
        PlainConv{.n = 2, .h = 9, .w = 8, .c = 5, .k = 2, .r = 5, .s = 3, .stride = 2},
        PlainConv{.n = 3, .h = 5, .w = 5, .c = 4, .k = 4, .r = 2, .s = 2, .groups = 2}}) {
    const Case of(c);
    const Tensor flipped = flip(of.w, {0, 1});
    expect(judge(of.problem(Result::y), test::plain_forward(c, c, of.x, flipped)), Verdict::wrong,
           "filter flipped", "spread over the whole tensor");
    expect(judge(of.problem(Result::dx), test::plain_backward_input(c, c, of.dy, flipped)), Verdict::wrong,
           "filter flipped");
    const Tensor dw = flip(test::plain_backward_filter(c, c, of.x, of.dy), {0, 1});
    expect(judge(of.problem(Result::dw), dw), Verdict::wrong, "filter flipped");
  }
}

TEST(CompareFaults, PaddingOffByOneOnOneSide) {
  for (const PlainConv& c :
       {PlainConv{
            .h = 6, .w = 7, .c = 3, .k = 4, .r = 3, .s = 3, .top = 1, .bottom = 1, .left = 1, .right = 1},
        PlainConv{.n = 2, .h = 9, .w = 8, .c = 2, .k = 3, .r = 5, .s = 3, .stride = 2, .top = 2, .left = 1},
        PlainConv{.h = 8, .w = 8, .c = 4, .k = 4, .r = 3, .s = 3, .groups = 4, .dilation = 2, .left = 2}}) {
    const Case of(c);
    PlainConv left = c, top = c;
    ++left.left;
    --top.top;
    expect(judge(of.problem(Result::y), test::plain_forward(c, left, of.x, of.w)), Verdict::wrong,
           "padding off by one at the left (one more)");
    expect(judge(of.problem(Result::y), test::plain_forward(c, top, of.x, of.w)), Verdict::wrong,
           "padding off by one at the top (one less)");
  }
}

TEST(CompareFaults, DilationIgnoredInAGradient) {
  for (const PlainConv& c :
       {PlainConv{.h = 9, .w = 9, .c = 3, .k = 4, .r = 3, .s = 3, .dilation = 2},
        PlainConv{.n = 2, .h = 11, .w = 8, .c = 2, .k = 3, .r = 3, .s = 2, .stride = 2, .dilation = 3},
        PlainConv{.h = 8,
        .w = 12,
        .c = 4,
        .k = 4,
        .r = 2,
        .s = 3,
        .groups = 2,
        .dilation = 2,
        .top = 2,
        .left = 2}}) {
    const Case of(c);
    PlainConv dense = c;
    dense.dilation = 1;
    expect(judge(of.problem(Result::dx), test::plain_backward_input(c, dense, of.dy, of.w)), Verdict::wrong,
           "dilation ignored");
    expect(judge(of.problem(Result::dw), test::plain_backward_filter(c, dense, of.x, of.dy)), Verdict::wrong,
           "dilation ignored");
  }
}

TEST(CompareFaults, GroupMixUp) {
  for (const PlainConv& c :
       {PlainConv{.h = 5, .w = 5, .c = 6, .k = 6, .r = 3, .s = 3, .groups = 3},
        PlainConv{.n = 2, .h = 6, .w = 4, .c = 8, .k = 4, .r = 1, .s = 3, .groups = 4, .stride = 2},
        PlainConv{.h = 7, .w = 7, .c = 6, .k = 12, .r = 3, .s = 3, .groups = 6, .top = 1}}) {
    const Case of(c);
    const std::int64_t each = c.c / c.groups;
    std::vector<float> from = of.x.to_vector<float>(), to = from;
    for (std::size_t i = 0; i < to.size(); ++i) {
      const auto channel = static_cast<std::int64_t>(i) % c.c;
      to[i] = from[i - static_cast<std::size_t>(channel) + static_cast<std::size_t>((channel + each) % c.c)];
    }
    expect(judge(of.problem(Result::y), test::plain_forward(c, c, from_vector(to, c.x_shape()), of.w)),
           Verdict::wrong, "groups mixed up: each reads the next one's channels");
  }
}

TEST(CompareFaults, StridePhase) {
  for (const PlainConv& c :
       {PlainConv{.h = 8, .w = 8, .c = 3, .k = 4, .r = 3, .s = 3, .stride = 2, .top = 1, .left = 1},
        PlainConv{.n = 2, .h = 9, .w = 7, .c = 2, .k = 3, .r = 4, .s = 2, .stride = 2},
        PlainConv{.h = 12, .w = 11, .c = 4, .k = 4, .r = 5, .s = 3, .groups = 2, .stride = 3, .top = 2}}) {
    const Case of(c);
    Tensor dx = test::plain_backward_input(c, c, of.dy, of.w);
    std::vector<float> values = dx.to_vector<float>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto at = static_cast<std::int64_t>(i) / c.c;
      const std::int64_t w = at % c.w, h = at / c.w % c.h;
      if ((h + c.top) % c.stride == 1 && (w + c.left) % c.stride == 0) values[i] = 0;
    }
    expect(judge(of.problem(Result::dx), from_vector(values, c.x_shape())), Verdict::wrong,
           "stride phase (1,0) left out", fmt::format("phase (1,0) of stride {}", c.stride));
  }
}

TEST(CompareFaults, TailChannels) {
  for (const PlainConv& c :
       {PlainConv{.h = 5, .w = 6, .c = 3, .k = 19, .r = 3, .s = 3},
        PlainConv{.n = 2, .h = 4, .w = 4, .c = 7, .k = 11, .r = 1, .s = 1},
        PlainConv{.h = 9, .w = 5, .c = 2, .k = 35, .r = 3, .s = 2, .stride = 2, .left = 1}}) {
    const Case of(c);
    const Tensor y =
        test::plain_forward(c, c, of.x, of.w, [&](float sum, float a, float b, const PlainTerm& t) {
          return t.k >= c.k / 4 * 4 ? 0 : sum + a * b;
        });
    expect(judge(of.problem(Result::y), y), Verdict::wrong, "tail of 3 output channels left out",
           fmt::format("the last 3 channels ({} to {})", c.k - 3, c.k - 1));
  }
  // And of the channels that are summed up: all elements are wrong.
  const PlainConv c{.h = 5, .w = 6, .c = 7, .k = 4, .r = 3, .s = 3};
  const Case of(c);
  const Tensor y = test::plain_forward(
      c, c, of.x, of.w,
      [&](float sum, float a, float b, const PlainTerm& t) { return t.c >= 4 ? sum : sum + a * b; });
  expect(judge(of.problem(Result::y), y), Verdict::wrong, "tail of 3 input channels left out of the sum");
}

TEST(CompareFaults, Tf32Operands) {
  for (const PlainConv& c :
       {PlainConv{.h = 6, .w = 7, .c = 3, .k = 4, .r = 3, .s = 3, .top = 1, .left = 1},
        PlainConv{.n = 2, .h = 5, .w = 5, .c = 300, .k = 3, .r = 3, .s = 3},
        PlainConv{.n = 2, .h = 9, .w = 4, .c = 8, .k = 8, .r = 3, .s = 1, .groups = 4, .stride = 2}}) {
    const Case of(c);
    const auto narrow = [](const Tensor& t) { return round_operands(t, compare::Operands::tf32); };
    expect(judge(of.problem(Result::y), test::plain_forward(c, c, narrow(of.x), narrow(of.w))),
           Verdict::lower_precision, "operands rounded to tf32");
    expect(judge(of.problem(Result::dx), test::plain_backward_input(c, c, narrow(of.dy), narrow(of.w))),
           Verdict::lower_precision, "operands rounded to tf32");
    expect(judge(of.problem(Result::dw), test::plain_backward_filter(c, c, narrow(of.x), narrow(of.dy))),
           Verdict::lower_precision, "operands rounded to tf32");
  }
}

TEST(CompareFaults, F16Accumulation) {
  for (const PlainConv& c :
       {PlainConv{.h = 6, .w = 7, .c = 3, .k = 4, .r = 3, .s = 3, .top = 1, .left = 1},
        PlainConv{.n = 2, .h = 5, .w = 5, .c = 40, .k = 3, .r = 3, .s = 3},
        PlainConv{.n = 2, .h = 9, .w = 4, .c = 8, .k = 8, .r = 3, .s = 1, .groups = 4, .stride = 2}}) {
    const Case of(c);
    const auto narrow = [](float sum, float a, float b, const PlainTerm&) {
      return numerics::f16_to_f32(numerics::f32_to_f16(sum + a * b));
    };
    expect(judge(of.problem(Result::y), test::plain_forward(c, c, of.x, of.w, narrow)),
           Verdict::lower_precision, "sums kept in f16");
    const Tensor x = round_operands(of.x, compare::Operands::f16),
                 w = round_operands(of.w, compare::Operands::f16);
    const Judgement both = judge(of.problem(Result::y), test::plain_forward(c, c, x, w, narrow));
    EXPECT_EQ(both.verdict, Verdict::lower_precision) << both.to_string();
  }
}

TEST(CompareFaults, F16HidesNoFault) {
  // Sums of hundreds of terms: the bound of f16 alone would let a flipped filter pass, and from 2047 terms on
  // everything.
  for (const std::int64_t channels : {64, 512}) {
    const PlainConv c{.h = 5, .w = 5, .c = channels, .k = 3, .r = 3, .s = 3, .top = 1, .left = 1};
    const Case of(c);
    const Problem p = of.problem(Result::y);
    const auto narrow = [](float sum, float a, float b, const PlainTerm&) {
      return numerics::f16_to_f32(numerics::f32_to_f16(sum + a * b));
    };
    const Tensor flipped = test::plain_forward(c, c, of.x, flip(of.w, {0, 1}));
    expect(judge(p, flipped.to(DType::f16)), Verdict::wrong, "filter flipped");
    expect(judge(p, flipped.to(DType::f16).to(DType::f32)), Verdict::wrong, "");
    expect(judge(p, test::plain_forward(c, c, of.x, flip(of.w, {0, 1}), narrow)), Verdict::wrong, "");
    const Tensor garbage = random_normal(c.y_shape(), {7, 4}, 0, 30);
    expect(judge(p, garbage.to(DType::f16)), Verdict::wrong, "");
    expect(judge(p, garbage.to(DType::f16).to(DType::f32)), Verdict::wrong, "");
    expect(judge(p, test::plain_forward(c, c, of.x, of.w, narrow)), Verdict::lower_precision,
           "sums kept in f16");
    // One of the input channels is missing: of 512 no more than roundings in f16 could do.
    const Tensor tailless =
        test::plain_forward(c, c, of.x, of.w, [&](float sum, float a, float b, const PlainTerm& t) {
          return t.c == channels - 1 ? sum : sum + a * b;
        });
    const std::string tail = "tail of 1 input channel left out of the sum";
    expect(judge(p, tailless.to(DType::f16)), Verdict::wrong, tail);
    expect(judge(p, tailless.to(DType::f16).to(DType::f32)), Verdict::wrong, channels == 512 ? tail : "");
  }
  // Positive operands: the sums drift upwards, and so do their errors.
  const PlainConv c{.h = 4, .w = 4, .c = 64, .k = 3, .r = 3, .s = 3};
  Case of(c);
  of.x = abs(of.x);
  of.w = abs(of.w);
  const auto narrow = [](float sum, float a, float b, const PlainTerm&) {
    return numerics::f16_to_f32(numerics::f32_to_f16(sum + a * b));
  };
  expect(judge(of.problem(Result::y), test::plain_forward(c, c, of.x, of.w, narrow)),
         Verdict::lower_precision, "sums kept in f16");
}

TEST(CompareFaults, MissingBorderTap) {
  for (const PlainConv& c :
       {PlainConv{
            .h = 6, .w = 7, .c = 3, .k = 4, .r = 3, .s = 3, .top = 1, .bottom = 1, .left = 1, .right = 1},
        PlainConv{.n = 2, .h = 9, .w = 8, .c = 2, .k = 3, .r = 5, .s = 3, .stride = 2, .top = 2, .left = 1},
        PlainConv{.h = 8, .w = 8, .c = 4, .k = 4, .r = 3, .s = 3, .groups = 4, .dilation = 2, .left = 2}}) {
    const Case of(c);
    const Tensor y =
        test::plain_forward(c, c, of.x, of.w, [](float sum, float a, float b, const PlainTerm& t) {
          return t.q == 0 && t.r == 2 && t.s == 1 ? sum : sum + a * b;
        });
    expect(judge(of.problem(Result::y), y), Verdict::wrong, "tap (2,1) missing at the left border",
           "the left border column");
    const Tensor line =
        test::plain_forward(c, c, of.x, of.w, [&](float sum, float a, float b, const PlainTerm& t) {
          return t.p == c.p() - 1 && t.r == 0 ? sum : sum + a * b;
        });
    expect(judge(of.problem(Result::y), line), Verdict::wrong, "tap row 0 missing at the bottom border",
           "the bottom border row");
  }
}

TEST(CompareFaults, WrongDivisorInAveragePooling) {
  struct Pool {
    Shape x;
    std::int64_t window, stride, padding;
  };
  for (const Pool& pool :
       {Pool{{2, 6, 6, 3}, 3, 1, 1}, Pool{{1, 7, 9, 4}, 3, 2, 1}, Pool{{2, 8, 8, 2}, 4, 2, 2}}) {
    Problem p;
    p.op = Op::avg_pool;
    p.x = random_normal(pool.x, {9, 1});
    p.window = pool.window;
    p.pool.stride = pool.stride;
    p.pool.padding = pool.padding;
    PoolOptions counted = p.pool;
    counted.count_include_pad = true;
    expect(judge(p, avg_pool(p.x, p.window, counted)), Verdict::wrong,
           "wrong divisor: the padding is counted", "border");
    p.dy = random_normal(avg_pool(p.x, p.window, p.pool).shape(), {9, 2});
    p.result = Result::dx;
    Problem other = p;
    other.pool = counted;
    expect(judge(p, run(other)), Verdict::wrong, "wrong divisor: the padding is counted");
  }
}

TEST(CompareFaults, TransposedConvolutionOffByOnePixel) {
  for (const PlainConv& c :
       {PlainConv{.h = 9, .w = 9, .c = 3, .k = 4, .r = 3, .s = 3, .stride = 2, .top = 1, .left = 1},
        PlainConv{.n = 2,
        .h = 8,
        .w = 12,
        .c = 2,
        .k = 3,
        .r = 4,
        .s = 4,
        .stride = 2,
        .top = 1,
        .bottom = 1,
        .left = 1,
        .right = 1},
        PlainConv{.h = 7, .w = 7, .c = 4, .k = 2, .r = 3, .s = 2}}) {
    const Case of(c);
    Problem p;
    p.op = Op::conv_transpose;
    p.x = of.dy;
    p.w = of.w;
    p.transpose.stride = c.stride;
    p.transpose.padding = Padding({{c.top, c.bottom}, {c.left, c.right}});
    p.transpose.output_shape = PerAxis(c.h, c.w);
    PlainConv down = c, right = c;
    --down.top;
    --right.left;
    expect(judge(p, test::plain_backward_input(c, down, of.dy, of.w)), Verdict::wrong,
           "transposed convolution off by one pixel towards the bottom");
    expect(judge(p, test::plain_backward_input(c, right, of.dy, of.w)), Verdict::wrong,
           "transposed convolution off by one pixel towards the right");
  }
}

TEST(CompareFaults, NaNSwallowed) {
  for (const PlainConv& c :
       {PlainConv{.h = 6, .w = 7, .c = 3, .k = 4, .r = 3, .s = 3, .top = 1, .left = 1},
        PlainConv{.n = 2, .h = 5, .w = 5, .c = 9, .k = 3, .r = 1, .s = 1},
        PlainConv{.n = 2, .h = 9, .w = 4, .c = 8, .k = 8, .r = 3, .s = 1, .groups = 4, .stride = 2}}) {
    Case of(c);
    of.x.mutable_data<float>()[5] = std::numeric_limits<float>::quiet_NaN();
    const Tensor y = test::plain_forward(c, c, of.x, of.w, [](float sum, float a, float b, const PlainTerm&) {
      return std::isnan(a) ? sum : sum + a * b;
    });
    const Judgement j = judge(of.problem(Result::y), y);
    expect(j, Verdict::nan_swallowed, "NaN swallowed");
    const Tensor right = run(of.problem(Result::y));
    std::int64_t nans = 0;
    for (const float v : right.data<float>()) nans += std::isnan(v) ? 1 : 0;
    EXPECT_GT(nans, 0);
    EXPECT_EQ(j.beyond, nans) << j.to_string();
    EXPECT_TRUE(std::isnan(j.expected));
  }
}

}  // namespace
}  // namespace isobit
