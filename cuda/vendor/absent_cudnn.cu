// In place of the *cudnn*.cu where the toolkit has no cudnn_graph.h.
#include <isobit/error.h>

#include "cuda/vendor/vendor.h"

namespace isobit::gpu::vendor {
namespace {

constexpr const char* kAbsent = "isobit was built where there was no cudnn_graph.h";

}  // namespace

const char* refuse_conv_forward_cudnn(const ConvGeometry&, ConstView, ConstView, const Epilogue&, View) {
  return kAbsent;
}
void conv_forward_cudnn(const ConvGeometry&, ConstView, ConstView, const Epilogue&, View) {
  fail("conv_forward", "{}", kAbsent);
}
const char* refuse_conv_backward_input_cudnn(const ConvGeometry&, ConstView, ConstView, View) {
  return kAbsent;
}
void conv_backward_input_cudnn(const ConvGeometry&, ConstView, ConstView, View) {
  fail("conv_backward_input", "{}", kAbsent);
}
const char* refuse_conv_backward_filter_cudnn(const ConvGeometry&, ConstView, ConstView, View) {
  return kAbsent;
}
void conv_backward_filter_cudnn(const ConvGeometry&, ConstView, ConstView, View) {
  fail("conv_backward_filter", "{}", kAbsent);
}
const char* refuse_max_pool_cudnn(const PoolGeometry&, ConstView, View, View) {
  return kAbsent;
}
void max_pool_cudnn(const PoolGeometry&, ConstView, View, View) {
  fail("max_pool", "{}", kAbsent);
}
const char* refuse_max_pool_backward_cudnn(const PoolGeometry&, ConstView, ConstView, View) {
  return kAbsent;
}
void max_pool_backward_cudnn(const PoolGeometry&, ConstView, ConstView, View) {
  fail("max_pool_backward", "{}", kAbsent);
}
const char* refuse_avg_pool_cudnn(const PoolGeometry&, ConstView, View) {
  return kAbsent;
}
void avg_pool_cudnn(const PoolGeometry&, ConstView, View) {
  fail("avg_pool", "{}", kAbsent);
}
const char* refuse_avg_pool_backward_cudnn(const PoolGeometry&, ConstView, View) {
  return kAbsent;
}
void avg_pool_backward_cudnn(const PoolGeometry&, ConstView, View) {
  fail("avg_pool_backward", "{}", kAbsent);
}
const char* refuse_norm_cudnn(const NormGeometry&, double, ConstView, ConstView, ConstView, View, View,
                              View) {
  return kAbsent;
}
void norm_cudnn(const NormGeometry&, double, ConstView, ConstView, ConstView, View, View, View) {
  fail("norm", "{}", kAbsent);
}
const char* refuse_norm_backward_cudnn(const NormGeometry&, double, ConstView, ConstView, ConstView,
                                       ConstView, ConstView, View) {
  return kAbsent;
}
void norm_backward_cudnn(const NormGeometry&, double, ConstView, ConstView, ConstView, ConstView, ConstView,
                         View) {
  fail("norm_backward", "{}", kAbsent);
}

}  // namespace isobit::gpu::vendor
