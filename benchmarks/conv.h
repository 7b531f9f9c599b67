// bench conv: the three kernels of convolutions.
#pragma once
#include <string>
#include <vector>

#include "benchmarks/run.h"
#include "benchmarks/shapes.h"

namespace isobit::bench {

/// Directions by their names: "fwd", "bwd_d" (of the data), "bwd_w" (of the weights).
enum class Direction : std::uint8_t { forward, backward_data, backward_weights };
std::string name_of(Direction direction);
/// Of a comma-separated list. Throws Error that lists the names.
std::vector<Direction> parse_directions(const std::string& list);

/// The tensors of one convolution: the same numbers on every run and device.
class ConvTensors {
 public:
  ConvTensors(const ConvCase& shape, DType dtype, Device device);
  const ConvCase& shape() const { return shape_; }
  std::shared_ptr<Operand> x() const { return x_; }
  std::shared_ptr<Operand> w() const { return w_; }
  std::shared_ptr<Operand> dy() const { return dy_; }

 private:
  ConvCase shape_;
  std::shared_ptr<Operand> x_, w_, dy_;
};

/// What `measure` takes; shares the tensors.
Problem conv_problem(const ConvTensors& tensors, Direction direction);

/// Holds elements of a result against the definition, bit by bit: the algorithm "reference" of the CPU
/// computes drawn samples, filters and channels, with all their positions, in a second or less. The drawing
/// is the same in every run; the last filter or channel, which ends in a part of a vector, is always drawn.
/// `kernel` is the seam's: conv_forward, conv_backward_input, conv_backward_filter.
Verdict check_conv(const ConvTensors& tensors, const std::string& kernel, const Tensor& result);

/// bench conv: every direction of every case.
int run_conv(const RunOptions& options, const std::vector<ConvCase>& cases,
             const std::vector<Direction>& directions, DType dtype);

}  // namespace isobit::bench
