// The CPU device: every kernel of the seam goes to its algorithm list, with the caller's floating-point mode
// set aside for the time of the call.
#include "cpu/device.h"

#include <cstring>

#include "core/backend.h"
#include "core/numerics/fp_mode.h"
#include "cpu/algorithms.h"
#include "cpu/runtime/isa.h"
#include "cpu/runtime/memory_pool.h"
#include "cpu/runtime/properties.h"
#include "cpu/runtime/thread_pool.h"

namespace isobit::cpu {
namespace {

class CpuBackend final : public Backend {
 public:
  CpuBackend() { initialize_isa(); }

  std::string name() const override { return "cpu"; }
  std::vector<DeviceProperty> properties() const override { return cpu::properties(); }
  bool host_accessible() const override { return true; }

  void* allocate(std::int64_t bytes) override { return MemoryPool::instance().allocate(bytes); }
  void deallocate(void* data, std::int64_t bytes) noexcept override {
    MemoryPool::instance().deallocate(data, bytes);
  }
  MemoryStats memory_stats() const override { return MemoryPool::instance().stats(); }
  void reset_peak_memory() override { MemoryPool::instance().reset_peak(); }
  void empty_cache() override { MemoryPool::instance().empty_cache(); }
  void synchronize() override {}
  void upload(void* destination, const void* host, std::int64_t bytes) override {
    copy_bytes(destination, host, bytes);
  }
  void download(void* host, const void* source, std::int64_t bytes) override {
    copy_bytes(host, source, bytes);
  }
  void copy(void* destination, const void* source, std::int64_t bytes) override {
    copy_bytes(destination, source, bytes);
  }

  std::vector<std::string> algorithms(std::string_view kernel) const override {
    return lists_.find(kernel).names();
  }
  void force_algorithm(std::string_view kernel, std::string_view algorithm) override {
    lists_.find(kernel).force(algorithm);
  }

  void fill(View out, Scalar value) override {
    const numerics::FpMode mode;
    lists_.fill.run(out, value);
  }
  void cast(ConstView in, View out) override {
    const numerics::FpMode mode;
    lists_.cast.run(in, out);
  }
  void strided_copy(const StridedGeometry& g, ConstView in, View out) override {
    const numerics::FpMode mode;
    lists_.strided_copy.run(g, in, out);
  }
  void pad(const PadGeometry& g, ConstView x, View y) override {
    const numerics::FpMode mode;
    lists_.pad.run(g, x, y);
  }
  void pad_backward(const PadGeometry& g, ConstView dy, View dx) override {
    const numerics::FpMode mode;
    lists_.pad_backward.run(g, dy, dx);
  }
  void gather_rows(ConstView rows, ConstView index, std::int64_t row_size, View out) override {
    const numerics::FpMode mode;
    lists_.gather_rows.run(rows, index, row_size, out);
  }
  void scatter_add_rows(ConstView dy, ConstView index, std::int64_t row_count, std::int64_t row_size,
                        View out) override {
    const numerics::FpMode mode;
    lists_.scatter_add_rows.run(dy, index, row_count, row_size, out);
  }
  void arange(double start, double step, View out) override {
    const numerics::FpMode mode;
    lists_.arange.run(start, step, out);
  }
  void one_hot(ConstView label, std::int64_t classes, double on, double off, View out) override {
    const numerics::FpMode mode;
    lists_.one_hot.run(label, classes, on, off, out);
  }
  void unary(UnaryOp op, Scalar a, ConstView x, View out) override {
    const numerics::FpMode mode;
    lists_.unary.run(op, a, x, out);
  }
  void binary(BinaryOp op, Scalar parameter, const StridedGeometry& g, ConstView a, ConstView b,
              View out) override {
    const numerics::FpMode mode;
    lists_.binary.run(op, parameter, g, a, b, out);
  }
  void select(const StridedGeometry& g, ConstView condition, ConstView a, ConstView b, View out) override {
    const numerics::FpMode mode;
    lists_.select.run(g, condition, a, b, out);
  }
  void reduce_sum(const ReduceGeometry& g, ConstView x, View out) override {
    const numerics::FpMode mode;
    lists_.reduce_sum.run(g, x, out);
  }
  void reduce_extreme(ReduceOp op, const ReduceGeometry& g, ConstView x, View out, View index) override {
    const numerics::FpMode mode;
    lists_.reduce_extreme.run(op, g, x, out, index);
  }
  void matmul(const MatmulGeometry& g, ConstView a, ConstView b, View c) override {
    const numerics::FpMode mode;
    lists_.matmul.run(g, a, b, c);
  }
  void conv_forward(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                    View y) override {
    const numerics::FpMode mode;
    lists_.conv_forward.run(g, x, w, epilogue, y);
  }
  void conv_backward_input(const ConvGeometry& g, ConstView dy, ConstView w, View dx) override {
    const numerics::FpMode mode;
    lists_.conv_backward_input.run(g, dy, w, dx);
  }
  void conv_backward_filter(const ConvGeometry& g, ConstView x, ConstView dy, View dw) override {
    const numerics::FpMode mode;
    lists_.conv_backward_filter.run(g, x, dy, dw);
  }
  void max_pool(const PoolGeometry& g, ConstView x, View y, View index) override {
    const numerics::FpMode mode;
    lists_.max_pool.run(g, x, y, index);
  }
  void max_pool_backward(const PoolGeometry& g, ConstView dy, ConstView index, View dx) override {
    const numerics::FpMode mode;
    lists_.max_pool_backward.run(g, dy, index, dx);
  }
  void max_pool_gather(const PoolGeometry& g, ConstView x, ConstView index, View y) override {
    const numerics::FpMode mode;
    lists_.max_pool_gather.run(g, x, index, y);
  }
  void avg_pool(const PoolGeometry& g, ConstView x, View y) override {
    const numerics::FpMode mode;
    lists_.avg_pool.run(g, x, y);
  }
  void avg_pool_backward(const PoolGeometry& g, ConstView dy, View dx) override {
    const numerics::FpMode mode;
    lists_.avg_pool_backward.run(g, dy, dx);
  }
  void softmax(std::int64_t columns, ConstView x, View y) override {
    const numerics::FpMode mode;
    lists_.softmax.run(columns, x, y);
  }
  void log_softmax(std::int64_t columns, ConstView x, View y) override {
    const numerics::FpMode mode;
    lists_.log_softmax.run(columns, x, y);
  }
  void softmax_backward(std::int64_t columns, ConstView dy, ConstView y, View dx) override {
    const numerics::FpMode mode;
    lists_.softmax_backward.run(columns, dy, y, dx);
  }
  void log_softmax_backward(std::int64_t columns, ConstView dy, ConstView y, View dx) override {
    const numerics::FpMode mode;
    lists_.log_softmax_backward.run(columns, dy, y, dx);
  }
  void norm_statistics(const NormGeometry& g, ConstView x, View mean, View variance) override {
    const numerics::FpMode mode;
    lists_.norm_statistics.run(g, x, mean, variance);
  }
  void norm_apply(const NormGeometry& g, double eps, ConstView x, ConstView mean, ConstView variance,
                  ConstView gamma, ConstView beta, View y) override {
    const numerics::FpMode mode;
    lists_.norm_apply.run(g, eps, x, mean, variance, gamma, beta, y);
  }
  void norm_backward(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                     ConstView variance, ConstView gamma, View dx) override {
    const numerics::FpMode mode;
    lists_.norm_backward.run(g, eps, dy, x, mean, variance, gamma, dx);
  }
  void norm_backward_affine(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                            ConstView variance, View dgamma, View dbeta) override {
    const numerics::FpMode mode;
    lists_.norm_backward_affine.run(g, eps, dy, x, mean, variance, dgamma, dbeta);
  }
  void random_uniform(RandomKey key, std::uint64_t first, double low, double high, View out) override {
    const numerics::FpMode mode;
    lists_.random_uniform.run(key, first, low, high, out);
  }
  void random_normal(RandomKey key, std::uint64_t first, double mean, double deviation, View out) override {
    const numerics::FpMode mode;
    lists_.random_normal.run(key, first, mean, deviation, out);
  }
  void dropout(RandomKey key, std::uint64_t first, double p, ConstView x, View out) override {
    const numerics::FpMode mode;
    lists_.dropout.run(key, first, p, x, out);
  }
  void optimizer_step(const OptimizerHyper& hyper, std::span<const OptimizerSlot> slots) override {
    const numerics::FpMode mode;
    lists_.optimizer_step.run(hyper, slots);
  }

 private:
  static void copy_bytes(void* to, const void* from, std::int64_t bytes) {
    parallel_ranges(bytes, std::int64_t{1} << 20, [&](std::int64_t begin, std::int64_t end) {
      std::memcpy(static_cast<char*>(to) + begin, static_cast<const char*>(from) + begin,
                  static_cast<std::size_t>(end - begin));
    });
  }

  Algorithms lists_;
};

}  // namespace

void register_device() {
  register_backend(std::make_unique<CpuBackend>());
}

}  // namespace isobit::cpu
