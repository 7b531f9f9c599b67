// Bad input to convolution and pooling: the messages, word by word where they are promised.
#include <gtest/gtest.h>
#include <isobit/ops.h>

#include <functional>
#include <limits>

namespace isobit {
namespace {

using Sides = std::vector<std::pair<std::int64_t, std::int64_t>>;

std::string error_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

void expect_error(const std::function<void()>& act, std::initializer_list<const char*> parts) {
  const std::string message = error_of(act);
  for (const char* part : parts)
    EXPECT_NE(message.find(part), std::string::npos) << "'" << message << "' lacks '" << part << "'";
}

ConvOptions with(const std::function<void(ConvOptions&)>& change) {
  ConvOptions o;
  change(o);
  return o;
}

struct ConvErrors : ::testing::Test {
  const Tensor x = ones({2, 8, 8, 4}), w = ones({3, 3, 4, 6});
};
using PoolErrors = ConvErrors;

TEST_F(ConvErrors, DepthOfTheFilterNamesBothNumbers) {
  EXPECT_EQ(
      error_of([&] {
        conv(ones({100, 32, 32, 3}), ones({5, 5, 1, 10}));
      }),
      "conv: filter has 1 input channel per group, input has 3 channels (x [100,32,32,3], w [5,5,1,10], "
      "groups 1)");
  EXPECT_EQ(error_of([&] { conv(x, w, {}, with([](ConvOptions& o) { o.groups = 2; })); }),
            "conv: filter has 4 input channels per group, input has 4 channels (x [2,8,8,4], w [3,3,4,6], "
            "groups 2)");
}

TEST_F(ConvErrors, Operands) {
  expect_error([&] { conv(x, w.to(DType::f64)); }, {"conv", "f32", "f64"});
  expect_error([&] { conv(x, w, ones({6}, {.dtype = DType::f16})); }, {"conv", "f32", "f16"});
  expect_error([&] { conv(x, w, ones({5})); }, {"conv", "bias", "[5]", "[6]"});
  expect_error([&] { conv(x, w, ones({6, 1})); }, {"conv", "bias", "[6,1]", "[6]"});
  expect_error([&] { conv(x.to(DType::i32), w.to(DType::i32)); }, {"conv", "i32", "floating"});
  expect_error([&] { conv(Tensor(), w); }, {"conv", "undefined"});
  expect_error([&] { conv(ones({8, 8}), ones({3, 3})); }, {"conv", "[8,8]", "2 axes"});
  expect_error([&] { conv(x, ones({3, 4, 6})); }, {"conv", "[3,4,6]", "[2,8,8,4]", "r, s"});
  expect_error([&] { conv(x, ones({9, 3, 4, 6})); }, {"conv", "spans 9", "padded input 8", "axis 0"});
  expect_error([&] { conv(x, ones({0, 3, 4, 6})); }, {"conv", "extent 0", "[2,8,8,4]"});
  expect_error([&] { conv(ones({2, 0, 8, 4}), w); }, {"conv", "extent 0", "[2,0,8,4]"});
}

TEST_F(ConvErrors, Options) {
  const auto refused = [&](const std::function<void(ConvOptions&)>& change,
                           std::initializer_list<const char*> parts) {
    expect_error([&] { conv(x, w, {}, with(change)); }, parts);
  };
  refused([](ConvOptions& o) { o.stride = 0; }, {"conv", "stride is 0", "at least 1"});
  refused([](ConvOptions& o) { o.stride = PerAxis(1, -2); }, {"conv", "stride is -2", "axis 1"});
  refused([](ConvOptions& o) { o.stride = PerAxis(1, 2, 3); }, {"conv", "stride", "3 axes", "2 spatial"});
  refused([](ConvOptions& o) { o.dilation = 0; }, {"conv", "dilation is 0"});
  refused([](ConvOptions& o) { o.dilation = 4; }, {"conv", "spans 9", "dilation 4", "padded input 8"});
  refused([](ConvOptions& o) { o.dilation = INT64_MAX; }, {"conv", "63 bits"});
  refused([](ConvOptions& o) { o.groups = 0; }, {"conv", "groups is 0"});
  refused([](ConvOptions& o) { o.groups = -1; }, {"conv", "groups is -1"});
  refused([](ConvOptions& o) { o.padding = INT64_MAX; }, {"conv", "63 bits"});
  refused([](ConvOptions& o) { o.padding = INT64_MIN; }, {"conv", "63 bits"});
  refused([](ConvOptions& o) { o.padding = -5; }, {"conv", "{-5,-5}", "crops"});
  refused(
      [](ConvOptions& o) {
        o.padding = Padding(Sides{{1, 1}, {1, 1}, {1, 1}});
      },
      {"conv", "padding", "3 axes"});
  refused([](ConvOptions& o) { o.padding = Padding(Sides{}); }, {"conv", "padding", "0 axes"});
  expect_error(
      [&] {
        conv(x, ones({3, 3, 2, 5}), {}, with([](ConvOptions& o) { o.groups = 2; }));
      },
      {"conv", "5 filters", "2 groups"});
  // A batch of 0 does not excuse an output that cannot be addressed.
  refused([](ConvOptions& o) { o.padding = std::int64_t{1} << 60; }, {"63 bits"});
  expect_error(
      [&] {
        conv(zeros({0, 8, 8, 4}), w, {}, with([](ConvOptions& o) { o.padding = std::int64_t{1} << 60; }));
      },
      {"63 bits"});
}

TEST_F(ConvErrors, BackwardOps) {
  expect_error(
      [&] {
        conv_backward_input(ones({2, 5, 6, 6}), w, x.shape());
      },
      {"conv_backward_input", "[2,5,6,6]", "[2,6,6,6]"});
  expect_error(
      [&] {
        conv_backward_filter(x, ones({2, 6, 6, 5}), w.shape());
      },
      {"conv_backward_filter", "[2,6,6,5]", "[2,6,6,6]"});
  expect_error(
      [&] {
        conv_backward_input(ones({2, 6, 6, 6}), w, x.shape(),
                            with([](ConvOptions& o) { o.activation = Activate::relu; }));
      },
      {"conv_backward_input", "activation"});
}

TEST_F(PoolErrors, Windows) {
  PoolOptions o;
  expect_error([&] { max_pool(x, 9); }, {"max_pool", "spans 9", "padded input 8"});
  expect_error([&] { max_pool(x, 0); }, {"max_pool", "window", "extent 0"});
  expect_error([&] { max_pool(x, PerAxis(2, 2, 2)); }, {"max_pool", "window", "3 axes", "2 spatial"});
  expect_error([&] { max_pool(x.to(DType::i64), 2); }, {"max_pool", "i64"});
  expect_error([&] { avg_pool(ones({3, 3}), 2); }, {"avg_pool", "[3,3]"});
  o.stride = -1;
  expect_error([&] { avg_pool(x, 2, o); }, {"avg_pool", "stride is -1"});
  o = {};
  o.padding = 2;
  expect_error([&] { max_pool(x, 2, o); }, {"max_pool", "{2,2}", "less than the window's 2"});
  o.padding = -1;
  expect_error([&] { avg_pool(x, 2, o); }, {"avg_pool", "{-1,-1}"});
  o = {};
  o.dilation = 8;
  expect_error([&] { avg_pool(x, 2, o); }, {"avg_pool", "spans 9", "dilation 8", "padded input 8"});
  o.dilation = 5;
  o.padding = 4;
  expect_error(
      [&] {
        max_pool(ones({1, 3, 3, 1}), 2, o);
      },
      {"max_pool", "without an element", "padding 4", "dilation 5"});
  expect_error([&] { global_avg_pool(ones({2, 3})); }, {"global_avg_pool", "[2,3]"});
  expect_error([&] { global_max_pool(ones({2, 0, 3})); }, {"max", "[2,0,3]"});
}

TEST_F(PoolErrors, TheNameIsThatOfTheOpThatWasCalled) {
  expect_error([&] { max_pool_with_indices(x, 9); }, {"max_pool_with_indices", "spans 9"});
  expect_error([&] { sum_pool(x, 9); }, {"sum_pool", "spans 9"});
  expect_error([&] { sum_pool(x.to(DType::i32), 2); }, {"sum_pool", "i32"});
  expect_error([&] { lp_pool(x, 9); }, {"lp_pool", "spans 9"});
  expect_error([&] { lp_pool(x.to(DType::u8), 2); }, {"lp_pool", "u8"});
}

TEST_F(PoolErrors, Powers) {
  expect_error([&] { lp_pool(x, 2, 0.5); }, {"lp_pool", "p is 0.5", "at least 1"});
  expect_error([&] { lp_pool(x, 2, std::numeric_limits<double>::infinity()); }, {"lp_pool", "p is inf"});
  expect_error([&] { lp_pool(x, 2, std::numeric_limits<double>::quiet_NaN()); }, {"lp_pool", "p is nan"});
  expect_error([&] { global_lp_pool(x, -2); }, {"global_lp_pool", "p is -2"});
  expect_error([&] { global_lp_pool(ones({2, 3})); }, {"global_lp_pool", "[2,3]"});
}

TEST_F(PoolErrors, AdaptiveOutputs) {
  expect_error([&] { adaptive_avg_pool(x, 0); }, {"adaptive_avg_pool", "output is 0"});
  expect_error([&] { adaptive_max_pool(x, PerAxis(2, -3)); },
               {"adaptive_max_pool", "output is -3", "axis 1"});
  expect_error([&] { adaptive_max_pool_with_indices(x, PerAxis(2, 2, 2)); },
               {"adaptive_max_pool_with_indices", "output", "3 axes", "2 spatial"});
  expect_error([&] { adaptive_avg_pool(ones({2, 0, 3}), 1); }, {"adaptive_avg_pool", "extent 0", "[2,0,3]"});
  expect_error([&] { adaptive_avg_pool(ones({2, 3}), 1); }, {"adaptive_avg_pool", "[2,3]"});
  expect_error([&] { adaptive_avg_pool(x.to(DType::i64), 1); }, {"adaptive_avg_pool", "i64"});
  expect_error(
      [&] {
        adaptive_avg_pool(ones({0, 1 << 20, 3}), std::int64_t{1} << 50);
      },
      {"adaptive_avg_pool", "[0,1048576,3]"});
}

TEST_F(PoolErrors, UnpoolNamesTheIndexAndItsPosition) {
  const Tensor y = ones({1, 2, 2});
  const auto indices = [](std::vector<std::int64_t> v) { return from_vector(v, {1, 2, 2}); };
  expect_error(
      [&] {
        max_unpool(y, indices({0, 1, 5, 2}), {1, 5, 2});
      },
      {"max_unpool", "index 5 at position 2", "[0, 5)"});
  expect_error(
      [&] {
        max_unpool(y, indices({0, 1, 2, -7}), {1, 5, 2});
      },
      {"max_unpool", "index -7 at position 3", "[0, 5)"});
  expect_error([&] { max_unpool(y, indices({0, 0, 0, 0}), {1, 0, 2}); }, {"max_unpool", "[0, 0)"});
  const Tensor fine = indices({0, 1, 2, 3});
  expect_error([&] { max_unpool(y, fine, {2, 5, 2}); }, {"max_unpool", "[2,5,2]", "[1,2,2]"});
  expect_error([&] { max_unpool(y, fine, {1, 5, 3}); }, {"max_unpool", "[1,5,3]", "[1,2,2]"});
  expect_error([&] { max_unpool(y, fine, {1, 5, 5, 2}); }, {"max_unpool", "[1,5,5,2]", "3 axes"});
  expect_error([&] { max_unpool(y, fine.to(DType::i32), {1, 5, 2}); }, {"max_unpool", "i32", "i64"});
  expect_error(
      [&] {
        max_unpool(y, fine.reshape({1, 4, 1}), {1, 5, 2});
      },
      {"max_unpool", "[1,4,1]", "[1,2,2]"});
  expect_error([&] { max_unpool(y.to(DType::u8), fine, {1, 5, 2}); }, {"max_unpool", "u8"});
  expect_error([&] { max_unpool(ones({2, 2}), indices({0, 1, 2, 3}), {2, 2}); }, {"max_unpool", "2 axes"});
  expect_error([&] { max_unpool(Tensor(), fine, {1, 5, 2}); }, {"max_unpool", "undefined"});
  expect_error([&] { max_unpool(y, Tensor(), {1, 5, 2}); }, {"max_unpool", "undefined"});
}

}  // namespace
}  // namespace isobit
