// What a convolution does, tap by tap: for those who learn it, and for those who look for a difference. The
// coordinates come from the kernels' own index function, the sums are the kernels' own bits.
#pragma once
#include <isobit/ops.h>

#include <array>
#include <string>
#include <vector>

namespace isobit {

/// One term of one output element. Coordinates are {d, h, w}; axes that the tensor does not have are 0.
struct ConvTap {
  std::array<std::int64_t, 3> tap{};     ///< {t, r, s} of the filter (of the reversed one with flip)
  std::int64_t channel = 0;              ///< of x
  std::array<std::int64_t, 3> padded{};  ///< in the padded input: output * stride + tap * dilation
  std::array<std::int64_t, 3> source{};  ///< the element of x that is read there
  bool outside = false;                  ///< no element: the padding's value
  double x = 0, w = 0;
  double product = 0;  ///< rounded; what is added is the unrounded one (fma)
  double chain = 0;    ///< of the open block, this term included
  double total = 0;    ///< the closed blocks' sum and the open one's: after the last tap, the sum's own bits
};

struct ConvTrace {
  std::array<std::int64_t, 3> output{};  ///< {o, p, q}
  std::int64_t n = 0, k = 0;
  ConvOptions options;
  std::vector<ConvTap> taps;  ///< in the order of summation: t, r, s, c
  double sum = 0;  ///< the element of conv(x, w, {}, options) without activation, before it is stored
};

/// Every tap of y[n, position..., k] of y = conv(x, w, {}, options). `position` has as many numbers as x has
/// spatial axes. x and w: floating, of one dtype, on any device. Throws Error for what conv refuses, and for
/// an element that y does not have.
ConvTrace trace(const Tensor& x, const Tensor& w, std::int64_t n, const std::vector<std::int64_t>& position,
                std::int64_t k, const ConvOptions& options = {});

/// An output position that an element of x feeds, and the tap and the padded coordinate through which.
struct ConvUse {
  std::array<std::int64_t, 3> output{}, tap{}, padded{};
};

/// All of them for x[n, position..., c], whatever n and c: the terms of its gradient, in row-major order of
/// the padded coordinates and then of the taps. Throws Error for what conv refuses, for a position outside x,
/// and for more than 2^32 pairs of outputs and taps on an axis.
std::vector<ConvUse> uses(const Shape& x, const Shape& w, const std::vector<std::int64_t>& position,
                          const ConvOptions& options = {});

/// A convolution in the compact grammar of the shape files (docs/verify.md), as conv takes it. x and w have
/// two spatial axes, three where the line has a depth. Throws Error that says what is wrong with the line.
struct ConvProblem {
  Shape x, w;
  ConvOptions options;
};
ConvProblem parse_conv_problem(const std::string& line);

/// A table, one tap a line.
std::string to_text(const ConvTrace& trace);
/// A table, one use a line.
std::string to_text(const std::vector<ConvUse>& uses);

}  // namespace isobit
