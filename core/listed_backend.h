// What devices have in common: every kernel of the seam goes to an ordered list of algorithms. A device fills
// the lists and derives from ListedBackend; nothing else knows their names.
#pragma once
#include <memory>
#include <string_view>
#include <vector>

#include "core/algorithm.h"
#include "core/backend.h"
#include "core/fast_algorithms.h"

namespace isobit {

namespace detail {
template <class Member>
struct KernelSignature;
template <class... Args>
struct KernelSignature<void (Backend::*)(Args...)> {
  using type = void(Args...);
};
}  // namespace detail

/// The list of the kernel that a member of Backend names: AlgorithmListOf<&Backend::fill>.
template <auto kKernel>
using AlgorithmListOf = AlgorithmList<typename detail::KernelSignature<decltype(kKernel)>::type>;

/// One list for every kernel, under the kernel's name.
struct AlgorithmLists : AlgorithmRegistry {
  AlgorithmListOf<&Backend::fill> fill{*this, "fill"};
  AlgorithmListOf<&Backend::cast> cast{*this, "cast"};
  AlgorithmListOf<&Backend::strided_copy> strided_copy{*this, "strided_copy"};
  AlgorithmListOf<&Backend::pad> pad{*this, "pad"};
  AlgorithmListOf<&Backend::pad_backward> pad_backward{*this, "pad_backward"};
  AlgorithmListOf<&Backend::gather_rows> gather_rows{*this, "gather_rows"};
  AlgorithmListOf<&Backend::scatter_add_rows> scatter_add_rows{*this, "scatter_add_rows"};
  AlgorithmListOf<&Backend::arange> arange{*this, "arange"};
  AlgorithmListOf<&Backend::one_hot> one_hot{*this, "one_hot"};
  AlgorithmListOf<&Backend::unary> unary{*this, "unary"};
  AlgorithmListOf<&Backend::binary> binary{*this, "binary"};
  AlgorithmListOf<&Backend::select> select{*this, "select"};
  AlgorithmListOf<&Backend::reduce_sum> reduce_sum{*this, "reduce_sum"};
  AlgorithmListOf<&Backend::reduce_extreme> reduce_extreme{*this, "reduce_extreme"};
  AlgorithmListOf<&Backend::matmul> matmul{*this, "matmul", Planned::yes};
  AlgorithmListOf<&Backend::conv_forward> conv_forward{*this, "conv_forward", Planned::yes};
  AlgorithmListOf<&Backend::conv_backward_input> conv_backward_input{*this, "conv_backward_input",
                                                                     Planned::yes};
  AlgorithmListOf<&Backend::conv_backward_filter> conv_backward_filter{*this, "conv_backward_filter",
                                                                       Planned::yes};
  AlgorithmListOf<&Backend::unfold> unfold{*this, "unfold"};
  AlgorithmListOf<&Backend::fold> fold{*this, "fold"};
  AlgorithmListOf<&Backend::resample> resample{*this, "resample"};
  AlgorithmListOf<&Backend::max_pool> max_pool{*this, "max_pool"};
  AlgorithmListOf<&Backend::max_pool_backward> max_pool_backward{*this, "max_pool_backward"};
  AlgorithmListOf<&Backend::max_pool_gather> max_pool_gather{*this, "max_pool_gather"};
  AlgorithmListOf<&Backend::avg_pool> avg_pool{*this, "avg_pool"};
  AlgorithmListOf<&Backend::avg_pool_backward> avg_pool_backward{*this, "avg_pool_backward"};
  AlgorithmListOf<&Backend::softmax> softmax{*this, "softmax"};
  AlgorithmListOf<&Backend::log_softmax> log_softmax{*this, "log_softmax"};
  AlgorithmListOf<&Backend::softmax_backward> softmax_backward{*this, "softmax_backward"};
  AlgorithmListOf<&Backend::log_softmax_backward> log_softmax_backward{*this, "log_softmax_backward"};
  AlgorithmListOf<&Backend::norm_statistics> norm_statistics{*this, "norm_statistics"};
  AlgorithmListOf<&Backend::norm_apply> norm_apply{*this, "norm_apply"};
  AlgorithmListOf<&Backend::norm_backward> norm_backward{*this, "norm_backward"};
  AlgorithmListOf<&Backend::norm_backward_affine> norm_backward_affine{*this, "norm_backward_affine"};
  AlgorithmListOf<&Backend::local_response_norm> local_response_norm{*this, "local_response_norm"};
  AlgorithmListOf<&Backend::local_response_norm_backward> local_response_norm_backward{
      *this, "local_response_norm_backward"};
  AlgorithmListOf<&Backend::random_uniform> random_uniform{*this, "random_uniform"};
  AlgorithmListOf<&Backend::random_normal> random_normal{*this, "random_normal"};
  AlgorithmListOf<&Backend::dropout> dropout{*this, "dropout"};
  AlgorithmListOf<&Backend::optimizer_step> optimizer_step{*this, "optimizer_step"};
};

/// The part of a device that runs kernels. Guard is constructed before each kernel and destroyed after it: it
/// sets up what kernels rely on (the floating-point mode of the thread; the current device).
template <class Guard>
class ListedBackend : public Backend, public HasFastAlgorithms {
 public:
  ListedBackend() { lists_.device = this; }

  std::vector<std::string> algorithms(std::string_view kernel) const override {
    return lists_.find(kernel).names();
  }
  std::vector<std::string> fast_algorithms(std::string_view kernel) const override {
    return lists_.find(kernel).fast_names();
  }
  void force_algorithm(std::string_view kernel, std::string_view algorithm) override {
    lists_.find(kernel).force(algorithm);
  }

  void fill(View out, Scalar value) override {
    const Guard guard = enter("fill");
    lists_.fill.run(out, value);
  }
  void cast(ConstView in, View out) override {
    const Guard guard = enter("cast");
    lists_.cast.run(in, out);
  }
  void strided_copy(const StridedGeometry& g, ConstView in, View out) override {
    const Guard guard = enter("strided_copy");
    lists_.strided_copy.run(g, in, out);
  }
  void pad(const PadGeometry& g, ConstView x, View y) override {
    const Guard guard = enter("pad");
    lists_.pad.run(g, x, y);
  }
  void pad_backward(const PadGeometry& g, ConstView dy, View dx) override {
    const Guard guard = enter("pad_backward");
    lists_.pad_backward.run(g, dy, dx);
  }
  void gather_rows(ConstView rows, ConstView index, std::int64_t row_size, View out) override {
    const Guard guard = enter("gather_rows");
    lists_.gather_rows.run(rows, index, row_size, out);
  }
  void scatter_add_rows(ConstView dy, ConstView index, std::int64_t row_count, std::int64_t row_size,
                        View out) override {
    const Guard guard = enter("scatter_add_rows");
    lists_.scatter_add_rows.run(dy, index, row_count, row_size, out);
  }
  void arange(double start, double step, View out) override {
    const Guard guard = enter("arange");
    lists_.arange.run(start, step, out);
  }
  void one_hot(ConstView label, std::int64_t classes, double on, double off, View out) override {
    const Guard guard = enter("one_hot");
    lists_.one_hot.run(label, classes, on, off, out);
  }
  void unary(UnaryOp op, Scalar a, ConstView x, View out) override {
    const Guard guard = enter("unary");
    lists_.unary.run(op, a, x, out);
  }
  void binary(BinaryOp op, Scalar parameter, const StridedGeometry& g, ConstView a, ConstView b,
              View out) override {
    const Guard guard = enter("binary");
    lists_.binary.run(op, parameter, g, a, b, out);
  }
  void select(const StridedGeometry& g, ConstView condition, ConstView a, ConstView b, View out) override {
    const Guard guard = enter("select");
    lists_.select.run(g, condition, a, b, out);
  }
  void reduce_sum(const ReduceGeometry& g, ConstView x, View out) override {
    const Guard guard = enter("reduce_sum");
    lists_.reduce_sum.run(g, x, out);
  }
  void reduce_extreme(ReduceOp op, const ReduceGeometry& g, ConstView x, View out, View index) override {
    const Guard guard = enter("reduce_extreme");
    lists_.reduce_extreme.run(op, g, x, out, index);
  }
  void matmul(const MatmulGeometry& g, ConstView a, ConstView b, View c) override {
    const Guard guard = enter("matmul");
    lists_.matmul.run(g, a, b, c);
  }
  void conv_forward(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                    View y) override {
    const Guard guard = enter("conv_forward");
    lists_.conv_forward.run(g, x, w, epilogue, y);
  }
  void conv_backward_input(const ConvGeometry& g, ConstView dy, ConstView w, View dx) override {
    const Guard guard = enter("conv_backward_input");
    lists_.conv_backward_input.run(g, dy, w, dx);
  }
  void conv_backward_filter(const ConvGeometry& g, ConstView x, ConstView dy, View dw) override {
    const Guard guard = enter("conv_backward_filter");
    lists_.conv_backward_filter.run(g, x, dy, dw);
  }
  void unfold(const ConvGeometry& g, ConstView x, View columns) override {
    const Guard guard = enter("unfold");
    lists_.unfold.run(g, x, columns);
  }
  void fold(const ConvGeometry& g, ConstView columns, View dx) override {
    const Guard guard = enter("fold");
    lists_.fold.run(g, columns, dx);
  }
  void resample(const ResampleGeometry& g, ConstView x, ConstView start, ConstView column, ConstView weight,
                View y) override {
    const Guard guard = enter("resample");
    lists_.resample.run(g, x, start, column, weight, y);
  }
  void max_pool(const PoolGeometry& g, ConstView x, View y, View index) override {
    const Guard guard = enter("max_pool");
    lists_.max_pool.run(g, x, y, index);
  }
  void max_pool_backward(const PoolGeometry& g, ConstView dy, ConstView index, View dx) override {
    const Guard guard = enter("max_pool_backward");
    lists_.max_pool_backward.run(g, dy, index, dx);
  }
  void max_pool_gather(const PoolGeometry& g, ConstView x, ConstView index, View y) override {
    const Guard guard = enter("max_pool_gather");
    lists_.max_pool_gather.run(g, x, index, y);
  }
  void avg_pool(const PoolGeometry& g, ConstView x, View y) override {
    const Guard guard = enter("avg_pool");
    lists_.avg_pool.run(g, x, y);
  }
  void avg_pool_backward(const PoolGeometry& g, ConstView dy, View dx) override {
    const Guard guard = enter("avg_pool_backward");
    lists_.avg_pool_backward.run(g, dy, dx);
  }
  void softmax(std::int64_t columns, ConstView x, View y) override {
    const Guard guard = enter("softmax");
    lists_.softmax.run(columns, x, y);
  }
  void log_softmax(std::int64_t columns, ConstView x, View y) override {
    const Guard guard = enter("log_softmax");
    lists_.log_softmax.run(columns, x, y);
  }
  void softmax_backward(std::int64_t columns, ConstView dy, ConstView y, View dx) override {
    const Guard guard = enter("softmax_backward");
    lists_.softmax_backward.run(columns, dy, y, dx);
  }
  void log_softmax_backward(std::int64_t columns, ConstView dy, ConstView y, View dx) override {
    const Guard guard = enter("log_softmax_backward");
    lists_.log_softmax_backward.run(columns, dy, y, dx);
  }
  void norm_statistics(const NormGeometry& g, ConstView x, View mean, View variance) override {
    const Guard guard = enter("norm_statistics");
    lists_.norm_statistics.run(g, x, mean, variance);
  }
  void norm_apply(const NormGeometry& g, double eps, ConstView x, ConstView mean, ConstView variance,
                  ConstView gamma, ConstView beta, View y) override {
    const Guard guard = enter("norm_apply");
    lists_.norm_apply.run(g, eps, x, mean, variance, gamma, beta, y);
  }
  void norm_backward(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                     ConstView variance, ConstView gamma, View dx) override {
    const Guard guard = enter("norm_backward");
    lists_.norm_backward.run(g, eps, dy, x, mean, variance, gamma, dx);
  }
  void norm_backward_affine(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                            ConstView variance, View dgamma, View dbeta) override {
    const Guard guard = enter("norm_backward_affine");
    lists_.norm_backward_affine.run(g, eps, dy, x, mean, variance, dgamma, dbeta);
  }
  void local_response_norm(const LocalResponseGeometry& g, ConstView x, View y) override {
    const Guard guard = enter("local_response_norm");
    lists_.local_response_norm.run(g, x, y);
  }
  void local_response_norm_backward(const LocalResponseGeometry& g, ConstView dy, ConstView x,
                                    View dx) override {
    const Guard guard = enter("local_response_norm_backward");
    lists_.local_response_norm_backward.run(g, dy, x, dx);
  }
  void random_uniform(RandomKey key, std::uint64_t first, double low, double high, View out) override {
    const Guard guard = enter("random_uniform");
    lists_.random_uniform.run(key, first, low, high, out);
  }
  void random_normal(RandomKey key, std::uint64_t first, double mean, double deviation, View out) override {
    const Guard guard = enter("random_normal");
    lists_.random_normal.run(key, first, mean, deviation, out);
  }
  void dropout(RandomKey key, std::uint64_t first, double p, ConstView x, View out) override {
    const Guard guard = enter("dropout");
    lists_.dropout.run(key, first, p, x, out);
  }
  void optimizer_step(const OptimizerHyper& hyper, std::span<const OptimizerSlot> slots) override {
    const Guard guard = enter("optimizer_step");
    lists_.optimizer_step.run(hyper, slots);
  }

 protected:
  /// `kernel`: the name of the kernel that is about to run, a literal.
  virtual Guard enter(const char* kernel) const = 0;
  AlgorithmLists& lists() { return lists_; }

 private:
  AlgorithmLists lists_;
};

}  // namespace isobit
