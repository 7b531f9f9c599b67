// A computed tensor against the one that a test case demands.
#pragma once
#include <isobit/tensor.h>

#include <string>

namespace isobit::cli::onnx {

/// |got - expected| <= absolute + relative |expected| for each element; NaN only where NaN is expected;
/// infinities, integers and truth values exactly. (ONNX's own runner uses 1e-3 and 1e-7.)
struct Tolerance {
  double relative = 1e-5, absolute = 1e-7;
};

/// Empty when they agree; otherwise one line: another type or shape, or how many elements differ and the
/// first of them.
std::string disagreement(const Tensor& got, const Tensor& expected, const Tolerance& tolerance = {});

}  // namespace isobit::cli::onnx
