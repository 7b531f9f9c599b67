// The plain versions of matmul and of the three convolutions, which serve every problem: one thread owns one
// element of the output at a time and walks all of its terms, in the order of docs/numerics.md, straight from
// global memory; what lies outside of x is read through its padding mode. 64-bit offsets throughout. No use
// is made of a neighbour's loads but what the caches give.
#include "cuda/kernels/conv.cuh"
#include "cuda/kernels/conv.h"

namespace isobit::gpu::kernels {
namespace {

constexpr int kThreads = 256;

// x, dx [n, d, h, w, c]
__device__ std::int64_t place_x(const Conv& g, std::int64_t n, std::int64_t d, std::int64_t h,
                                std::int64_t w) {
  return (((n * g.axis[0].in + d) * g.axis[1].in + h) * g.axis[2].in + w) * g.c;
}
// y, dy [n, o, p, q, k]
__device__ std::int64_t place_y(const Conv& g, std::int64_t n, std::int64_t o, std::int64_t p,
                                std::int64_t q) {
  return (((n * g.axis[0].out + o) * g.axis[1].out + p) * g.axis[2].out + q) * g.k;
}
// w, dw [t, r, s, c, k]
__device__ std::int64_t place_w(const Conv& g, std::int64_t t, std::int64_t r, std::int64_t s) {
  return ((t * g.axis[1].filter + r) * g.axis[2].filter + s) * g.c_per_group * g.k;
}

template <class S>
__global__ void __launch_bounds__(kThreads, 2) product(MatmulGeometry g, const S* a, const S* b, S* c) {
  using V = Compute<S>;
  const std::int64_t a_row = g.transpose_a ? 1 : g.k, a_term = g.transpose_a ? g.m : 1;
  const std::int64_t b_column = g.transpose_b ? g.k : 1, b_term = g.transpose_b ? 1 : g.n;
  const std::int64_t count = g.batch * g.m * g.n;
  for (std::int64_t i = first_item(); i < count; i += item_stride()) {
    const std::int64_t n = i % g.n, m = i / g.n % g.m, batch = i / g.n / g.m;
    const std::int64_t row = batch * g.stride_a + m * a_row, column = batch * g.stride_b + n * b_column;
    BlockedChain<V> chain;
    for (std::int64_t k = 0; k < g.k; ++k)
      chain.fma(numerics::widen(a[row + k * a_term]), numerics::widen(b[column + k * b_term]));
    c[i] = numerics::cast<S>(chain.sum());
  }
}

template <class S>
__global__ void __launch_bounds__(kThreads, 2)
    forward(Conv g, S outside, const S* x, const S* w, Finish finish, S* y) {
  using V = Compute<S>;
  const AxisGeometry &ad = g.axis[0], &ah = g.axis[1], &aw = g.axis[2];
  const std::int64_t count = g.y_size();
  for (std::int64_t i = first_item(); i < count; i += item_stride()) {
    std::int64_t rest = i;
    const std::int64_t k = rest % g.k;
    rest /= g.k;
    const std::int64_t q = rest % aw.out;
    rest /= aw.out;
    const std::int64_t p = rest % ah.out;
    rest /= ah.out;
    const std::int64_t o = rest % ad.out, n = rest / ad.out;
    const std::int64_t first_channel = k / g.k_per_group * g.c_per_group;
    BlockedChain<V> chain;
    for (std::int64_t t = 0; t < ad.filter; ++t)
      for (std::int64_t r = 0; r < ah.filter; ++r)
        for (std::int64_t s = 0; s < aw.filter; ++s) {
          const std::int64_t d = source_at<std::int64_t>(ad, input_of(ad, o, t)),
                             h = source_at<std::int64_t>(ah, input_of(ah, p, r)),
                             v = source_at<std::int64_t>(aw, input_of(aw, q, s));
          const std::int64_t filter = place_w(g, t, r, s) + k;
          if (d >= 0 && h >= 0 && v >= 0) {
            const std::int64_t from = place_x(g, n, d, h, v) + first_channel;
            for (std::int64_t c = 0; c < g.c_per_group; ++c)
              chain.fma(numerics::widen(x[from + c]), numerics::widen(w[filter + c * g.k]));
          } else {
            for (std::int64_t c = 0; c < g.c_per_group; ++c)
              chain.fma(numerics::widen(outside), numerics::widen(w[filter + c * g.k]));
          }
        }
    y[i] = numerics::cast<S>(finished<S>(finish, k, chain.sum()));
  }
}

template <class S>
__global__ void __launch_bounds__(kThreads, 2) backward_input(Conv g, const S* dy, const S* w, S* dx) {
  using V = Compute<S>;
  const AxisGeometry &ad = g.axis[0], &ah = g.axis[1], &aw = g.axis[2];
  const std::int64_t count = g.x_size();
  for (std::int64_t i = first_item(); i < count; i += item_stride()) {
    std::int64_t rest = i;
    const std::int64_t c = rest % g.c;
    rest /= g.c;
    const std::int64_t v = rest % aw.in;
    rest /= aw.in;
    const std::int64_t h = rest % ah.in;
    rest /= ah.in;
    const std::int64_t d = rest % ad.in, n = rest / ad.in;
    const std::int64_t group = c / g.c_per_group, channel = c % g.c_per_group;
    BlockedChain<V> chain;
    if (!cropped(ad, d) && !cropped(ah, h) && !cropped(aw, v)) {
      const std::int64_t pd = d + ad.pad_before, ph = h + ah.pad_before, pw = v + aw.pad_before;
      const PhaseTaps td = phase_taps(ad, pd), th = phase_taps(ah, ph), tw = phase_taps(aw, pw);
      for (std::int64_t jt = 0; jt < td.count; ++jt)
        for (std::int64_t jr = 0; jr < th.count; ++jr)
          for (std::int64_t js = 0; js < tw.count; ++js) {
            const std::int64_t t = td.first + jt * td.step, r = th.first + jr * th.step,
                               s = tw.first + js * tw.step;
            const std::int64_t o = (pd - t * ad.dilation) / ad.stride, p = (ph - r * ah.dilation) / ah.stride,
                               q = (pw - s * aw.dilation) / aw.stride;
            const std::int64_t filter = place_w(g, t, r, s) + channel * g.k + group * g.k_per_group;
            if (inside(o, ad.out) && inside(p, ah.out) && inside(q, aw.out)) {
              const std::int64_t from = place_y(g, n, o, p, q) + group * g.k_per_group;
              for (std::int64_t k = 0; k < g.k_per_group; ++k)
                chain.fma(numerics::widen(dy[from + k]), numerics::widen(w[filter + k]));
            } else {
              for (std::int64_t k = 0; k < g.k_per_group; ++k)
                chain.fma(V{0}, numerics::widen(w[filter + k]));
            }
          }
    }
    dx[i] = numerics::cast<S>(chain.sum());
  }
}

template <class S>
__global__ void __launch_bounds__(kThreads, 2)
    backward_filter(Conv g, S outside, const S* x, const S* dy, S* dw) {
  using V = Compute<S>;
  const AxisGeometry &ad = g.axis[0], &ah = g.axis[1], &aw = g.axis[2];
  const std::int64_t count = g.w_size(), leaf = numerics::leaf_samples(g.positions());
  for (std::int64_t i = first_item(); i < count; i += item_stride()) {
    std::int64_t rest = i;
    const std::int64_t k = rest % g.k;
    rest /= g.k;
    const std::int64_t channel = k / g.k_per_group * g.c_per_group + rest % g.c_per_group;
    rest /= g.c_per_group;
    const std::int64_t s = rest % aw.filter;
    rest /= aw.filter;
    const std::int64_t r = rest % ah.filter, t = rest / ah.filter;
    LeafTree<V> tree;
    for (std::int64_t first = 0; first < g.n; first += leaf) {
      BlockedChain<V> chain;
      for (std::int64_t n = first; n < first + leaf && n < g.n; ++n)
        for (std::int64_t o = 0; o < ad.out; ++o)
          for (std::int64_t p = 0; p < ah.out; ++p)
            for (std::int64_t q = 0; q < aw.out; ++q) {
              const std::int64_t d = source_at<std::int64_t>(ad, input_of(ad, o, t)),
                                 h = source_at<std::int64_t>(ah, input_of(ah, p, r)),
                                 v = source_at<std::int64_t>(aw, input_of(aw, q, s));
              const bool real = d >= 0 && h >= 0 && v >= 0;
              chain.fma(numerics::widen(real ? x[place_x(g, n, d, h, v) + channel] : outside),
                        numerics::widen(dy[place_y(g, n, o, p, q) + k]));
            }
      tree.add(chain.sum());
    }
    dw[i] = numerics::cast<S>(tree.sum());
  }
}

}  // namespace

void matmul_direct(const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  with_floating("matmul", a.dtype, [&](auto type) {
    using S = decltype(type);
    launch(product<S>, grid_stride_blocks(c.numel, kThreads), kThreads, 0, g, a.as<S>(), b.as<S>(),
           c.as<S>());
  });
}

void conv_forward_direct(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue, View y) {
  with_floating("conv_forward", x.dtype, [&](auto type) {
    using S = decltype(type);
    launch(forward<S>, grid_stride_blocks(y.numel, kThreads), kThreads, 0, make_conv(g),
           numerics::cast<S>(g.pad_value), x.as<S>(), w.as<S>(), make_finish(epilogue, x.dtype), y.as<S>());
  });
  activate(epilogue, y);
}

void conv_backward_input_direct(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  if (g.folds()) return fold_gradient(conv_backward_input_direct, g, dy, w, dx);
  with_floating("conv_backward_input", dy.dtype, [&](auto type) {
    using S = decltype(type);
    launch(backward_input<S>, grid_stride_blocks(dx.numel, kThreads), kThreads, 0, make_conv(g), dy.as<S>(),
           w.as<S>(), dx.as<S>());
  });
}

void conv_backward_filter_direct(const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  with_floating("conv_backward_filter", x.dtype, [&](auto type) {
    using S = decltype(type);
    launch(backward_filter<S>, grid_stride_blocks(dw.numel, kThreads), kThreads, 0, make_conv(g),
           numerics::cast<S>(g.pad_value), x.as<S>(), dy.as<S>(), dw.as<S>());
  });
}

}  // namespace isobit::gpu::kernels
