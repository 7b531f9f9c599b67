// Why two results differ: a verdict, how much of a derived bound was used, where the errors lie, and which
// known fault explains them (docs/compare.md derives the bounds).
//
//   compare::Problem p{.op = compare::Op::conv, .result = compare::Result::y, .x = x, .w = w, .conv =
//   options}; const compare::Judgement j = compare::judge(p, somebody_elses_y); fmt::print("{}",
//   j.to_string());   // wrong, explained by: filter flipped; all wrong elements lie in ...
#pragma once
#include <isobit/ops.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace isobit::compare {

enum class Verdict : std::uint8_t {
  bit_equal,        ///< the bits of exact mode
  reordered,        ///< within the bound of exact arithmetic in some other order
  lower_precision,  ///< what operands, sums or results of a narrower type give, within that computation's
                    ///< bound
  overflow,         ///< infinities or NaN where the result is beyond the range of a type, all else right
  nan_swallowed,    ///< a number where the result is NaN or infinite, all else right
  wrong,
};
/// "bit-equal", "reordered", "lower precision", "overflow", "NaN swallowed", "wrong".
std::string_view name_of(Verdict v);

/// What an op's operands are rounded to before it runs (to nearest even); the accumulation stays as it is.
enum class Operands : std::uint8_t { f32, tf32, bf16, f16 };
std::string_view name_of(Operands o);
/// The inverse of name_of; throws Error that lists the names.
Operands parse_operands(std::string_view name);
/// The values of t (floating) rounded to the type, of t's own dtype.
Tensor round_operands(const Tensor& t, Operands to);

enum class Op : std::uint8_t { conv, conv_transpose, linear, avg_pool, max_pool };
std::string_view name_of(Op op);
/// What of an op is judged: its result, or the gradient of its input, its filters or its bias.
enum class Result : std::uint8_t { y, dx, dw, db };
std::string_view name_of(Result r);

/// One op and everything it reads, floating tensors of one dtype.
struct Problem {
  Op op = Op::conv;
  Result result = Result::y;
  Tensor x;               ///< also for dx, where only its shape counts (for max_pool the values too)
  Tensor w;               ///< filters, as conv, conv_transpose and linear take them; undefined for pools
  Tensor b;               ///< may be undefined
  Tensor dy;              ///< the gradient of y, where a gradient is judged
  ConvOptions conv = {};  ///< of conv; activation none or relu, and none where a gradient is judged
  ConvTransposeOptions transpose = {};  ///< of conv_transpose; as above
  PerAxis window = 1;                   ///< of pools
  PoolOptions pool = {};

  /// "conv dx, x [2,8,8,3], w [3,3,3,8], stride 2".
  std::string to_string() const;
};

/// The problem without its tensors as a JSON object, for a program that computes it with another library:
/// "op", "result", and as the op has them "stride", "dilation", "pads" ([before, after] of each axis, rules
/// resolved), "groups", "mode" and "pad_value" of the padding, "flip", "relu", "y" (the shape of the result
/// of a transposed convolution), "window", "ceil_mode", "count_include_pad".
std::string to_json(const Problem& p);

/// isobit's own result of the problem on a device, in exact mode. Operands other than f32 round what is
/// multiplied first. Throws Error for what the op refuses.
Tensor run(const Problem& p, Device device = {}, Operands operands = Operands::f32);

/// How often something happened among the elements with one property.
struct Bucket {
  std::string name;  ///< "3", "last 3 of 19", "(1,0)"
  std::int64_t wrong = 0, total = 0;
};
struct Feature {
  std::string name;  ///< "rows from the top", "channel modulo 4"
  std::vector<Bucket> buckets;
};
struct Where {
  std::string words;  ///< "all 12 wrong elements lie in the left border column"; empty when none is wrong
  std::vector<Feature> features;
  Tensor map;            ///< f32 [rows, columns]: the largest share of the bound at each position
  std::string map_axes;  ///< "h, w": what rows and columns of the map are
};

struct Judgement {
  Verdict verdict = Verdict::wrong;
  std::string explanation;  ///< "operands rounded to tf32", "filter flipped"; empty if nothing explains
  std::vector<std::string> others;  ///< further faults that would explain it as well
  std::string note;                 ///< what a reader should know besides
  std::int64_t numel = 0;
  std::int64_t different = 0;  ///< elements whose bits are not exact mode's
  std::int64_t beyond = 0;     ///< elements outside of the bound of exact arithmetic
  /// |error| / bound against f64, of exact arithmetic in any order; infinite where one of the two is not
  /// finite.
  double max_share = 0, median_share = 0;
  double max_error = 0;          ///< the largest finite |error|
  double ratio = 0;              ///< rms of the error / rms of the error of isobit's exact result
  std::int64_t first = -1;       ///< the first element beyond the bound, or else that differs
  double got = 0, expected = 0;  ///< its value and exact mode's
  Where where;
  std::string to_string() const;
};

/// Judges a result of the problem, from whatever device or library: same shape, floating. The reference is
/// computed in f64 on the CPU; what is read is what the tensors of the problem hold, so that operands of a
/// narrow dtype count as exact. Throws Error when the shape is another.
Judgement judge(const Problem& p, const Tensor& got);

/// A smaller problem for which `fails` still says true: extents, channels, groups, taps, strides, dilations
/// and pads are halved and lowered as long as it does, the tensors cut to fit. `p` itself must fail: Error
/// otherwise. (Layers without a bound: isobit/compare_network.h.)
Problem shrink(const Problem& p, const std::function<bool(const Problem&)>& fails);
/// The line of a shape file (docs/verify.md) for a convolution; empty for other ops.
std::string shape_line(const Problem& p, std::string_view name);

/// values[rows, columns] as a picture of 8-bit RGB, each value a square of `scale` pixels: 0 darkest, `most`
/// and beyond brightest, not finite white; the colours grow in lightness, so that colour-blind readers see
/// the order.
Tensor heat_map(const Tensor& values, double most, std::int64_t scale = 8);

}  // namespace isobit::compare
