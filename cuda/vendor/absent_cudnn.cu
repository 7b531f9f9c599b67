// In place of conv_cudnn.cu and cudnn.cu where the toolkit has no cudnn_graph.h.
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

}  // namespace isobit::gpu::vendor
