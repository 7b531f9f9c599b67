// Fast mode of the CPU (isobit/arithmetic.h): products on the tile unit, AMX. The functions that end in
// _emulated run the same on its model, on any processor; they are for tests and for isobit verify.
#pragma once
#include "core/backend.h"

namespace isobit::cpu::kernels {

const char* refuse_matmul_amx(const MatmulGeometry& g, ConstView a, ConstView b, View c);
void matmul_amx(const MatmulGeometry& g, ConstView a, ConstView b, View c);
const char* refuse_matmul_amx_emulated(const MatmulGeometry& g, ConstView a, ConstView b, View c);
void matmul_amx_emulated(const MatmulGeometry& g, ConstView a, ConstView b, View c);

const char* refuse_conv_forward_amx(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                                    View y);
void conv_forward_amx(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue, View y);
const char* refuse_conv_forward_amx_emulated(const ConvGeometry& g, ConstView x, ConstView w,
                                             const Epilogue& epilogue, View y);
void conv_forward_amx_emulated(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                               View y);

const char* refuse_conv_backward_input_amx(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
void conv_backward_input_amx(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
const char* refuse_conv_backward_input_amx_emulated(const ConvGeometry& g, ConstView dy, ConstView w,
                                                    View dx);
void conv_backward_input_amx_emulated(const ConvGeometry& g, ConstView dy, ConstView w, View dx);

const char* refuse_conv_backward_filter_amx(const ConvGeometry& g, ConstView x, ConstView dy, View dw);
void conv_backward_filter_amx(const ConvGeometry& g, ConstView x, ConstView dy, View dw);
const char* refuse_conv_backward_filter_amx_emulated(const ConvGeometry& g, ConstView x, ConstView dy,
                                                     View dw);
void conv_backward_filter_amx_emulated(const ConvGeometry& g, ConstView x, ConstView dy, View dw);

}  // namespace isobit::cpu::kernels
