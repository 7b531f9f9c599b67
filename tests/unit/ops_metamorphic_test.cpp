// Ops against other ops with the same bits: padding, groups, batches and their parts, dimensions, fused
// epilogues.
#include <gtest/gtest.h>
#include <isobit/ops.h>
#include <isobit/parts.h>

namespace isobit {
namespace {

using Sides = std::vector<std::pair<std::int64_t, std::int64_t>>;

Tensor noise(const Shape& shape, std::uint64_t stream, DType dtype = DType::f32) {
  return random_normal(shape, {17, stream}, 0, 1, {.dtype = dtype});
}

Tensor wanting(Tensor t) {
  return t.set_requires_grad();
}

class Metamorphic : public ::testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(Types, Metamorphic,
                         ::testing::Values(DType::f32, DType::f64, DType::f16, DType::bf16),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST_P(Metamorphic, PaddingInsideEqualsPadThenValid) {
  for (const std::int64_t stride : {1, 2, 3})
    for (const std::int64_t dilation : {1, 2}) {
      const Tensor x = noise({3, 7, 9, 5}, 1, GetParam()), w = noise({3, 3, 5, 7}, 2, GetParam());
      ConvOptions inside, valid;
      inside.stride = valid.stride = stride;
      inside.dilation = valid.dilation = dilation;
      inside.padding = Padding(Sides{{1, 2}, {0, 3}});
      const Tensor padded = pad(x, {{0, 0}, {1, 2}, {0, 3}, {0, 0}});
      const Tensor y = conv(x, w, {}, inside);
      EXPECT_TRUE(equal_bits(y, conv(padded, w, {}, valid)));
      const Tensor dy = noise(y.shape(), 3, GetParam());
      const Tensor outer = conv_backward_input(dy, w, padded.shape(), valid);
      EXPECT_TRUE(equal_bits(conv_backward_input(dy, w, x.shape(), inside),
                             pad(outer, {{0, 0}, {-1, -2}, {0, -3}, {0, 0}})));
      EXPECT_TRUE(equal_bits(conv_backward_filter(x, dy, w.shape(), inside),
                             conv_backward_filter(padded, dy, w.shape(), valid)));
    }
}

TEST_P(Metamorphic, GroupsEqualSeparateConvolutions) {
  for (const std::int64_t groups : {2, 3, 6}) {
    const Tensor x = noise({2, 6, 6, 6}, 1, GetParam()), w = noise({3, 2, 6 / groups, 12}, 2, GetParam());
    ConvOptions o;
    o.stride = 2;
    o.padding = 1;
    ConvOptions grouped = o;
    grouped.groups = groups;
    const Tensor y = conv(x, w, {}, grouped);
    const std::int64_t c = 6 / groups, k = 12 / groups;
    const Tensor dx = conv_backward_input(y, w, x.shape(), grouped);
    const Tensor dw = conv_backward_filter(x, y, w.shape(), grouped);
    for (std::int64_t g = 0; g < groups; ++g) {
      const auto cut = [&](const Tensor& t, std::int64_t width) {
        const std::int64_t total = t.shape(-1);
        return pad(t, {{0, 0}, {0, 0}, {0, 0}, {-g * width, (g + 1) * width - total}});
      };
      const Tensor xg = cut(x, c), wg = cut(w, k), yg = cut(y, k);
      EXPECT_TRUE(equal_bits(yg, conv(xg, wg, {}, o)));
      EXPECT_TRUE(equal_bits(cut(dx, c), conv_backward_input(yg, wg, xg.shape(), o)));
      EXPECT_TRUE(equal_bits(cut(dw, k), conv_backward_filter(xg, yg, wg.shape(), o)));
    }
  }
}

TEST_P(Metamorphic, ABatchEqualsItsSamples) {
  const DType dtype = GetParam();
  const DType wide = dtype == DType::f64 ? DType::f64 : DType::f32;
  const Tensor x = noise({5, 6, 6, 4}, 1, dtype), w = noise({3, 3, 4, 6}, 2, dtype), b = noise({6}, 3, dtype);
  const Tensor gamma = noise({4}, 4, wide), dy = noise({5, 6, 6, 6}, 5, dtype), w2 = noise({4, 3}, 6, dtype);
  ConvOptions o;
  o.padding = Same;
  o.activation = Activate::relu;
  ConvOptions plain;
  plain.padding = Same;
  const std::pair<const char*, std::function<Tensor(const Tensor&, const Tensor&)>> ops[] = {
      {"conv", [&](const Tensor& t, const Tensor&) { return conv(t, w, b, o); }},
      {"conv_backward_input",
       [&](const Tensor& t, const Tensor& d) { return conv_backward_input(d, w, t.shape(), plain); }},
      {"linear", [&](const Tensor& t, const Tensor&) { return linear(t, w2); }},
      {"max_pool", [](const Tensor& t, const Tensor&) { return max_pool(t, 2); }},
      {"avg_pool", [](const Tensor& t, const Tensor&) { return avg_pool(t, 3); }},
      {"lp_pool", [](const Tensor& t, const Tensor&) { return lp_pool(t, 2, 3); }},
      {"adaptive_avg_pool", [](const Tensor& t, const Tensor&) { return adaptive_avg_pool(t, 4); }},
      {"max_unpool",
       [](const Tensor& t, const Tensor&) {
         const MaxPoolResult r = max_pool_with_indices(t, 2, {.stride = 1});
         return max_unpool(r.y, r.index, t.shape());
       }},
      {"global_avg_pool", [](const Tensor& t, const Tensor&) { return global_avg_pool(t); }},
      {"softmax", [](const Tensor& t, const Tensor&) { return softmax(t); }},
      {"log_softmax", [](const Tensor& t, const Tensor&) { return log_softmax(t); }},
      {"layer_norm", [&](const Tensor& t, const Tensor&) { return layer_norm(t, gamma, {}); }},
      {"group_norm", [&](const Tensor& t, const Tensor&) { return group_norm(t, 2, gamma, {}); }},
      {"instance_norm", [&](const Tensor& t, const Tensor&) { return instance_norm(t, gamma, {}); }},
      {"local_response_norm", [](const Tensor& t, const Tensor&) { return local_response_norm(t, 3); }},
      {"resize",
       [](const Tensor& t, const Tensor&) {
         return resize(t, {9, 5});
       }},
      {"unfold",
       [](const Tensor& t, const Tensor&) { return unfold(t, 3, {.padding = 1, .mode = PadMode::reflect}); }},
      {"fold",
       [](const Tensor& t, const Tensor&) {
         return fold(t, {t.shape(0), 7, 7, 1}, 2);
       }},
      {"sum",
       [](const Tensor& t, const Tensor&) {
         return sum(t, {1, 3});
       }},
      {"max",
       [](const Tensor& t, const Tensor&) {
         return max(t, {1, 2});
       }},
      {"gelu", [](const Tensor& t, const Tensor&) { return gelu(t); }},
  };
  for (const auto& [name, op] : ops) {
    const Tensor whole = op(x, dy);
    for (std::int64_t n = 0; n < 5; ++n)
      EXPECT_TRUE(
          equal_bits(whole.slice(n, n + 1), op(x.slice(n, n + 1).clone(), dy.slice(n, n + 1).clone())))
          << name << " sample " << n;
  }
}

TEST_P(Metamorphic, OneDimensionIsTwoWithAUnitAxis) {
  const Tensor x = noise({3, 11, 4}, 1, GetParam()), w = noise({3, 4, 6}, 2, GetParam());
  ConvOptions line, plane;
  line.stride = 2;
  plane.stride = PerAxis(1, 2);
  line.padding = Padding(Sides{{1, 2}});
  plane.padding = Padding(Sides{{0, 0}, {1, 2}});
  const Tensor y = conv(x, w, {}, line);
  const Tensor y2 = conv(x.reshape({3, 1, 11, 4}), w.reshape({1, 3, 4, 6}), {}, plane);
  EXPECT_TRUE(equal_bits(y, y2.reshape(y.shape())));
  const Tensor dw = conv_backward_filter(x, y, w.shape(), line);
  const Tensor dw2 = conv_backward_filter(x.reshape({3, 1, 11, 4}), y2, {1, 3, 4, 6}, plane);
  EXPECT_TRUE(equal_bits(dw, dw2.reshape(dw.shape())));
}

TEST_P(Metamorphic, EpiloguesEqualTheOpsTheyReplace) {
  const Tensor x = noise({2, 5, 5, 3}, 1, GetParam()), w = noise({3, 3, 3, 4}, 2, GetParam());
  const Tensor b = noise({4}, 3, GetParam());
  if (GetParam() == DType::f32 || GetParam() == DType::f64) {
    ConvOptions fused;
    fused.activation = Activate::relu;
    EXPECT_TRUE(equal_bits(conv(x, w, b, fused), relu(add(conv(x, w), b))));
    EXPECT_TRUE(equal_bits(linear(x, w.slice(0, 1).reshape({3, 12}).clone()).slice(0, 1),
                           matmul(x, w.slice(0, 1).reshape({3, 12}).clone()).slice(0, 1)));
  }
  // Halves keep the sum in f32 until the store, so there the f32 convolution, rounded once, is the judge.
  ConvOptions fused;
  fused.activation = Activate::relu;
  if (GetParam() == DType::f16 || GetParam() == DType::bf16) {
    const Tensor wide = conv(x.to(DType::f32), w.to(DType::f32), b.to(DType::f32), fused);
    EXPECT_TRUE(equal_bits(conv(x, w, b, fused), wide.to(GetParam())));
  }
}

TEST_P(Metamorphic, AFusedNormHasTheBitsOfTheLayers) {
  const DType dtype = GetParam(), wide = dtype == DType::f64 ? DType::f64 : DType::f32;
  const Tensor x = noise({2, 5, 6, 3}, 1, dtype), w = noise({3, 3, 3, 21}, 2, dtype),
               b = noise({21}, 3, dtype);
  const Tensor gamma = noise({21}, 4, wide), beta = noise({21}, 5, wide), mean = noise({21}, 6, wide);
  const Tensor variance = square(noise({21}, 7, wide));
  for (const Activate activation : {Activate::none, Activate::relu, Activate::leaky_relu, Activate::gelu}) {
    const auto unfused = [&](const Tensor& bias, const Tensor& scale, const Tensor& shift) {
      const Tensor z = batch_norm_inference(conv(x, w, bias), scale, shift, mean, variance);
      return activation == Activate::relu         ? relu(z)
             : activation == Activate::leaky_relu ? leaky_relu(z)
             : activation == Activate::gelu       ? gelu(z)
                                                  : z;
    };
    ConvOptions options;
    options.activation = activation;
    const auto fused = [&](const Tensor& bias, const Tensor& scale, const Tensor& shift) {
      return conv_batch_norm_inference(x, w, bias, {scale, shift, mean, variance}, options);
    };
    EXPECT_TRUE(equal_bits(fused(b, gamma, beta), unfused(b, gamma, beta)));
    EXPECT_TRUE(equal_bits(fused({}, {}, beta), unfused({}, {}, beta)));
    EXPECT_TRUE(equal_bits(fused(b, gamma, {}), unfused(b, gamma, {})));
    EXPECT_TRUE(equal_bits(fused({}, {}, {}), unfused({}, {}, {})));

    // With history: the values, and the gradients of the layers.
    Tensor leaf = w.detach().clone();
    leaf.set_requires_grad();
    const Tensor y = conv_batch_norm_inference(x, leaf, b, {gamma, beta, mean, variance}, options);
    EXPECT_TRUE(equal_bits(y.detach(), unfused(b, gamma, beta)));
    const Tensor dy = noise(y.shape(), 8, dtype), dw = grad(y, {leaf}, dy)[0];
    const Tensor z = batch_norm_inference(conv(x, leaf, b), gamma, beta, mean, variance);
    const Tensor same = activation == Activate::relu         ? relu(z)
                        : activation == Activate::leaky_relu ? leaky_relu(z)
                        : activation == Activate::gelu       ? gelu(z)
                                                             : z;
    EXPECT_TRUE(equal_bits(dw, grad(same, {leaf}, dy)[0]));
  }
}

TEST_P(Metamorphic, ChannelsOfZerosAndWindowsBeyondTheRowChangeNothing) {
  const Tensor x = noise({2, 3, 5, 7}, 1, GetParam()), dy = noise({2, 3, 5, 7}, 2, GetParam());
  const auto both = [](const Tensor& t, const Tensor& d, std::int64_t size, double alpha) {
    Tensor leaf = t.detach().clone();
    leaf.set_requires_grad();
    const Tensor y = local_response_norm(leaf, size, {.alpha = alpha, .beta = 0.75, .bias = 2});
    return std::pair{y.detach(), grad(y, {leaf}, d)[0]};
  };
  const auto widened = [](const Tensor& t, std::int64_t width) {
    return pad(t, {{0, 0}, {0, 0}, {0, 0}, {width, width}});
  };
  for (const std::int64_t size : {1, 2, 5, 6}) {
    const auto [y, dx] = both(x, dy, size, 0.5);
    const auto [wide_y, wide_dx] = both(widened(x, 4), widened(dy, 4), size, 0.5);
    EXPECT_TRUE(equal_bits(y, widened(wide_y, -4))) << size;
    EXPECT_TRUE(equal_bits(dx, widened(wide_dx, -4))) << size;
  }
  const auto [y, dx] = both(x, dy, 16, 16);
  const auto [same_y, same_dx] = both(x, dy, std::int64_t{1} << 40, 0x1p40);
  EXPECT_TRUE(equal_bits(y, same_y));
  EXPECT_TRUE(equal_bits(dx, same_dx));
}

/// Parameter gradients of a batch against those of its parts, joined.
void expect_parts(const char* name, std::int64_t whole, const std::vector<Tensor>& parameters,
                  const std::function<Tensor(const Part&)>& loss) {
  std::vector<std::vector<Tensor>> gradients;
  for (const std::int64_t length : {std::int64_t{16}, std::int64_t{32}, std::int64_t{64}, whole}) {
    for (Tensor p : parameters) p.zero_grad();
    const auto parts = split_batch(whole, length);
    const Tensor value = backward_in_parts(parts, parameters, loss);
    gradients.push_back({value.detach()});
    for (const Tensor& p : parameters) gradients.back().push_back(p.grad());
  }
  for (std::size_t way = 1; way < gradients.size(); ++way)
    for (std::size_t i = 0; i < gradients[0].size(); ++i)
      EXPECT_TRUE(equal_bits(gradients[0][i], gradients[way][i])) << name << " way " << way << " value " << i;
}

TEST(Parts, NormsBiasesAndBroadcastsJoinToTheWhole) {
  for (const std::int64_t whole : {64, 77}) {
    const Tensor x = noise({whole, 3, 3, 4}, 1), target = noise({whole, 3, 3, 4}, 2);
    const auto cut = [](const Tensor& t, const Part& p) { return t.slice(p.first, p.first + p.length); };
    const Tensor gamma = wanting(noise({4}, 3)), beta = wanting(noise({4}, 4)), one = wanting(noise({1}, 5));
    expect_parts("layer_norm", whole, {gamma, beta},
                 [&](const Part& p) { return mse(layer_norm(cut(x, p), gamma, beta), cut(target, p)); });
    expect_parts("group_norm", whole, {gamma, beta},
                 [&](const Part& p) { return mse(group_norm(cut(x, p), 2, gamma, beta), cut(target, p)); });
    expect_parts("broadcast", whole, {gamma, one},
                 [&](const Part& p) { return mse(mul(add(cut(x, p), gamma), one), cut(target, p)); });
    const Tensor w = wanting(noise({4, 4}, 6));
    expect_parts("linear with positions and dropout", whole, {w, beta}, [&](const Part& p) {
      return mse(dropout(linear(cut(x, p), w, beta), 0.3, {5, 6}), cut(target, p));
    });
    const Tensor filter = wanting(noise({3, 3, 4, 4}, 7));
    expect_parts("conv", whole, {filter, beta}, [&](const Part& p) {
      return mse(conv(cut(x, p), filter, beta, {.padding = Same, .activation = Activate::relu}),
                 cut(target, p));
    });
  }
}

TEST(Losses, EqualTheirFormulas) {
  const Tensor x = noise({4, 3}, 1);
  const Tensor labels = from_vector<std::int64_t>({2, 0, 1, 2}, {4});
  const auto logp = log_softmax(x).to_vector<float>();
  float expected = 0;
  for (std::size_t n = 0; n < 4; ++n)
    expected += logp[3 * n + static_cast<std::size_t>(labels.to_vector<std::int64_t>()[n])];
  EXPECT_EQ(cross_entropy(x, labels).item(), expected / -4.f);
  // Probabilities that are one-hot give the value of the indices.
  EXPECT_FLOAT_EQ(static_cast<float>(cross_entropy(x, one_hot(labels, 3)).item()), expected / -4.f);
  // A class that is impossible and not the label does no harm.
  const Tensor certain = from_vector<float>({0, -INFINITY}, {1, 2});
  EXPECT_EQ(cross_entropy(certain, from_vector<std::int64_t>({0}, {1})).item(), 0);
  EXPECT_EQ(mse(from_vector<float>({1, 2}, {2}), from_vector<float>({3, 2}, {2})).item(), 2);
}

TEST(Integers, WrapAndDivideAsDocumented) {
  const auto i32 = [](std::vector<std::int32_t> v) {
    return from_vector(v, {static_cast<std::int64_t>(v.size())});
  };
  const std::int32_t low = INT32_MIN, high = INT32_MAX;
  EXPECT_EQ(add(i32({high, 1}), i32({1, 2})).to_vector<std::int32_t>(), (std::vector<std::int32_t>{low, 3}));
  EXPECT_EQ(mul(i32({high, 3}), i32({2, -2})).to_vector<std::int32_t>(), (std::vector<std::int32_t>{-2, -6}));
  EXPECT_EQ(div(i32({7, -7, 5, low}), i32({2, 2, 0, -1})).to_vector<std::int32_t>(),
            (std::vector<std::int32_t>{3, -3, 0, low}));
  EXPECT_EQ(add_scalar(i32({5}), 3).to_vector<std::int32_t>(), (std::vector<std::int32_t>{8}));
  EXPECT_EQ(div_scalar(i32({5}), 0).to_vector<std::int32_t>(), (std::vector<std::int32_t>{0}));
  EXPECT_EQ(neg(i32({low})).to_vector<std::int32_t>(), (std::vector<std::int32_t>{low}));
  const Tensor u8 = from_vector<std::uint8_t>({250, 3}, {2});
  EXPECT_EQ(add(u8, u8).to_vector<std::uint8_t>(), (std::vector<std::uint8_t>{244, 6}));
  EXPECT_EQ(sum(from_vector<std::int64_t>({1, 2, INT64_MAX}, {3})).to_vector<std::int64_t>(),
            (std::vector<std::int64_t>{INT64_MIN + 2}));
}

TEST(Reductions, EmptyOnesAndMinusZero) {
  EXPECT_TRUE(equal_bits(sum(zeros({0})), zeros({})));
  EXPECT_TRUE(equal_bits(sum(zeros({3, 0}), {1}), zeros({3})));
  EXPECT_EQ(argmax(from_vector<float>({1, 3, 3, NAN, 2, NAN}, {6})).item(), 3);
  EXPECT_EQ(argmax(from_vector<float>({-0.f, 0.f}, {2})).item(), 0);
}

}  // namespace
}  // namespace isobit
