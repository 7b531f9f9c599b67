// Nothing that networks run falls to `reference`: every kernel has a faster algorithm, and a representative
// call of each, in f32 and in the other floating types, is served by it. The traces say which algorithm ran.
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "core/trace.h"
#include "core/verify/families.h"
#include "tests/support/kernel_names.h"

namespace isobit::parity {
namespace {

using verify::compute_type;
using verify::kFloating;
using verify::Values;
using Array = verify::HostArray;

Array random_array(DType dtype, std::int64_t numel, Values values = Values::plain) {
  return verify::random_array(dtype, numel, values, {1, 1});
}

struct Call {
  std::string kernel;
  std::function<void(Backend&, DType)> run;
};

AxisGeometry axis(std::int64_t in, std::int64_t filter, std::int64_t stride, std::int64_t pad) {
  AxisGeometry a;
  a.in = in, a.filter = filter, a.stride = stride, a.pad_before = pad, a.pad_after = pad;
  a.out = (in + 2 * pad - filter) / stride + 1;
  return a;
}
PoolGeometry pool() {
  PoolGeometry g;
  g.n = 2, g.c = 8, g.axis[1] = axis(8, 2, 2, 0), g.axis[2] = axis(8, 2, 2, 0);
  return g;
}
ConvGeometry conv(std::int64_t groups) {
  ConvGeometry g;
  g.n = 2, g.c = 8, g.k = 16, g.groups = groups, g.axis[1] = axis(8, 3, 1, 1), g.axis[2] = axis(8, 3, 1, 1);
  return g;
}
ReduceGeometry reduce(std::vector<std::int64_t> extents, const std::string& axes) {
  ReduceGeometry g;
  g.rank = static_cast<int>(extents.size());
  for (int i = 0; i < g.rank; ++i) {
    g.extent[i] = extents[static_cast<std::size_t>(i)];
    g.reduced[i] = axes[static_cast<std::size_t>(i)] == 'r';
  }
  g.batch = g.reduced[0];
  g.lanes = g.rank > 1 && g.reduced[g.rank - 1];
  return g;
}
StridedGeometry rows() {
  StridedGeometry g;
  g.rank = 2, g.extent[0] = 4, g.extent[1] = 10;
  g.stride[0] = {10, 1}, g.stride[1] = {0, 1}, g.stride[2] = {10, 1};
  return g;
}
NormGeometry norm(bool over_batch) {
  NormGeometry g;
  g.a = 4, g.b = over_batch ? 9 : 1, g.g = over_batch ? 8 : 1, g.d = over_batch ? 1 : 8,
  g.over_batch = over_batch;
  return g;
}
PadGeometry padding() {
  PadGeometry g;
  g.rank = 1, g.in[0] = 6, g.before[0] = 1, g.out[0] = 9;
  return g;
}

std::vector<Call> calls() {
  const auto in = [](DType t, std::int64_t n) { return random_array(t, n, Values::finite); };
  std::vector<Call> list;
  const auto add = [&](const char* kernel, std::function<void(Backend&, DType)> run) {
    list.push_back({kernel, run});
  };
  add("fill", [=](Backend& b, DType t) { b.fill(Array(t, 9).view(), 1.0); });
  add("cast", [=](Backend& b, DType t) {
    b.cast(in(DType::u8, 9).view(), Array(t, 9).view());
    b.cast(in(t, 9).view(), Array(DType::f32, 9).view());
  });
  add("strided_copy",
      [=](Backend& b, DType t) { b.strided_copy(rows(), in(t, 40).view(), Array(t, 40).view()); });
  add("pad", [=](Backend& b, DType t) { b.pad(padding(), in(t, 6).view(), Array(t, 9).view()); });
  add("pad_backward",
      [=](Backend& b, DType t) { b.pad_backward(padding(), in(t, 9).view(), Array(t, 6).view()); });
  const Array index = Array(std::vector<std::int64_t>{1, 0, 1});
  add("gather_rows",
      [=](Backend& b, DType t) { b.gather_rows(in(t, 8).view(), index.view(), 4, Array(t, 12).view()); });
  add("scatter_add_rows", [=](Backend& b, DType t) {
    b.scatter_add_rows(in(t, 12).view(), index.view(), 2, 4, Array(t, 8).view());
  });
  add("arange", [=](Backend& b, DType t) { b.arange(0, 1, Array(t, 9).view()); });
  add("one_hot", [=](Backend& b, DType t) { b.one_hot(index.view(), 2, 1, 0, Array(t, 6).view()); });
  add("unary", [=](Backend& b, DType t) {
    for (int op = 0; op <= static_cast<int>(UnaryOp::rsub_scalar); ++op)
      b.unary(static_cast<UnaryOp>(op), 0.5, in(t, 9).view(), Array(t, 9).view());
  });
  add("binary", [=](Backend& b, DType t) {
    for (int code = 0; code <= static_cast<int>(BinaryOp::abs_grad); ++code) {
      const auto op = static_cast<BinaryOp>(code);
      if (is_logical(op)) continue;
      b.binary(op, 0.5, rows(), in(t, 40).view(), in(t, 10).view(),
               Array(is_comparison(op) ? DType::boolean : t, 40).view());
    }
  });
  add("select", [=](Backend& b, DType t) {
    b.select(rows(), in(DType::boolean, 40).view(), in(t, 10).view(), in(t, 40).view(), Array(t, 40).view());
  });
  add("reduce_sum", [=](Backend& b, DType t) {
    for (const ReduceGeometry& g : {reduce({4, 9, 5}, "rrk"), reduce({4, 90}, "kr"), reduce({30}, "r")})
      b.reduce_sum(g, in(t, g.kept() * g.reduced_size()).view(), Array(t, g.kept()).view());
  });
  add("reduce_extreme", [=](Backend& b, DType t) {
    b.reduce_extreme(ReduceOp::max, reduce({4, 10}, "kr"), in(t, 40).view(), Array(t, 4).view(),
                     Array(DType::i64, 4).view());
  });
  add("matmul", [=](Backend& b, DType t) {
    MatmulGeometry g;
    g.batch = 1, g.m = 5, g.n = 6, g.k = 7;
    b.matmul(g, in(t, 35).view(), in(t, 42).view(), Array(t, 30).view());
  });
  add("conv_forward", [=](Backend& b, DType t) {
    for (const std::int64_t groups : {1, 8}) {
      const ConvGeometry g = conv(groups);
      b.conv_forward(g, in(t, g.x_size()).view(), in(t, g.w_size()).view(), {}, Array(t, g.y_size()).view());
    }
  });
  add("conv_backward_input", [=](Backend& b, DType t) {
    const ConvGeometry g = conv(1);
    b.conv_backward_input(g, in(t, g.y_size()).view(), in(t, g.w_size()).view(), Array(t, g.x_size()).view());
  });
  add("conv_backward_filter", [=](Backend& b, DType t) {
    const ConvGeometry g = conv(1);
    b.conv_backward_filter(g, in(t, g.x_size()).view(), in(t, g.y_size()).view(),
                           Array(t, g.w_size()).view());
  });
  add("unfold", [=](Backend& b, DType t) {
    const ConvGeometry g = conv(1);
    b.unfold(g, in(t, g.x_size()).view(), Array(t, g.n * g.positions() * g.terms()).view());
  });
  add("fold", [=](Backend& b, DType t) {
    const ConvGeometry g = conv(1);
    b.fold(g, in(t, g.n * g.positions() * g.terms()).view(), Array(t, g.x_size()).view());
  });
  add("resample", [=](Backend& b, DType t) {
    const Array start(std::vector<std::int64_t>{0, 2, 3}), column(std::vector<std::int64_t>{0, 1, 2});
    b.resample({2, 3, 2, 5}, in(t, 30).view(), start.view(), column.view(), in(compute_type(t), 3).view(),
               Array(t, 20).view());
  });
  const std::int64_t x = 2 * 8 * 64, y = 2 * 8 * 16;
  add("max_pool", [=](Backend& b, DType t) {
    b.max_pool(pool(), in(t, x).view(), Array(t, y).view(), Array(DType::i64, y).view());
  });
  const Array zeros = Array(std::vector<std::int64_t>(static_cast<std::size_t>(y), 0));
  add("max_pool_backward", [=](Backend& b, DType t) {
    b.max_pool_backward(pool(), in(t, y).view(), zeros.view(), Array(t, x).view());
  });
  add("max_pool_gather", [=](Backend& b, DType t) {
    b.max_pool_gather(pool(), in(t, x).view(), zeros.view(), Array(t, y).view());
  });
  add("avg_pool", [=](Backend& b, DType t) { b.avg_pool(pool(), in(t, x).view(), Array(t, y).view()); });
  add("avg_pool_backward",
      [=](Backend& b, DType t) { b.avg_pool_backward(pool(), in(t, y).view(), Array(t, x).view()); });
  add("softmax", [=](Backend& b, DType t) { b.softmax(10, in(t, 40).view(), Array(t, 40).view()); });
  add("log_softmax", [=](Backend& b, DType t) { b.log_softmax(10, in(t, 40).view(), Array(t, 40).view()); });
  add("softmax_backward", [=](Backend& b, DType t) {
    b.softmax_backward(10, in(t, 40).view(), in(t, 40).view(), Array(t, 40).view());
  });
  add("log_softmax_backward", [=](Backend& b, DType t) {
    b.log_softmax_backward(10, in(t, 40).view(), in(t, 40).view(), Array(t, 40).view());
  });
  for (const bool over_batch : {false, true}) {
    const NormGeometry g = norm(over_batch);
    const auto statistic = [=](DType t) {
      return random_array(compute_type(t), g.statistics(), Values::finite);
    };
    add("norm_statistics", [=](Backend& b, DType t) {
      b.norm_statistics(g, in(t, g.numel()).view(), statistic(t).view(), statistic(t).view());
    });
    add("norm_apply", [=](Backend& b, DType t) {
      b.norm_apply(g, 1e-5, in(t, g.numel()).view(), statistic(t).view(), statistic(t).view(), {}, {},
                   Array(t, g.numel()).view());
    });
    add("norm_backward", [=](Backend& b, DType t) {
      b.norm_backward(g, 1e-5, in(t, g.numel()).view(), in(t, g.numel()).view(), statistic(t).view(),
                      statistic(t).view(), {}, Array(t, g.numel()).view());
    });
    add("norm_backward_affine", [=](Backend& b, DType t) {
      Array channels(compute_type(t), g.channels());
      b.norm_backward_affine(g, 1e-5, in(t, g.numel()).view(), in(t, g.numel()).view(), statistic(t).view(),
                             statistic(t).view(), channels.view(), View{});
    });
  }
  LocalResponseGeometry response;
  response.rows = 4, response.c = 10, response.before = response.after = 2;
  response.scale = 0.5, response.beta = 0.75, response.bias = 1;
  add("local_response_norm",
      [=](Backend& b, DType t) { b.local_response_norm(response, in(t, 40).view(), Array(t, 40).view()); });
  add("local_response_norm_backward", [=](Backend& b, DType t) {
    b.local_response_norm_backward(response, in(t, 40).view(), in(t, 40).view(), Array(t, 40).view());
  });
  add("random_uniform", [=](Backend& b, DType t) { b.random_uniform({1, 2}, 0, 0, 1, Array(t, 9).view()); });
  add("random_normal", [=](Backend& b, DType t) { b.random_normal({1, 2}, 0, 0, 1, Array(t, 9).view()); });
  add("dropout", [=](Backend& b, DType t) {
    b.dropout({1, 2}, 0, 0.5, in(t, 9).view(), Array(t, 9).view());
  });
  add("optimizer_step", [=](Backend& b, DType t) {
    Array w = in(compute_type(t), 9);
    const Array grad = in(compute_type(t), 9);
    OptimizerSlot slot;
    slot.param = w.view(), slot.grad = grad.view();
    b.optimizer_step({}, {&slot, 1});
  });
  return list;
}

TEST(NoReference, ServesAnything) {
  Backend& cpu = backend(Device::cpu());
  std::set<std::string> called;
  for (const Call& call : calls()) {
    called.insert(call.kernel);
    const auto algorithms = cpu.algorithms(call.kernel);
    EXPECT_EQ(algorithms.back(), "reference");
    EXPECT_GE(algorithms.size(), 2u) << call.kernel << " has nothing but the reference";
    for (const DType dtype : kFloating) {
      const TraceCapture capture;
      call.run(cpu, dtype);
      EXPECT_GT(capture.count(call.kernel), 0) << call.kernel;
      EXPECT_EQ(capture.count_algorithm("reference"), 0) << call.kernel << " " << name_of(dtype);
    }
  }
  for (const std::string& kernel : test::kernel_names())
    EXPECT_TRUE(called.contains(kernel)) << "calls() has none of " << kernel;
}

}  // namespace
}  // namespace isobit::parity
