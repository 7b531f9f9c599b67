// matmul: c[m, n] is a blocked chain over k, which is what a 1x1 convolution sums, so a product is one pass
// of conv_pass.h over an image of m pixels with k channels: rows m, terms k, columns n. A transposed a is
// first copied to rows (m * k elements moved for m * n * k multiply-adds); a transposed b is packed like the
// filter of conv_backward_input. Batches that share b and follow each other are one product with more rows;
// other batches are the tasks of one loop when there are several, so that each product runs on one thread.
// Little work (refuse_matmul_small) is done without tasks, on this thread; much goes to gemm_product.h, which
// copies both operands to where the tiles like to read them.
#include "cpu/kernels/matmul.h"

#include "cpu/kernels/conv_pass.h"
#include "cpu/kernels/gemm_product.h"
#include "cpu/runtime/scratch.h"
#include "cpu/runtime/thread_pool.h"

namespace isobit::cpu::kernels {
namespace {

template <class T>
void product(const MatmulGeometry& g, gemm::Source a, gemm::Source b, void* c, DType dtype, bool small) {
  const Scratch<T> rows(g.transpose_a ? g.m * g.k : 0);
  if (g.transpose_a) {
    parallel_ranges(g.m, small ? g.m : 64, [&](std::int64_t begin, std::int64_t end) {
      gemm::pack_panel(a.at(begin), 1, g.m, end - begin, g.k, g.k, rows.data() + begin * g.k);
    });
    a = {rows.data(), dtype == DType::f64 ? DType::f64 : DType::f32};
  }
  gemm::Pass pass;
  pass.n = 1;
  pass.channels = g.k;
  pass.columns = g.n;
  gemm::PassAxis& axis = pass.axis[small ? 2 : 1];  // tasks are made of rows of the height
  axis.outputs = axis.place = axis.source = g.m;
  pass.source = a;
  pass.filter = b;
  pass.tap_stride = g.k * g.n;
  pass.channel_stride = g.transpose_b ? 1 : g.n;
  pass.column_stride = g.transpose_b ? g.k : 1;
  pass.out = c;
  pass.dtype = dtype;
  small ? gemm::run_small_pass<T>(pass) : gemm::run_pass<T>(pass);
}

void run(const MatmulGeometry& geometry, ConstView a, ConstView b, View c, bool small) {
  MatmulGeometry g = geometry;
  if (g.stride_b == 0 && g.stride_a == g.m * g.k && !g.transpose_a) {
    g.m *= g.batch;
    g.batch = 1;
  }
  const auto one = [&](std::int64_t i) {
    const gemm::Source from_a = gemm::Source{a.data, a.dtype}.at(i * g.stride_a);
    const gemm::Source from_b = gemm::Source{b.data, b.dtype}.at(i * g.stride_b);
    void* to = static_cast<char*>(c.data) + i * g.m * g.n * size_of(c.dtype);
    c.dtype == DType::f64 ? product<double>(g, from_a, from_b, to, c.dtype, small)
                          : product<float>(g, from_a, from_b, to, c.dtype, small);
  };
  if (small) {
    for (std::int64_t i = 0; i < g.batch; ++i) one(i);
  } else {
    parallel_for(g.batch, one);
  }
}

}  // namespace

const char* refuse_matmul_small(const MatmulGeometry& g, ConstView, ConstView, View) {
  const auto real = [](std::int64_t extent) { return static_cast<double>(extent); };
  return gemm::refuse_small(real(g.batch) * real(g.m), real(g.n) * real(g.k),
                            real(g.batch) * real(g.m) * real(g.k));
}

void matmul_small(const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  run(g, a, b, c, true);
}

const char* refuse_matmul_packed(const MatmulGeometry& g, ConstView, ConstView, View) {
  const auto real = [](std::int64_t extent) { return static_cast<double>(extent); };
  return gemm::refuse_product(real(g.batch), real(g.m), real(g.k), real(g.n));
}

void matmul_packed(const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  gemm::Product product;
  product.batch = g.batch;
  product.m = g.m;
  product.k = g.k;
  product.n = g.n;
  product.a = {a.data, a.dtype};
  product.a_stride = g.stride_a;
  product.row_stride = g.transpose_a ? 1 : g.k;
  product.a_term = g.transpose_a ? g.m : 1;
  product.b = {b.data, b.dtype};
  product.b_stride = g.stride_b;
  product.b_term = g.transpose_b ? 1 : g.n;
  product.column_stride = g.transpose_b ? g.k : 1;
  product.c = c.data;
  product.dtype = c.dtype;
  if (g.stride_b == 0 && g.stride_a == g.m * g.k && !g.transpose_a) {  // one product with more rows
    product.m *= product.batch;
    product.batch = 1;
  }
  c.dtype == DType::f64 ? gemm::run_product<double>(product) : gemm::run_product<float>(product);
}

void matmul_register_tiles(const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  run(g, a, b, c, false);
}

}  // namespace isobit::cpu::kernels
