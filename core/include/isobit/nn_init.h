// Initialisers. Every bound and deviation is computed with + - * / and sqrt only, and every parameter draws
// from a stream of its own, so the same seed gives the same weights everywhere.
#pragma once
#include <isobit/tensor.h>

#include <cstdint>

namespace isobit::nn {

/// Terms that enter one output (fan in) and outputs that one input enters (fan out): a convolution has
/// taps * c / groups and taps * k / groups, a linear layer c and k.
struct Fans {
  std::int64_t in = 1, out = 1;
};
enum class Fan : std::uint8_t { in, out };

/// How a parameter begins. A default-constructed Init lets the layer choose (weights Kaiming uniform, biases
/// zeros).
struct Init {
  enum class Kind : std::uint8_t { layers_choice, constant, uniform, normal, kaiming, xavier, lecun };
  Kind kind = Kind::layers_choice;
  bool gaussian = false;  ///< kaiming, xavier, lecun: normal instead of uniform
  Fan fan = Fan::in;      ///< kaiming
  double gain = 1;        ///< kaiming, xavier
  double a = 0, b = 0;    ///< constant: value a; uniform: [a, b); normal: mean a, deviation b

  Init or_else(Init other) const { return kind == Kind::layers_choice ? other : *this; }
};

/// sqrt(2): the gain of relu.
inline constexpr double relu_gain = 1.4142135623730951;

/// Uniform in +-gain * sqrt(3 / fan): He et al. 2015.
inline Init kaiming_uniform(double gain = relu_gain, Fan fan = Fan::in) {
  return {Init::Kind::kaiming, false, fan, gain};
}
/// Normal of deviation gain / sqrt(fan).
inline Init kaiming_normal(double gain = relu_gain, Fan fan = Fan::in) {
  return {Init::Kind::kaiming, true, fan, gain};
}
/// Uniform in +-gain * sqrt(6 / (fan in + fan out)): Glorot and Bengio 2010.
inline Init xavier_uniform(double gain = 1) {
  return {Init::Kind::xavier, false, Fan::in, gain};
}
/// Normal of deviation gain * sqrt(2 / (fan in + fan out)).
inline Init xavier_normal(double gain = 1) {
  return {Init::Kind::xavier, true, Fan::in, gain};
}
/// Uniform in +-sqrt(3 / fan in): LeCun et al. 1998.
inline Init lecun_uniform() {
  return {Init::Kind::lecun, false};
}
/// Normal of deviation 1 / sqrt(fan in).
inline Init lecun_normal() {
  return {Init::Kind::lecun, true};
}
inline Init uniform(double low, double high) {
  return {Init::Kind::uniform, false, Fan::in, 1, low, high};
}
inline Init normal(double mean, double deviation) {
  return {Init::Kind::normal, true, Fan::in, 1, mean, deviation};
}
inline Init constant(double value) {
  return {Init::Kind::constant, false, Fan::in, 1, value};
}
inline Init zeros() {
  return constant(0);
}
inline Init ones() {
  return constant(1);
}

/// A tensor drawn by `init`. Throws Error on a gain, bound or deviation that is not finite, a negative
/// deviation, low > high, or a fan of 0 where it is divided by. Kind::layers_choice is an Error here.
Tensor initialize(const Init& init, const Shape& shape, const Fans& fans, RandomKey key,
                  TensorOptions options = {});

}  // namespace isobit::nn
