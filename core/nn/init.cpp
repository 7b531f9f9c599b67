// Initialisers: bounds and deviations from fans, with + - * / and sqrt only.
#include <isobit/nn_init.h>

#include <isobit/autograd.h>

#include <cmath>

namespace isobit::nn {
namespace {

// NaN fails too.
bool finite(double v) {
  return v - v == 0;
}

std::int64_t checked_fan(std::int64_t fan, const char* name, const Shape& shape) {
  if (fan < 1)
    fail("initialize", "{} is {} for a parameter of shape {}, it must be at least 1", name, fan, shape);
  return fan;
}

Tensor draw_uniform(const Shape& shape, RandomKey key, double low, double high, TensorOptions options) {
  if (!finite(low) || !finite(high) || !(low <= high))
    fail("initialize", "uniform bounds [{}, {}) must be finite and in order", low, high);
  return random_uniform(shape, key, low, high, options);
}

Tensor draw_normal(const Shape& shape, RandomKey key, double mean, double deviation, TensorOptions options) {
  if (!finite(mean) || !finite(deviation) || !(deviation >= 0))
    fail("initialize",
         "normal with mean {} and deviation {}: both must be finite, the deviation not negative", mean,
         deviation);
  return random_normal(shape, key, mean, deviation, options);
}

}  // namespace

Tensor initialize(const Init& init, const Shape& shape, const Fans& fans, RandomKey key,
                  TensorOptions options) {
  NoGrad no_grad;
  double variance_divisor = 0;  // deviation = gain * sqrt(numerator / divisor)
  double numerator = 1;
  switch (init.kind) {
    case Init::Kind::layers_choice:
      fail("initialize", "no initialiser was chosen");
    case Init::Kind::constant:
      return full(shape, init.a, options);
    case Init::Kind::uniform:
      return draw_uniform(shape, key, init.a, init.b, options);
    case Init::Kind::normal:
      return draw_normal(shape, key, init.a, init.b, options);
    case Init::Kind::kaiming:
      variance_divisor = static_cast<double>(init.fan == Fan::in ? checked_fan(fans.in, "fan in", shape)
                                                                 : checked_fan(fans.out, "fan out", shape));
      break;
    case Init::Kind::lecun:
      variance_divisor = static_cast<double>(checked_fan(fans.in, "fan in", shape));
      break;
    case Init::Kind::xavier:
      numerator = 2;
      variance_divisor = static_cast<double>(checked_fan(fans.in, "fan in", shape)) +
                         static_cast<double>(checked_fan(fans.out, "fan out", shape));
      break;
  }
  if (!finite(init.gain) || !(init.gain >= 0))
    fail("initialize", "gain is {}, it must be finite and not negative", init.gain);
  if (init.gaussian)
    return draw_normal(shape, key, 0, init.gain * std::sqrt(numerator / variance_divisor), options);
  const double bound = init.gain * std::sqrt(3 * numerator / variance_divisor);
  return draw_uniform(shape, key, -bound, bound, options);
}

}  // namespace isobit::nn
