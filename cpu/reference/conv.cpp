// The definition of the three convolutions. x [n, d, h, w, c], w [t, r, s, c / groups, k], y [n, o, p, q, k].
// Filter f of group k / (K / groups) reads the input channels of its group. A tap outside x reads what the
// axis' mode says and takes part; so does, in backward_input, a tap of the element's stride phase whose dy
// lies outside y, as +0.
#include <array>
#include <vector>

#include "cpu/reference/border.h"
#include "cpu/reference/order.h"
#include "cpu/reference/reference.h"
#include "cpu/reference/types.h"

namespace isobit::cpu::reference {
namespace {

// Extents by name; the arithmetic here is the reference's own.
struct Sizes {
  explicit Sizes(const ConvGeometry& g)
      : N(g.n),
        C(g.c),
        K(g.k),
        cg(g.c / g.groups),
        kg(g.k / g.groups),
        D(g.axis[0].in),
        H(g.axis[1].in),
        W(g.axis[2].in),
        T(g.axis[0].filter),
        R(g.axis[1].filter),
        S(g.axis[2].filter),
        O(g.axis[0].out),
        P(g.axis[1].out),
        Q(g.axis[2].out) {}
  std::int64_t N, C, K, cg, kg, D, H, W, T, R, S, O, P, Q;

  std::int64_t x(std::int64_t n, std::int64_t d, std::int64_t h, std::int64_t w, std::int64_t c) const {
    return (((n * D + d) * H + h) * W + w) * C + c;
  }
  std::int64_t w(std::int64_t t, std::int64_t r, std::int64_t s, std::int64_t c, std::int64_t k) const {
    return (((t * R + r) * S + s) * cg + c) * K + k;
  }
  std::int64_t y(std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t q, std::int64_t k) const {
    return (((n * O + o) * P + p) * Q + q) * K + k;
  }
};

// The input coordinate that output `out` reads through tap `tap`; -1: none, but the value.
std::int64_t input_of(const AxisGeometry& a, std::int64_t out, std::int64_t tap) {
  return read_through(a.mode, out * a.stride + tap * a.dilation - a.pad_before, a.in);
}

bool inside(std::int64_t i, std::int64_t extent) {
  return 0 <= i && i < extent;
}

// Whether tap `tap` belongs to the stride phase of input coordinate `in`; then `out` is the output that
// reaches `in` through it (perhaps outside y).
bool in_phase(const AxisGeometry& a, std::int64_t in, std::int64_t tap, std::int64_t* out) {
  const std::int64_t distance = in + a.pad_before - tap * a.dilation;
  *out = distance / a.stride;
  return distance % a.stride == 0;
}

// An element that negative padding cuts off is read by nobody.
bool cropped(const AxisGeometry& a, std::int64_t in) {
  const std::int64_t padded = in + a.pad_before;
  return padded < 0 || padded >= a.in + a.pad_before + a.pad_after;
}

template <class S>
void forward(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue, View y) {
  using V = Compute<S>;
  const Sizes z(g);
  const V outside = numerics::widen(numerics::cast<S>(g.pad_value));
  const AxisGeometry &ad = g.axis[0], &ah = g.axis[1], &aw = g.axis[2];
  for (std::int64_t n = 0; n < z.N; ++n)
    for (std::int64_t o = 0; o < z.O; ++o)
      for (std::int64_t p = 0; p < z.P; ++p)
        for (std::int64_t q = 0; q < z.Q; ++q)
          for (std::int64_t k = 0; k < z.K; ++k) {
            const std::int64_t first_channel = k / z.kg * z.cg;
            BlockedChain<V> chain;
            for (std::int64_t t = 0; t < z.T; ++t)
              for (std::int64_t r = 0; r < z.R; ++r)
                for (std::int64_t s = 0; s < z.S; ++s) {
                  const std::int64_t d = input_of(ad, o, t), h = input_of(ah, p, r), v = input_of(aw, q, s);
                  const bool real = d >= 0 && h >= 0 && v >= 0;
                  for (std::int64_t c = 0; c < z.cg; ++c)
                    chain.fma(real ? load<S>(x, z.x(n, d, h, v, first_channel + c)) : outside,
                              load<S>(w, z.w(t, r, s, c, k)));
                }
            V sum = chain.sum();
            if (epilogue.bias.data != nullptr) sum = sum + load_as<V>(epilogue.bias, k);
            store<S>(y, z.y(n, o, p, q, k), sum);
          }
}

// What the ops of the same names do to the stored sums.
void activate(const Epilogue& epilogue, View y) {
  if (const ChannelNorm& norm = epilogue.norm; norm.wanted()) {
    NormGeometry g;
    g.g = norm.mean.numel;
    g.a = y.numel / g.g;
    g.over_batch = true;
    norm_apply(g, norm.eps, y, norm.mean, norm.variance, norm.gamma, norm.beta, y);
  }
  switch (epilogue.activation) {
    case Activation::none:
      return;
    case Activation::relu:
      return unary(UnaryOp::relu, {}, y, y);
    case Activation::leaky_relu:
      return unary(UnaryOp::leaky_relu, epilogue.slope, y, y);
    case Activation::silu:
      return unary(UnaryOp::silu, {}, y, y);
    case Activation::sigmoid:
      return unary(UnaryOp::sigmoid, {}, y, y);
    case Activation::tanh:
      return unary(UnaryOp::tanh, {}, y, y);
    case Activation::gelu:
      return unary(UnaryOp::gelu, {}, y, y);
  }
}

template <class S>
void backward_input(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  using V = Compute<S>;
  const Sizes z(g);
  const AxisGeometry &ad = g.axis[0], &ah = g.axis[1], &aw = g.axis[2];
  for (std::int64_t n = 0; n < z.N; ++n)
    for (std::int64_t d = 0; d < z.D; ++d)
      for (std::int64_t h = 0; h < z.H; ++h)
        for (std::int64_t v = 0; v < z.W; ++v)
          for (std::int64_t c = 0; c < z.C; ++c) {
            const std::int64_t group = c / z.cg;
            BlockedChain<V> chain;
            std::int64_t o = 0, p = 0, q = 0;
            if (!cropped(ad, d) && !cropped(ah, h) && !cropped(aw, v))
              for (std::int64_t t = 0; t < z.T; ++t)
                for (std::int64_t r = 0; r < z.R; ++r)
                  for (std::int64_t s = 0; s < z.S; ++s) {
                    if (!in_phase(ad, d, t, &o) || !in_phase(ah, h, r, &p) || !in_phase(aw, v, s, &q))
                      continue;
                    const bool real = inside(o, z.O) && inside(p, z.P) && inside(q, z.Q);
                    for (std::int64_t k = group * z.kg; k < (group + 1) * z.kg; ++k)
                      chain.fma(real ? load<S>(dy, z.y(n, o, p, q, k)) : V{0},
                                load<S>(w, z.w(t, r, s, c % z.cg, k)));
                  }
            store<S>(dx, z.x(n, d, h, v, c), chain.sum());
          }
}

template <class S>
void backward_filter(const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  using V = Compute<S>;
  const Sizes z(g);
  const V outside = numerics::widen(numerics::cast<S>(g.pad_value));
  const AxisGeometry &ad = g.axis[0], &ah = g.axis[1], &aw = g.axis[2];
  for (std::int64_t t = 0; t < z.T; ++t)
    for (std::int64_t r = 0; r < z.R; ++r)
      for (std::int64_t s = 0; s < z.S; ++s)
        for (std::int64_t c = 0; c < z.cg; ++c)
          for (std::int64_t k = 0; k < z.K; ++k) {
            const std::int64_t channel = k / z.kg * z.cg + c;
            const V sum = batch_tree<V>(z.N, z.O * z.P * z.Q, [&](BlockedChain<V>& chain, std::int64_t n) {
              for (std::int64_t o = 0; o < z.O; ++o)
                for (std::int64_t p = 0; p < z.P; ++p)
                  for (std::int64_t q = 0; q < z.Q; ++q) {
                    const std::int64_t d = input_of(ad, o, t), h = input_of(ah, p, r), v = input_of(aw, q, s);
                    const bool real = d >= 0 && h >= 0 && v >= 0;
                    chain.fma(real ? load<S>(x, z.x(n, d, h, v, channel)) : outside,
                              load<S>(dy, z.y(n, o, p, q, k)));
                  }
            });
            store<S>(dw, z.w(t, r, s, c, k), sum);
          }
}

// The gradient of the padded x, which the filter meets without padding, and then that of padding.
void backward_input_of_padded(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  ConvGeometry valid = g;
  PadGeometry pad;
  pad.rank = 5;
  pad.in[0] = pad.out[0] = g.n;
  pad.in[4] = pad.out[4] = g.c;
  for (std::size_t i = 0; i < 3; ++i) {
    AxisGeometry& a = valid.axis[i];
    pad.in[i + 1] = a.in;
    pad.out[i + 1] = a.in + a.pad_before + a.pad_after;
    pad.before[i + 1] = a.pad_before;
    pad.mode[i + 1] = a.mode;
    a.in = pad.out[i + 1];
    a.pad_before = a.pad_after = 0;
    a.mode = PadMode::constant;
  }
  const std::int64_t size = valid.x_size();
  std::vector<unsigned char> padded(static_cast<std::size_t>(size * size_of(dx.dtype)));
  const View dxp{padded.data(), dx.dtype, size};
  conv_backward_input(valid, dy, w, dxp);
  pad_backward(pad, dxp, dx);
}

template <class S>
void unfold_as(const ConvGeometry& g, ConstView x, View columns) {
  const S outside = numerics::cast<S>(x.dtype == DType::boolean && g.pad_value != 0 ? 1.0 : g.pad_value);
  const Sizes z(g);
  const AxisGeometry &ad = g.axis[0], &ah = g.axis[1], &aw = g.axis[2];
  std::int64_t to = 0;
  for (std::int64_t n = 0; n < z.N; ++n)
    for (std::int64_t o = 0; o < z.O; ++o)
      for (std::int64_t p = 0; p < z.P; ++p)
        for (std::int64_t q = 0; q < z.Q; ++q)
          for (std::int64_t t = 0; t < z.T; ++t)
            for (std::int64_t r = 0; r < z.R; ++r)
              for (std::int64_t s = 0; s < z.S; ++s)
                for (std::int64_t c = 0; c < z.C; ++c, ++to) {
                  const std::int64_t d = input_of(ad, o, t), h = input_of(ah, p, r), v = input_of(aw, q, s);
                  columns.as<S>()[to] = d >= 0 && h >= 0 && v >= 0 ? x.as<S>()[z.x(n, d, h, v, c)] : outside;
                }
}

template <class S>
void fold_as(const ConvGeometry& g, ConstView columns, View dx) {
  using V = Compute<S>;
  const Sizes z(g);
  const AxisGeometry &ad = g.axis[0], &ah = g.axis[1], &aw = g.axis[2];
  for (std::int64_t n = 0; n < z.N; ++n)
    for (std::int64_t d = 0; d < z.D; ++d)
      for (std::int64_t h = 0; h < z.H; ++h)
        for (std::int64_t v = 0; v < z.W; ++v)
          for (std::int64_t c = 0; c < z.C; ++c) {
            V sum = 0;
            std::int64_t o = 0, p = 0, q = 0;
            for (std::int64_t t = 0; t < z.T; ++t)
              for (std::int64_t r = 0; r < z.R; ++r)
                for (std::int64_t s = 0; s < z.S; ++s) {
                  if (!in_phase(ad, d, t, &o) || !in_phase(ah, h, r, &p) || !in_phase(aw, v, s, &q)) continue;
                  if (!inside(o, z.O) || !inside(p, z.P) || !inside(q, z.Q)) continue;
                  const std::int64_t position = ((n * z.O + o) * z.P + p) * z.Q + q;
                  const std::int64_t tap = (t * z.R + r) * z.S + s;
                  sum = sum + load<S>(columns, (position * g.taps() + tap) * z.C + c);
                }
            store<S>(dx, z.x(n, d, h, v, c), sum);
          }
}

}  // namespace

void unfold(const ConvGeometry& g, ConstView x, View columns) {
  with_movable("unfold", x.dtype, [&](auto tag) { unfold_as<typename decltype(tag)::type>(g, x, columns); });
}

void fold(const ConvGeometry& g, ConstView columns, View dx) {
  with_floating("fold", dx.dtype, [&](auto tag) { fold_as<typename decltype(tag)::type>(g, columns, dx); });
}

void conv_forward(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue, View y) {
  with_floating("conv_forward", x.dtype,
                [&](auto tag) { forward<typename decltype(tag)::type>(g, x, w, epilogue, y); });
  activate(epilogue, y);
}

void conv_backward_input(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  if (g.folds()) return backward_input_of_padded(g, dy, w, dx);
  with_floating("conv_backward_input", dy.dtype,
                [&](auto tag) { backward_input<typename decltype(tag)::type>(g, dy, w, dx); });
}

void conv_backward_filter(const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  with_floating("conv_backward_filter", x.dtype,
                [&](auto tag) { backward_filter<typename decltype(tag)::type>(g, x, dy, dw); });
}

}  // namespace isobit::cpu::reference
