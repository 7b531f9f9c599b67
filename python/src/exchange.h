// What both directions of the exchange need.
#pragma once
#include "arguments.h"
#include "dlpack.h"

namespace isobit::python {

inline constexpr const char* kOld = "dltensor";
inline constexpr const char* kVersioned = "dltensor_versioned";

bool on_gpu(Device device);
dlpack::DataType type_of(DType t);
/// Before memory is given back: other streams than the one that gets it next may still work on it.
void finish_work(Device device) noexcept;
/// The memory of anything with __dlpack__ as a tensor; layout None, "nhwc" or "nchw".
Tensor from_dlpack(nb::handle x, nb::handle layout);

}  // namespace isobit::python
