// A device that hands everything to another one: the start of devices that count, or that err on purpose. Its
// memory is the other one's.
#pragma once
#include <string>
#include <utility>

#include "core/backend.h"

namespace isobit::test {

class Forwarding : public Backend {
 public:
  Forwarding(std::string name, Backend& to) : name_(std::move(name)), to_(to) {}

  std::string name() const override { return name_; }
  std::vector<DeviceProperty> properties() const override { return {{"forwards to", to_.name()}}; }
  bool host_accessible() const override { return true; }
  void* allocate(std::int64_t bytes) override { return forward("allocate").allocate(bytes); }
  void deallocate(void* data, std::int64_t bytes) noexcept override { to_.deallocate(data, bytes); }
  MemoryStats memory_stats() const override { return to_.memory_stats(); }
  void reset_peak_memory() override { to_.reset_peak_memory(); }
  void empty_cache() override { to_.empty_cache(); }
  void synchronize() override { forward("synchronize").synchronize(); }
  void upload(void* to, const void* host, std::int64_t n) override { forward("upload").upload(to, host, n); }
  void download(void* host, const void* from, std::int64_t n) override {
    forward("download").download(host, from, n);
  }
  void copy(void* to, const void* from, std::int64_t n) override { forward("copy").copy(to, from, n); }
  std::vector<std::string> algorithms(std::string_view kernel) const override {
    return to_.algorithms(kernel);
  }
  void force_algorithm(std::string_view kernel, std::string_view algorithm) override {
    to_.force_algorithm(kernel, algorithm);
  }

  void fill(View out, Scalar v) override { forward("fill").fill(out, v); }
  void cast(ConstView in, View out) override { forward("cast").cast(in, out); }
  void strided_copy(const StridedGeometry& g, ConstView in, View out) override {
    forward("strided_copy").strided_copy(g, in, out);
  }
  void pad(const PadGeometry& g, ConstView x, View y) override { forward("pad").pad(g, x, y); }
  void pad_backward(const PadGeometry& g, ConstView dy, View dx) override {
    forward("pad_backward").pad_backward(g, dy, dx);
  }
  void gather_rows(ConstView rows, ConstView index, std::int64_t size, View out) override {
    forward("gather_rows").gather_rows(rows, index, size, out);
  }
  void scatter_add_rows(ConstView dy, ConstView index, std::int64_t rows, std::int64_t size,
                        View out) override {
    forward("scatter_add_rows").scatter_add_rows(dy, index, rows, size, out);
  }
  void arange(double start, double step, View out) override { forward("arange").arange(start, step, out); }
  void one_hot(ConstView label, std::int64_t classes, double on, double off, View out) override {
    forward("one_hot").one_hot(label, classes, on, off, out);
  }
  void unary(UnaryOp op, Scalar a, ConstView x, View out) override { forward("unary").unary(op, a, x, out); }
  void binary(BinaryOp op, Scalar p, const StridedGeometry& g, ConstView a, ConstView b, View out) override {
    forward("binary").binary(op, p, g, a, b, out);
  }
  void select(const StridedGeometry& g, ConstView c, ConstView a, ConstView b, View out) override {
    forward("select").select(g, c, a, b, out);
  }
  void reduce_sum(const ReduceGeometry& g, ConstView x, View out) override {
    forward("reduce_sum").reduce_sum(g, x, out);
  }
  void reduce_extreme(ReduceOp op, const ReduceGeometry& g, ConstView x, View out, View index) override {
    forward("reduce_extreme").reduce_extreme(op, g, x, out, index);
  }
  void matmul(const MatmulGeometry& g, ConstView a, ConstView b, View c) override {
    forward("matmul").matmul(g, a, b, c);
  }
  void conv_forward(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& e, View y) override {
    forward("conv_forward").conv_forward(g, x, w, e, y);
  }
  void conv_backward_input(const ConvGeometry& g, ConstView dy, ConstView w, View dx) override {
    forward("conv_backward_input").conv_backward_input(g, dy, w, dx);
  }
  void conv_backward_filter(const ConvGeometry& g, ConstView x, ConstView dy, View dw) override {
    forward("conv_backward_filter").conv_backward_filter(g, x, dy, dw);
  }
  void unfold(const ConvGeometry& g, ConstView x, View y) override { forward("unfold").unfold(g, x, y); }
  void fold(const ConvGeometry& g, ConstView y, View dx) override { forward("fold").fold(g, y, dx); }
  void resample(const ResampleGeometry& g, ConstView x, ConstView start, ConstView column, ConstView weight,
                View y) override {
    forward("resample").resample(g, x, start, column, weight, y);
  }
  void max_pool(const PoolGeometry& g, ConstView x, View y, View index) override {
    forward("max_pool").max_pool(g, x, y, index);
  }
  void max_pool_backward(const PoolGeometry& g, ConstView dy, ConstView index, View dx) override {
    forward("max_pool_backward").max_pool_backward(g, dy, index, dx);
  }
  void max_pool_gather(const PoolGeometry& g, ConstView x, ConstView index, View y) override {
    forward("max_pool_gather").max_pool_gather(g, x, index, y);
  }
  void avg_pool(const PoolGeometry& g, ConstView x, View y) override {
    forward("avg_pool").avg_pool(g, x, y);
  }
  void avg_pool_backward(const PoolGeometry& g, ConstView dy, View dx) override {
    forward("avg_pool_backward").avg_pool_backward(g, dy, dx);
  }
  void softmax(std::int64_t c, ConstView x, View y) override { forward("softmax").softmax(c, x, y); }
  void log_softmax(std::int64_t c, ConstView x, View y) override {
    forward("log_softmax").log_softmax(c, x, y);
  }
  void softmax_backward(std::int64_t c, ConstView dy, ConstView y, View dx) override {
    forward("softmax_backward").softmax_backward(c, dy, y, dx);
  }
  void log_softmax_backward(std::int64_t c, ConstView dy, ConstView y, View dx) override {
    forward("log_softmax_backward").log_softmax_backward(c, dy, y, dx);
  }
  void norm_statistics(const NormGeometry& g, ConstView x, View mean, View variance) override {
    forward("norm_statistics").norm_statistics(g, x, mean, variance);
  }
  void norm_apply(const NormGeometry& g, double eps, ConstView x, ConstView mean, ConstView variance,
                  ConstView gamma, ConstView beta, View y) override {
    forward("norm_apply").norm_apply(g, eps, x, mean, variance, gamma, beta, y);
  }
  void norm_backward(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                     ConstView variance, ConstView gamma, View dx) override {
    forward("norm_backward").norm_backward(g, eps, dy, x, mean, variance, gamma, dx);
  }
  void norm_backward_affine(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                            ConstView variance, View dgamma, View dbeta) override {
    forward("norm_backward_affine").norm_backward_affine(g, eps, dy, x, mean, variance, dgamma, dbeta);
  }
  void local_response_norm(const LocalResponseGeometry& g, ConstView x, View y) override {
    forward("local_response_norm").local_response_norm(g, x, y);
  }
  void local_response_norm_backward(const LocalResponseGeometry& g, ConstView dy, ConstView x,
                                    View dx) override {
    forward("local_response_norm_backward").local_response_norm_backward(g, dy, x, dx);
  }
  void random_uniform(RandomKey key, std::uint64_t first, double low, double high, View out) override {
    forward("random_uniform").random_uniform(key, first, low, high, out);
  }
  void random_normal(RandomKey key, std::uint64_t first, double mean, double deviation, View out) override {
    forward("random_normal").random_normal(key, first, mean, deviation, out);
  }
  void dropout(RandomKey key, std::uint64_t first, double p, ConstView x, View out) override {
    forward("dropout").dropout(key, first, p, x, out);
  }
  void optimizer_step(const OptimizerHyper& hyper, std::span<const OptimizerSlot> slots) override {
    forward("optimizer_step").optimizer_step(hyper, slots);
  }

 protected:
  /// Called before everything but the questions; `kernel` is the name of what is called.
  virtual Backend& forward(const char* kernel) const { return to_; }

 private:
  std::string name_;
  Backend& to_;
};

}  // namespace isobit::test
