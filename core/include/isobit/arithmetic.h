// Which arithmetic convolutions and matrix products run in. Math::exact, the default, keeps the bit contract
// (docs/numerics.md). The others, fast mode, let a device use its matrix units, whose order of summation is
// their own: results differ from chip to chip within the bound of docs/fast-mode.md. Nothing ever chooses
// them by itself:
//
//   const MathScope fast(Math::fast);     // convolutions and products of this thread while `fast` lives
//   Tensor y = net(x);
//
//   net.set_math(Math::fast_bf16);        // this network's (isobit/nn_module.h)
//   conv(x, w, b, {.math = Math::exact});  // this call's
//
// A call's own stands before that of the innermost layer that has one, and that before the scope's. The
// backward pass of an op runs in the arithmetic of its forward pass, wherever backward() is called. A device
// that has no fast algorithm for a problem computes it exactly; ServedCalls (isobit/algorithms.h) tells which
// ran.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace isobit {

/// What elements are multiplied in; sums are f32. f16 and bf16 tensors are multiplied as they are in every
/// fast mode, f64 stays exact.
enum class Math : std::uint8_t {
  exact,
  fast,      ///< f32 rounded to tf32 (11 bits, its range); on a CPU with AMX to two bf16 (16 bits)
  fast_f16,  ///< f32 rounded to f16 (11 bits; beyond 65504 infinite)
  fast_bf16  ///< f32 rounded to bf16 (8 bits, the range of f32)
};
/// "exact", "fast", "fast-f16", "fast-bf16".
std::string_view name_of(Math math);
/// Throws Error that lists the names.
Math parse_math(std::string_view name);
/// The name and what it means: "fast (f32 through tf32, on CPUs through two bf16)".
std::string describe(Math math);

/// While alive, convolutions and matrix products of this thread run in this arithmetic; none changes nothing.
class MathScope {
 public:
  explicit MathScope(std::optional<Math> math);
  ~MathScope();
  MathScope(const MathScope&) = delete;
  MathScope& operator=(const MathScope&) = delete;

 private:
  Math before_;
};
/// The scope's arithmetic on this thread; Math::exact outside of any.
Math current_math();

}  // namespace isobit
