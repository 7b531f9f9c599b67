// local_response_norm and its gradient over windows of channels (LocalResponseGeometry: x[rows, c]). A thread
// owns one element and sums its window in ascending order.
// Forward: what windows share comes from the cache.
// Backward, *_shared: a block owns kResponseThreads elements that follow each other, across rows too. Its
// threads first leave the terms u of these elements and of up to kWidestWindow - 1 around them in shared
// memory; a thread then sums those of its row. *_grid: one launch leaves all terms in memory, the next sums,
// for windows of any width.
#include "core/numerics/elementary.h"
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/elements.cuh"

namespace isobit::gpu::kernels {
namespace {

constexpr int kResponseThreads = 256;
constexpr int kWidestWindow = kResponseThreads;  // of *_shared: each thread computes two terms at most

/// LocalResponseGeometry for kernels, its numbers in the compute type.
template <class V>
struct Windows {
  std::int64_t c, before, after, items;
  V scale, bias, exponent, factor;

  explicit Windows(const LocalResponseGeometry& g)
      : c(g.c),
        before(g.before),
        after(g.after),
        items(g.numel()),
        scale(static_cast<V>(g.scale)),
        bias(static_cast<V>(g.bias)),
        exponent(static_cast<V>(-g.beta)),
        factor(static_cast<V>(g.scale * (-2 * g.beta))) {}
};

template <class V>
struct Response {
  V d, s;
};

// Element i is channel i % c; elements i - left to i + right of its row are its window.
struct Reach {
  std::int64_t left, right;
};
__device__ inline Reach reach(std::int64_t i, std::int64_t c, std::int64_t left, std::int64_t right) {
  const std::int64_t e = i % c, rest = c - 1 - e;
  return {left < e ? left : e, right < rest ? right : rest};
}

template <class S>
__device__ inline Response<Compute<S>> response(const Windows<Compute<S>>& w, const S* x, std::int64_t i) {
  using V = Compute<S>;
  const Reach r = reach(i, w.c, w.before, w.after);
  V q = 0;
  for (std::int64_t j = i - r.left; j <= i + r.right; ++j) {
    const V v = widen(x[j]);
    q = numerics::fma(v, v, q);
  }
  const V d = numerics::fma(w.scale, q, w.bias);
  return {d, numerics::exp(w.exponent * numerics::log(d))};
}

// The term that element i gives to the windows that hold it, and dy * s.
template <class V>
struct Terms {
  V term, straight;
};
template <class S>
__device__ inline Terms<Compute<S>> terms_of(const Windows<Compute<S>>& w, const S* dy, const S* x,
                                             std::int64_t i) {
  using V = Compute<S>;
  const Response<V> r = response(w, x, i);
  const V v = widen(dy[i]);
  return {v * ((widen(x[i]) * r.s) / r.d), v * r.s};
}

// dx of element i; its term is terms[0], its neighbours' lie around it.
template <class S>
__device__ inline S gradient(const Windows<Compute<S>>& w, const S* x, std::int64_t i,
                             const Compute<S>* terms, Compute<S> straight) {
  using V = Compute<S>;
  const Reach r = reach(i, w.c, w.after, w.before);
  V t = 0;
  for (std::int64_t j = -r.left; j <= r.right; ++j) t = t + terms[j];
  return numerics::cast<S>(numerics::fma(w.factor * widen(x[i]), t, straight));
}

template <class S>
__global__ void __launch_bounds__(kResponseThreads)
    local_response_norm_grid(Windows<Compute<S>> w, const S* x, S* y) {
  for (std::int64_t i = grid_thread(); i < w.items; i += grid_threads())
    y[i] = numerics::cast<S>(widen(x[i]) * response(w, x, i).s);
}

template <class S>
__global__ void __launch_bounds__(kResponseThreads)
    local_response_norm_backward_shared_terms(Windows<Compute<S>> w, const S* dy, const S* x, S* dx) {
  using V = Compute<S>;
  // Of elements first - after to first + kResponseThreads + before. Widths fit an int: windows are narrow.
  SHARED(terms, V[kResponseThreads + kWidestWindow]);
  const int left = static_cast<int>(w.after), right = static_cast<int>(w.before);
  const int thread = static_cast<int>(threadIdx.x), halo = thread < left ? thread : thread + kResponseThreads;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kResponseThreads;
  const std::int64_t i = first + thread, other = first - left + halo;
  V straight = 0;
  if (i < w.items) {
    const Terms<V> own = terms_of(w, dy, x, i);
    terms[left + thread] = own.term;
    straight = own.straight;
  }
  if (thread < left + right && other >= 0 && other < w.items) terms[halo] = terms_of(w, dy, x, other).term;
  __syncthreads();
  if (i < w.items) dx[i] = gradient(w, x, i, terms + left + thread, straight);
}

template <class S>
__global__ void __launch_bounds__(kResponseThreads)
    local_response_norm_backward_terms(Windows<Compute<S>> w, const S* dy, const S* x, Compute<S>* terms,
                                       Compute<S>* straight) {
  for (std::int64_t i = grid_thread(); i < w.items; i += grid_threads()) {
    const Terms<Compute<S>> own = terms_of(w, dy, x, i);
    terms[i] = own.term;
    straight[i] = own.straight;
  }
}
template <class S>
__global__ void __launch_bounds__(kResponseThreads)
    local_response_norm_backward_grid(Windows<Compute<S>> w, const S* x, const Compute<S>* terms,
                                      const Compute<S>* straight, S* dx) {
  for (std::int64_t i = grid_thread(); i < w.items; i += grid_threads())
    dx[i] = gradient(w, x, i, terms + i, straight[i]);
}

}  // namespace

void local_response_norm(const LocalResponseGeometry& g, ConstView x, View y) {
  with_floating("local_response_norm", x.dtype, [&](auto type) {
    using S = decltype(type);
    launch(local_response_norm_grid<S>, grid_stride_blocks(g.numel(), kResponseThreads), kResponseThreads, 0,
           Windows<Compute<S>>(g), x.as<S>(), y.as<S>());
  });
}

const char* refuse_local_response_norm_backward_shared(const LocalResponseGeometry& g, ConstView, ConstView,
                                                       View) {
  return g.before + 1 + g.after > kWidestWindow ? "the window is wider than a block" : nullptr;
}

void local_response_norm_backward_shared(const LocalResponseGeometry& g, ConstView dy, ConstView x, View dx) {
  with_floating("local_response_norm_backward", x.dtype, [&](auto type) {
    using S = decltype(type);
    launch(local_response_norm_backward_shared_terms<S>, blocks_for(g.numel(), kResponseThreads),
           kResponseThreads, 0, Windows<Compute<S>>(g), dy.as<S>(), x.as<S>(), dx.as<S>());
  });
}

void local_response_norm_backward(const LocalResponseGeometry& g, ConstView dy, ConstView x, View dx) {
  with_floating("local_response_norm_backward", x.dtype, [&](auto type) {
    using S = decltype(type);
    using V = Compute<S>;
    const Windows<V> w(g);
    const std::int64_t blocks = grid_stride_blocks(g.numel(), kResponseThreads);
    const Scratch terms(g.numel() * static_cast<std::int64_t>(sizeof(V)));
    const Scratch straight(g.numel() * static_cast<std::int64_t>(sizeof(V)));
    launch(local_response_norm_backward_terms<S>, blocks, kResponseThreads, 0, w, dy.as<S>(), x.as<S>(),
           terms.as<V>(), straight.as<V>());
    launch(local_response_norm_backward_grid<S>, blocks, kResponseThreads, 0, w, x.as<S>(), terms.as<V>(),
           straight.as<V>(), dx.as<S>());
  });
}

}  // namespace isobit::gpu::kernels
