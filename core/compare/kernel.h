// A problem of the comparison as one bilinear kernel in f64 (or a pool): what is evaluated again and again,
// with operands made positive, rounded, or changed as a fault would change them.
#pragma once
#include <isobit/compare.h>

#include <functional>
#include <string>
#include <vector>

#include "core/geometry.h"

namespace isobit::compare {

enum class Form : std::uint8_t {
  forward,          ///< conv(a, b)
  backward_input,   ///< conv_backward_input(a, b): a is dy, b the filters
  backward_filter,  ///< conv_backward_filter(a, b): a is x, b is dy
  sum,              ///< a over all axes but the last
  pool,
};

struct Kernel {
  Form form = Form::forward;
  Tensor a, b, bias;  ///< f64 on the CPU
  Shape out;          ///< what the kernel gives
  Shape shown;        ///< as the problem names it: the same elements
  ConvOptions
      options;  ///< padding on every side of every axis; no activation; flip for backward_filter alone
  bool transposed = false, relu = false;
  bool maximum = false, gradient = false;  ///< of pools
  PerAxis window = 1;
  PoolOptions pool = {};
  Tensor chooser;  ///< the input of a pool whose gradient is asked

  int spatial() const { return a.rank() - 2; }
};

/// Spatial axis i of `spatial` of a convolution's or pool's geometry.
template <class Geometry>
const AxisGeometry& spatial_axis(const Geometry& g, int spatial, int i) {
  return g.axis[static_cast<std::size_t>(3 - spatial) + static_cast<std::size_t>(i)];
}

/// Throws Error for what is no problem: a tensor that is missing, an activation beside relu, no floats.
Kernel kernel_of(const Problem& p);
/// The convolution behind a problem, of a conv_transpose the one whose gradient it is.
ConvGeometry geometry_of(const Problem& p);
/// The shape of y, whatever result is asked.
Shape output_shape_of(const Problem& p);
/// f64, of shape k.out.
Tensor evaluate(const Kernel& k);

/// What every element should be, and what its bound is made of.
struct Reference {
  std::vector<double> value;
  std::vector<double> magnitude;  ///< sum of |a| |b| over the terms
  std::vector<double> terms;      ///< how many there are
  double extra = 1;               ///< roundings of an element beside one for each term
};
Reference reference_of(const Kernel& k);

/// How somebody computes: what the bound takes from it.
struct Arithmetic {
  double unit = 0x1p-24, tiny = 0x1p-149;  ///< round-off and smallest number of the accumulation
  double out_unit = 0, out_tiny = 0;       ///< of the type in which results are stored, if narrower
  double limit = 0x1.fffffep127;           ///< the largest number that there is on the way
};
/// Of exact mode for operands of one dtype and results of another.
Arithmetic arithmetic_of(DType operands, DType result);

/// A result against a reference.
struct Fit {
  std::vector<double> share;  ///< |error| / bound; infinite where one of the two is not finite
  std::int64_t beyond = 0;    ///< shares above 1 that the next two do not count
  std::int64_t swallowed = 0, overflowed = 0;
  std::int64_t unlikely = 0;  ///< within the bound, but beyond 8 sqrt(n) u times the magnitude
  double rms = 0, max_error = 0, max_share = 0;
  bool within() const { return beyond == 0 && swallowed == 0 && overflowed == 0; }
};
Fit fit(const Reference& reference, const Arithmetic& arithmetic, const std::vector<double>& got);

/// The counts, shares and errors of j; own_rms is the rms error of exact mode.
void fill_numbers(Judgement& j, const Fit& honest, double own_rms, const std::vector<double>& got,
                  const std::vector<double>& expected);

/// The values of t as f64.
std::vector<double> values_of(const Tensor& t);

/// A way to err, and what it gives. `make` may throw Error: then the fault cannot happen here.
struct Fault {
  std::string name;
  std::function<Reference()> make;
};
/// In the order in which they are tried.
std::vector<Fault> faults_of(const Kernel& k, const Reference& base);
std::vector<Fault> pool_faults_of(const Kernel& k, const Reference& base);

/// Two faults at once that strike places of their own: each element is what is right where neither strikes,
/// and what the fault gives that does.
class FaultPairs {
 public:
  FaultPairs(const Reference& base, const Arithmetic& arithmetic, const Fit& honest);
  /// One fault more, and how well it fits the result.
  void add(const std::string& name, const Reference& fault, const Fit& of_fault);
  /// "tail of 2 output channels left out, and tap (0,0) missing at the top border": the pairs that explain
  /// the result.
  std::vector<std::string> explain() const;

 private:
  using Bits = std::vector<std::uint64_t>;
  struct Tried {
    std::string name;
    Bits strikes, fits;
    std::int64_t explained;  ///< wrong elements that it strikes and fits
  };
  static bool together(const Tried& a, const Tried& b, const Bits& right);
  Reference base_;
  Arithmetic arithmetic_;
  Bits right_;
  std::vector<Tried> tried_;
};

/// Sums kept in f16.
constexpr Arithmetic kSumsInF16{0x1p-11, 0x1p-24, 0x1p-11, 0x1p-25, 65504};

struct Explanation {
  bool found = false;
  std::string words;
  Fit fit;
  bool sums = false;  ///< by kSumsInF16, whose bound is wide: a fault may lie within it
};
/// Whether narrower operands, sums or results explain what exact arithmetic does not, or explain it at most a
/// quarter as well.
Explanation explain_by_precision(const Kernel& k, const Reference& base, const Fit& honest, DType operands,
                                 const Arithmetic& arithmetic, const std::vector<double>& got);

/// Where the shares above 1 lie.
Where where_of(const Problem& p, const Shape& shape, const std::vector<double>& share);

}  // namespace isobit::compare
