// The elementary functions as a table, for the tests that go through all of them: plain numbers, SIMD arrays
// (of the instruction set that cpu::set_isa chose), and a double-precision reference made of the C library's
// functions.
#pragma once

#include <array>
#include <cstddef>

namespace isobit::testing {

enum class Elementary {
  exp,
  expm1,
  log,
  log1p,
  tanh,
  sigmoid,
  softplus,
  silu,
  erf,
  gelu,
  normal_cdf,
  normal_density,
  sin,
  cos,
};

struct ElementaryInfo {
  Elementary function;
  const char* name;
  double limit_f32, limit_f64;  // ulp
};

inline constexpr std::array<ElementaryInfo, 14> kElementary = {{
    {Elementary::exp, "exp", 1, 1},
    {Elementary::expm1, "expm1", 2, 2},
    {Elementary::log, "log", 1, 1},
    {Elementary::log1p, "log1p", 2, 2},
    {Elementary::tanh, "tanh", 2, 2},
    {Elementary::sigmoid, "sigmoid", 2, 2},
    {Elementary::softplus, "softplus", 2, 2},
    {Elementary::silu, "silu", 2, 2},
    {Elementary::erf, "erf", 2, 2},
    {Elementary::gelu, "gelu", 2, 2},
    {Elementary::normal_cdf, "normal_cdf", 2, 2},
    {Elementary::normal_density, "normal_density", 2, 2},
    {Elementary::sin, "sin", 2, 2},
    {Elementary::cos, "cos", 2, 2},
}};

/// One number, by core/numerics.
float elementary_scalar(Elementary function, float x);
double elementary_scalar(Elementary function, double x);

/// n numbers, by registers of the chosen instruction set.
void elementary_simd(Elementary function, const float* x, float* y, std::size_t n);
void elementary_simd(Elementary function, const double* x, double* y, std::size_t n);

/// Made of the C library's double functions: good to about 2^-45, except where it overflows.
double elementary_reference(Elementary function, double x);

}  // namespace isobit::testing
