// Problems of the three convolutions.
#include <isobit/error.h>

#include "core/verify/families.h"

namespace isobit::verify {
namespace {

/// A shape of more than this would take minutes in the definition.
constexpr double kMostMultiplyAdds = 2e11;

double multiply_adds(const ConvGeometry& g) {
  return static_cast<double>(g.y_size()) * static_cast<double>(g.terms());
}

std::string text_of(const ConvShape& shape, Values values) {
  const std::string kind = values == Values::plain ? "" : std::string(" ") + name_of(values);
  return fmt::format("{} {} {}{}", shape.place, shape.name, shape.geometry.to_string(), kind);
}

}  // namespace

void add_convolution(Suite& suite, const ConvShape& shape, DType dtype, Values values, bool full_only) {
  const ConvGeometry& g = shape.geometry;
  if (multiply_adds(g) > kMostMultiplyAdds)
    fail(shape.place, "{:.0f} multiply-adds, expected at most {:.0f}", multiply_adds(g), kMostMultiplyAdds);
  const std::string text = text_of(shape, values);
  if (Case* c = suite.open("conv_forward", dtype, text, full_only)) {
    // Half of them without an activation or with relu, which the tiles apply; the others share what is left.
    const auto draw = c->hash() / 3 % 12;
    const bool bias = c->hash() % 3 != 0;
    const auto activation = static_cast<Activation>(draw < 6 ? draw % 2 : draw - 5);
    // A quarter with a norm, some of those without gamma, some without beta.
    const auto norm = c->hash() / 36 % 16;
    const DType compute = compute_type(dtype);
    HostArray variance = c->random(compute, g.k);
    make_positive(variance);
    c->in(dtype, g.x_size(), values)
        .in(dtype, g.w_size(), values)
        .in(dtype, g.k, values)
        .in(compute, g.k)
        .in(std::move(variance))
        .in(compute, g.k)
        .in(compute, g.k)
        .out(dtype, g.y_size());
    c->run([&](Backend& b, const Operands& o) {
      Epilogue epilogue;
      if (bias) epilogue.bias = o.in[2];
      if (norm < 4 && g.k > 0) {
        epilogue.norm = {o.in[3], o.in[4], o.in[5], o.in[6], 1e-5};
        if (norm == 1) epilogue.norm.gamma = {};
        if (norm == 2) epilogue.norm.beta = {};
      }
      epilogue.activation = activation;
      epilogue.slope = 0.125;
      b.conv_forward(g, o.in[0], o.in[1], epilogue, o.out[0]);
    });
  }
  if (Case* c = suite.open("conv_backward_input", dtype, text, full_only))
    c->in(dtype, g.y_size(), values)
        .in(dtype, g.w_size(), values)
        .out(dtype, g.x_size())
        .run([&](Backend& b, const Operands& o) { b.conv_backward_input(g, o.in[0], o.in[1], o.out[0]); });
  if (Case* c = suite.open("conv_backward_filter", dtype, text, full_only))
    c->in(dtype, g.x_size(), values)
        .in(dtype, g.y_size(), values)
        .out(dtype, g.w_size())
        .run([&](Backend& b, const Operands& o) { b.conv_backward_filter(g, o.in[0], o.in[1], o.out[0]); });
}

void add_convolutions(Suite& suite, std::span<const ConvShape> shapes) {
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    // f32 always; a quick run takes every fourth shape in the other types, each type another fourth.
    for (std::size_t t = 0; t < 4; ++t)
      add_convolution(suite, shapes[i], kFloating[t], Values::plain, t > 0 && i % 4 != t);
    // NaN and infinity in a filter must show at the border too, for padded taps take part; and products that
    // underflow to -0 are where leaving out those taps would show.
    add_convolution(suite, shapes[i], i % 2 == 0 ? DType::f32 : DType::f64, Values::hard, i % 4 != 0);
    add_convolution(suite, shapes[i], DType::f32, Values::tiny, i % 4 != 1);
  }
}

void add_vanishing_products(Suite& suite) {
  constexpr const char* kShapes[] = {"mb16ic3ih1oc5kh1", "mb16ic4iw4oc8kw3pw1", "mb4g2ic4ih4oc4kh3sh2ph1",
                                     "mb8g4ic4ih3oc4kh2", "mb1ic300iw2oc3kw1"};
  for (const char* shape : kShapes)
    for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
      const ConvGeometry g = parse_conv_shape(shape).geometry;
      const std::string text = g.to_string() + " vanishing products";
      const auto operand = [&](Case& c, std::int64_t numel) {
        HostArray array = c.random(dtype, numel);
        set_magnitude(array, dtype == DType::f64 ? 0x1p-600 : 0x1p-100);
        c.in(std::move(array));
      };
      if (Case* c = suite.open("conv_forward", dtype, text)) {
        operand(*c, g.x_size()), operand(*c, g.w_size());
        c->out(dtype, g.y_size()).run([&](Backend& b, const Operands& o) {
          b.conv_forward(g, o.in[0], o.in[1], {}, o.out[0]);
        });
      }
      if (Case* c = suite.open("conv_backward_input", dtype, text)) {
        operand(*c, g.y_size()), operand(*c, g.w_size());
        c->out(dtype, g.x_size()).run([&](Backend& b, const Operands& o) {
          b.conv_backward_input(g, o.in[0], o.in[1], o.out[0]);
        });
      }
      if (Case* c = suite.open("conv_backward_filter", dtype, text)) {
        operand(*c, g.x_size()), operand(*c, g.y_size());
        c->out(dtype, g.w_size()).run([&](Backend& b, const Operands& o) {
          b.conv_backward_filter(g, o.in[0], o.in[1], o.out[0]);
        });
      }
    }
  // Sums that storing rounds to zeros of both signs: what follows sees these, not the sums.
  for (const char* shape : kShapes)
    for (const DType dtype : {DType::f16, DType::bf16})
      for (const Activation activation : {Activation::relu, Activation::leaky_relu}) {
        const ConvGeometry g = parse_conv_shape(shape).geometry;
        const char* const name = activation == Activation::relu ? "relu" : "leaky_relu";
        Case* c =
            suite.open("conv_forward", dtype, fmt::format("{} {} of vanishing sums", g.to_string(), name));
        if (c == nullptr) continue;
        for (const std::int64_t numel : {g.x_size(), g.w_size()}) {
          HostArray array = c->random(dtype, numel);
          set_magnitude(array, dtype == DType::f16 ? 0x1p-14 : 0x1p-68);
          c->in(std::move(array));
        }
        c->out(dtype, g.y_size()).run([&](Backend& b, const Operands& o) {
          Epilogue epilogue;
          epilogue.activation = activation;
          epilogue.slope = 0.125;
          b.conv_forward(g, o.in[0], o.in[1], epilogue, o.out[0]);
        });
      }
}

}  // namespace isobit::verify
