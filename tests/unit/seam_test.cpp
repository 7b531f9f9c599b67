// The seam proven: a second device, defined here, on which everything runs without a line of core knowing it.
// Its memory is the host's; it counts calls and hands them to the CPU.
#include <gtest/gtest.h>
#include <isobit/isobit.h>

#include <map>

#include "core/backend.h"

namespace isobit {
namespace {

class Counting final : public Backend {
 public:
  explicit Counting(Backend& cpu) : cpu_(cpu) {}
  mutable std::map<std::string, int> calls;

  std::string name() const override { return "counting"; }
  std::vector<DeviceProperty> properties() const override { return {{"forwards to", cpu_.name()}}; }
  bool host_accessible() const override { return true; }
  void* allocate(std::int64_t bytes) override { return count("allocate").allocate(bytes); }
  void deallocate(void* data, std::int64_t bytes) noexcept override { cpu_.deallocate(data, bytes); }
  MemoryStats memory_stats() const override { return cpu_.memory_stats(); }
  void reset_peak_memory() override { cpu_.reset_peak_memory(); }
  void empty_cache() override { cpu_.empty_cache(); }
  void synchronize() override { count("synchronize").synchronize(); }
  void upload(void* to, const void* host, std::int64_t n) override { count("upload").upload(to, host, n); }
  void download(void* host, const void* from, std::int64_t n) override {
    count("download").download(host, from, n);
  }
  void copy(void* to, const void* from, std::int64_t n) override { count("copy").copy(to, from, n); }
  std::vector<std::string> algorithms(std::string_view kernel) const override {
    return cpu_.algorithms(kernel);
  }
  void force_algorithm(std::string_view kernel, std::string_view algorithm) override {
    cpu_.force_algorithm(kernel, algorithm);
  }

  void fill(View out, Scalar v) override { count("fill").fill(out, v); }
  void cast(ConstView in, View out) override { count("cast").cast(in, out); }
  void strided_copy(const StridedGeometry& g, ConstView in, View out) override {
    count("strided_copy").strided_copy(g, in, out);
  }
  void pad(const PadGeometry& g, ConstView x, View y) override { count("pad").pad(g, x, y); }
  void pad_backward(const PadGeometry& g, ConstView dy, View dx) override {
    count("pad_backward").pad_backward(g, dy, dx);
  }
  void gather_rows(ConstView rows, ConstView index, std::int64_t size, View out) override {
    count("gather_rows").gather_rows(rows, index, size, out);
  }
  void scatter_add_rows(ConstView dy, ConstView index, std::int64_t rows, std::int64_t size,
                        View out) override {
    count("scatter_add_rows").scatter_add_rows(dy, index, rows, size, out);
  }
  void arange(double start, double step, View out) override { count("arange").arange(start, step, out); }
  void one_hot(ConstView label, std::int64_t classes, double on, double off, View out) override {
    count("one_hot").one_hot(label, classes, on, off, out);
  }
  void unary(UnaryOp op, Scalar a, ConstView x, View out) override { count("unary").unary(op, a, x, out); }
  void binary(BinaryOp op, Scalar p, const StridedGeometry& g, ConstView a, ConstView b, View out) override {
    count("binary").binary(op, p, g, a, b, out);
  }
  void select(const StridedGeometry& g, ConstView c, ConstView a, ConstView b, View out) override {
    count("select").select(g, c, a, b, out);
  }
  void reduce_sum(const ReduceGeometry& g, ConstView x, View out) override {
    count("reduce_sum").reduce_sum(g, x, out);
  }
  void reduce_extreme(ReduceOp op, const ReduceGeometry& g, ConstView x, View out, View index) override {
    count("reduce_extreme").reduce_extreme(op, g, x, out, index);
  }
  void matmul(const MatmulGeometry& g, ConstView a, ConstView b, View c) override {
    count("matmul").matmul(g, a, b, c);
  }
  void conv_forward(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& e, View y) override {
    count("conv_forward").conv_forward(g, x, w, e, y);
  }
  void conv_backward_input(const ConvGeometry& g, ConstView dy, ConstView w, View dx) override {
    count("conv_backward_input").conv_backward_input(g, dy, w, dx);
  }
  void conv_backward_filter(const ConvGeometry& g, ConstView x, ConstView dy, View dw) override {
    count("conv_backward_filter").conv_backward_filter(g, x, dy, dw);
  }
  void max_pool(const PoolGeometry& g, ConstView x, View y, View index) override {
    count("max_pool").max_pool(g, x, y, index);
  }
  void max_pool_backward(const PoolGeometry& g, ConstView dy, ConstView index, View dx) override {
    count("max_pool_backward").max_pool_backward(g, dy, index, dx);
  }
  void max_pool_gather(const PoolGeometry& g, ConstView x, ConstView index, View y) override {
    count("max_pool_gather").max_pool_gather(g, x, index, y);
  }
  void avg_pool(const PoolGeometry& g, ConstView x, View y) override { count("avg_pool").avg_pool(g, x, y); }
  void avg_pool_backward(const PoolGeometry& g, ConstView dy, View dx) override {
    count("avg_pool_backward").avg_pool_backward(g, dy, dx);
  }
  void softmax(std::int64_t c, ConstView x, View y) override { count("softmax").softmax(c, x, y); }
  void log_softmax(std::int64_t c, ConstView x, View y) override {
    count("log_softmax").log_softmax(c, x, y);
  }
  void softmax_backward(std::int64_t c, ConstView dy, ConstView y, View dx) override {
    count("softmax_backward").softmax_backward(c, dy, y, dx);
  }
  void log_softmax_backward(std::int64_t c, ConstView dy, ConstView y, View dx) override {
    count("log_softmax_backward").log_softmax_backward(c, dy, y, dx);
  }
  void norm_statistics(const NormGeometry& g, ConstView x, View mean, View variance) override {
    count("norm_statistics").norm_statistics(g, x, mean, variance);
  }
  void norm_apply(const NormGeometry& g, double eps, ConstView x, ConstView mean, ConstView variance,
                  ConstView gamma, ConstView beta, View y) override {
    count("norm_apply").norm_apply(g, eps, x, mean, variance, gamma, beta, y);
  }
  void norm_backward(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                     ConstView variance, ConstView gamma, View dx) override {
    count("norm_backward").norm_backward(g, eps, dy, x, mean, variance, gamma, dx);
  }
  void norm_backward_affine(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                            ConstView variance, View dgamma, View dbeta) override {
    count("norm_backward_affine").norm_backward_affine(g, eps, dy, x, mean, variance, dgamma, dbeta);
  }
  void random_uniform(RandomKey key, std::uint64_t first, double low, double high, View out) override {
    count("random_uniform").random_uniform(key, first, low, high, out);
  }
  void random_normal(RandomKey key, std::uint64_t first, double mean, double deviation, View out) override {
    count("random_normal").random_normal(key, first, mean, deviation, out);
  }
  void dropout(RandomKey key, std::uint64_t first, double p, ConstView x, View out) override {
    count("dropout").dropout(key, first, p, x, out);
  }
  void optimizer_step(const OptimizerHyper& hyper, std::span<const OptimizerSlot> slots) override {
    count("optimizer_step").optimizer_step(hyper, slots);
  }

 private:
  Backend& count(const char* kernel) const {
    ++calls[kernel];
    return cpu_;
  }
  Backend& cpu_;
};

struct Registered {
  Device device;
  Counting* counting;
};
/// One device for all tests of this file: a registry only grows.
Registered& registered() {
  static Registered r = [] {
    auto backend = std::make_unique<Counting>(isobit::backend(Device::cpu()));
    Counting* counting = backend.get();
    return Registered{register_backend(std::move(backend)), counting};
  }();
  return r;
}

/// A loss that passes through every layer kind; everything lives on the device of x.
Tensor everything(const Tensor& x, const std::vector<Tensor>& p, const Tensor& labels) {
  Tensor h = conv(x, p[0], p[1], {.padding = Same, .activation = Activate::relu});
  h = max_pool(h, 2);
  h = batch_norm(h, p[2], p[3]).y;
  h = gelu(conv(pad(h, {{0, 0}, {1, 1}, {1, 1}, {0, 0}}), p[4]));
  h = avg_pool(h, 2);
  h = group_norm(h, 2, {}, {});
  h = dropout(flatten(h), 0.25, {1, 2});
  h = layer_norm(linear(h, p[5]), {}, {});
  h = matmul(softmax(h), p[6]);
  h = maximum(h, mul_scalar(h, 0.5));
  const Tensor hot = one_hot(labels, 4, 1, 0, DType::f32);
  return add(cross_entropy(h, labels), mse(permute(h, {1, 0}), permute(hot.to(h.device()), {1, 0})));
}

std::vector<Tensor> parameters(Device device) {
  const Shape shapes[] = {{3, 3, 2, 4}, {4}, {4}, {4}, {3, 3, 4, 4}, {16, 6}, {6, 4}};
  std::vector<Tensor> list;
  for (std::size_t i = 0; i < 7; ++i) {
    Tensor t = random_normal(shapes[i], {7, i}, 0, 0.5).to(device).detach();
    list.push_back(t.set_requires_grad());
  }
  return list;
}

TEST(Seam, EverythingRunsOnAForeignDeviceWithTheSameBits) {
  const Device device = registered().device;
  EXPECT_EQ(device.name(), "counting");
  EXPECT_EQ(Device::parse("counting"), device);
  auto& calls = registered().counting->calls;
  calls.clear();
  const Tensor x = random_normal({8, 8, 8, 2}, {1, 1});
  const Tensor labels = from_vector<std::int64_t>({0, 1, 2, 3, 0, 1, 2, 3}, {8});
  std::vector<Tensor> here = parameters(Device::cpu()), there = parameters(device);
  const GradOptions graph{.create_graph = true};
  const Tensor a = everything(x, here, labels), b = everything(x.to(device), there, labels.to(device));
  EXPECT_EQ(b.device(), device);
  EXPECT_TRUE(equal_bits(a.detach(), b.detach()));
  const auto ga = grad(a, here, {}, graph), gb = grad(b, there, {}, graph);
  Tensor sa = sum(square(ga[0])), sb = sum(square(gb[0]));
  for (std::size_t i = 0; i < ga.size(); ++i) {
    EXPECT_EQ(gb[i].device(), device);
    EXPECT_TRUE(equal_bits(ga[i].detach(), gb[i].detach())) << i;
    sa = add(sa, sum(square(ga[i])));
    sb = add(sb, sum(square(gb[i])));
  }
  const auto ha = grad(sa, here), hb = grad(sb, there);
  for (std::size_t i = 0; i < ha.size(); ++i) EXPECT_TRUE(equal_bits(ha[i], hb[i])) << "second order " << i;
  for (const char* kernel : {"allocate",
                             "upload",
                             "fill",
                             "strided_copy",
                             "pad",
                             "pad_backward",
                             "gather_rows",
                             "scatter_add_rows",
                             "arange",
                             "one_hot",
                             "unary",
                             "binary",
                             "select",
                             "reduce_sum",
                             "reduce_extreme",
                             "matmul",
                             "conv_forward",
                             "conv_backward_input",
                             "conv_backward_filter",
                             "max_pool",
                             "max_pool_backward",
                             "max_pool_gather",
                             "avg_pool",
                             "avg_pool_backward",
                             "softmax",
                             "log_softmax",
                             "softmax_backward",
                             "log_softmax_backward",
                             "norm_statistics",
                             "norm_apply",
                             "norm_backward",
                             "norm_backward_affine",
                             "dropout"})
    EXPECT_GT(calls[kernel], 0) << kernel;
}

TEST(Seam, RemainingKernels) {
  const Device device = registered().device;
  auto& calls = registered().counting->calls;
  calls.clear();
  const TensorOptions there{.device = device};
  EXPECT_TRUE(equal_bits(random_uniform({9}, {1, 2}, 0, 1, there), random_uniform({9}, {1, 2})));
  EXPECT_TRUE(equal_bits(random_normal({9}, {1, 2}, 0, 1, there), random_normal({9}, {1, 2})));
  EXPECT_TRUE(equal_bits(zeros({3}, there).to(DType::f16), zeros({3}, {.dtype = DType::f16})));
  const Tensor part = ones({2}, there);
  EXPECT_EQ(concat(std::vector<Tensor>{part, part}).shape(), (Shape{4}));
  EXPECT_EQ(ones({2}, there).to_vector<float>(), (std::vector<float>{1, 1}));
  synchronize(device);
  for (const char* kernel : {"random_uniform", "random_normal", "cast", "copy", "synchronize", "download"})
    EXPECT_GT(calls[kernel], 0) << kernel;
}

TEST(Seam, ASmallNetworkTrainsWithTheBitsOfTheCpu) {
  const Device device = registered().device;
  registered().counting->calls.clear();
  const auto train = [](Device on) {
    nn::Sequential net{nn::Conv2D(4, 3, {.padding = Same}), nn::ReLU(), nn::MaxPool2D(2), nn::Flatten(),
                       nn::Linear(3)};
    net.build({6, 6, 1}, on, Seed{1});
    optim::SGD sgd(net.parameters(), {.lr = 0.1, .momentum = 0.9});
    for (std::uint64_t step = 0; step < 5; ++step) {
      const Tensor x = random_normal({16, 6, 6, 1}, {step, 0}).to(on);
      std::vector<std::int64_t> label(16);
      for (std::size_t i = 0; i < 16; ++i) label[i] = static_cast<std::int64_t>((i + step) % 3);
      sgd.zero_grad();
      cross_entropy(net(x), from_vector(label, {16}).to(on)).backward();
      sgd.step();
    }
    return digest(net);
  };
  EXPECT_EQ(train(Device::cpu()), train(device));
  EXPECT_EQ(registered().counting->calls["optimizer_step"], 5);
}

TEST(Seam, DevicesDoNotMix) {
  const Tensor a = ones({2}), b = ones({2}, {.device = registered().device});
  try {
    add(a, b);
    FAIL() << "no error";
  } catch (const Error& e) {
    const std::string what = e.what();
    EXPECT_NE(what.find("add"), std::string::npos) << what;
    EXPECT_NE(what.find("cpu"), std::string::npos) << what;
    EXPECT_NE(what.find("counting"), std::string::npos) << what;
  }
  EXPECT_THROW(conv(ones({1, 3, 3, 1}), ones({1, 1, 1, 1}, {.device = registered().device})), Error);
  EXPECT_THROW(gather(b, from_vector<std::int64_t>({0}, {1})), Error);
  EXPECT_THROW(cross_entropy(ones({1, 2}), from_vector<std::int64_t>({0}, {1}).to(registered().device)),
               Error);
  EXPECT_THROW(layer_norm(b, a, {}), Error);
}

}  // namespace
}  // namespace isobit
