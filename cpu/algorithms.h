// The algorithm lists of the CPU device: one for every kernel of the seam, under the kernel's name.
//
// Adding an algorithm: declare `const char* refuse_...(arguments)` (null: accepts; else the reason) and
// `void ..._(arguments)` with the kernel's own signature in a header under cpu/kernels/, then add
//
//   {"implicit_gemm", kernels::refuse_implicit_gemm, kernels::implicit_gemm},
//
// to the kernel's list in cpu/algorithms/<family>.cpp, before "reference" and in order of preference. A null
// refuse serves everything. The parity tests find it there by itself.
#pragma once
#include "cpu/reference/reference.h"
#include "cpu/runtime/algorithm.h"

namespace isobit::cpu {

/// One list for a kernel, with the signature of its definition.
struct Algorithms : AlgorithmRegistry {
  Algorithms();

  // ---- cpu/algorithms/conv.cpp
  AlgorithmList<decltype(reference::matmul)> matmul{*this, "matmul"};
  AlgorithmList<decltype(reference::conv_forward)> conv_forward{*this, "conv_forward"};
  AlgorithmList<decltype(reference::conv_backward_input)> conv_backward_input{*this, "conv_backward_input"};
  AlgorithmList<decltype(reference::conv_backward_filter)> conv_backward_filter{*this,
                                                                                "conv_backward_filter"};
  // ---- cpu/algorithms/movement.cpp
  AlgorithmList<decltype(reference::fill)> fill{*this, "fill"};
  AlgorithmList<decltype(reference::cast)> cast{*this, "cast"};
  AlgorithmList<decltype(reference::strided_copy)> strided_copy{*this, "strided_copy"};
  AlgorithmList<decltype(reference::pad)> pad{*this, "pad"};
  AlgorithmList<decltype(reference::pad_backward)> pad_backward{*this, "pad_backward"};
  AlgorithmList<decltype(reference::gather_rows)> gather_rows{*this, "gather_rows"};
  AlgorithmList<decltype(reference::scatter_add_rows)> scatter_add_rows{*this, "scatter_add_rows"};
  AlgorithmList<decltype(reference::arange)> arange{*this, "arange"};
  AlgorithmList<decltype(reference::one_hot)> one_hot{*this, "one_hot"};
  // ---- cpu/algorithms/elementwise.cpp
  AlgorithmList<decltype(reference::unary)> unary{*this, "unary"};
  AlgorithmList<decltype(reference::binary)> binary{*this, "binary"};
  AlgorithmList<decltype(reference::select)> select{*this, "select"};
  AlgorithmList<decltype(reference::random_uniform)> random_uniform{*this, "random_uniform"};
  AlgorithmList<decltype(reference::random_normal)> random_normal{*this, "random_normal"};
  AlgorithmList<decltype(reference::dropout)> dropout{*this, "dropout"};
  AlgorithmList<decltype(reference::optimizer_step)> optimizer_step{*this, "optimizer_step"};
  // ---- cpu/algorithms/reduction.cpp
  AlgorithmList<decltype(reference::reduce_sum)> reduce_sum{*this, "reduce_sum"};
  AlgorithmList<decltype(reference::reduce_extreme)> reduce_extreme{*this, "reduce_extreme"};
  AlgorithmList<decltype(reference::softmax)> softmax{*this, "softmax"};
  AlgorithmList<decltype(reference::log_softmax)> log_softmax{*this, "log_softmax"};
  AlgorithmList<decltype(reference::softmax_backward)> softmax_backward{*this, "softmax_backward"};
  AlgorithmList<decltype(reference::log_softmax_backward)> log_softmax_backward{*this,
                                                                                "log_softmax_backward"};
  AlgorithmList<decltype(reference::norm_statistics)> norm_statistics{*this, "norm_statistics"};
  AlgorithmList<decltype(reference::norm_apply)> norm_apply{*this, "norm_apply"};
  AlgorithmList<decltype(reference::norm_backward)> norm_backward{*this, "norm_backward"};
  AlgorithmList<decltype(reference::norm_backward_affine)> norm_backward_affine{*this,
                                                                                "norm_backward_affine"};
  // ---- cpu/algorithms/pooling.cpp
  AlgorithmList<decltype(reference::max_pool)> max_pool{*this, "max_pool"};
  AlgorithmList<decltype(reference::max_pool_backward)> max_pool_backward{*this, "max_pool_backward"};
  AlgorithmList<decltype(reference::max_pool_gather)> max_pool_gather{*this, "max_pool_gather"};
  AlgorithmList<decltype(reference::avg_pool)> avg_pool{*this, "avg_pool"};
  AlgorithmList<decltype(reference::avg_pool_backward)> avg_pool_backward{*this, "avg_pool_backward"};
};

void set_conv_algorithms(Algorithms& lists);
void set_movement_algorithms(Algorithms& lists);
void set_elementwise_algorithms(Algorithms& lists);
void set_reduction_algorithms(Algorithms& lists);
void set_pooling_algorithms(Algorithms& lists);

}  // namespace isobit::cpu
