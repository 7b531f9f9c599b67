// Convolutions whose groups have one input channel, with any number of filters each: too few products share
// an operand for tiles, so threads lie along the channels, where memory is contiguous, and walk the taps.
//
//   forward          a thread owns kRun neighbouring outputs q of one filter: a blocked chain over (t, r, s)
//                    each
//   backward_input   a thread owns kRun elements of one row and channel, a stride apart, which have their
//                    taps in common: a blocked chain over (t, r, s, k) each
//   backward_filter  a thread owns one block of at most numerics::kBlock terms of one dw[t, r, s, 0, k]; its
//                    chain is stored; further kernels add the blocks of a leaf left to right and join the
//                    leaves by the batch tree
//
// What lies outside of x is read through its padding mode, in 32 bits.
#include <algorithm>

#include "cuda/kernels/conv.cuh"
#include "cuda/kernels/conv.h"

namespace isobit::gpu::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kRun = 4;

// extent / each, rounded up.
__device__ std::int64_t pieces(std::int64_t extent, std::int64_t each) {
  return (extent + each - 1) / each;
}

// kRun blocked chains that advance together.
template <class V>
struct Chains {
  V chain[kRun] = {}, total[kRun] = {};
  int terms = 0;  // in the open block
  bool first = true;

  __device__ void next_term() {
    if (terms == numerics::kBlock) {
      for (int i = 0; i < kRun; ++i) {
        total[i] = first ? chain[i] : total[i] + chain[i];
        chain[i] = 0;
      }
      first = false;
      terms = 0;
    }
    ++terms;
  }
  __device__ V sum(int i) const { return first ? chain[i] : total[i] + chain[i]; }
};

template <class S>
__global__ void __launch_bounds__(kThreads, 2)
    forward(Conv g, S outside, const S* x, const S* w, Finish finish, S* y) {
  using V = Compute<S>;
  const AxisGeometry &ad = g.axis[0], &ah = g.axis[1], &aw = g.axis[2];
  const std::int64_t runs = pieces(aw.out, kRun), count = g.n * ad.out * ah.out * runs * g.k;
  for (std::int64_t i = first_item(); i < count; i += item_stride()) {
    std::int64_t n = i;
    const std::int64_t k = take_digit(n, g.k), q = take_digit(n, runs) * kRun, p = take_digit(n, ah.out),
                       o = take_digit(n, ad.out), c = k / g.k_per_group;
    Chains<V> chains;
    for (std::int64_t t = 0; t < ad.filter; ++t)
      for (std::int64_t r = 0; r < ah.filter; ++r) {
        const std::int64_t d = source_at<std::int32_t>(ad, input_of(ad, o, t)),
                           h = source_at<std::int32_t>(ah, input_of(ah, p, r));
        const bool real = d >= 0 && h >= 0;
        const S* row = x + ((n * ad.in + d) * ah.in + h) * aw.in * g.c + c;
        const S* filter = w + (t * ah.filter + r) * aw.filter * g.k + k;
        for (std::int64_t s = 0; s < aw.filter; ++s) {
          const V value = numerics::widen(filter[s * g.k]);
          const std::int64_t v = input_of(aw, q, s);
          chains.next_term();
#pragma unroll
          for (int j = 0; j < kRun; ++j) {
            const std::int64_t at = real ? source_at<std::int32_t>(aw, v + j * aw.stride) : -1;
            const V a = numerics::widen(at < 0 ? outside : row[at * g.c]);
            chains.chain[j] = numerics::fma(a, value, chains.chain[j]);
          }
        }
      }
    S* to = y + (((n * ad.out + o) * ah.out + p) * aw.out + q) * g.k + k;
#pragma unroll
    for (int j = 0; j < kRun; ++j)
      if (q + j < aw.out) to[j * g.k] = numerics::cast<S>(finished<S>(finish, k, chains.sum(j)));
  }
}

template <class S>
__global__ void __launch_bounds__(kThreads, 2) backward_input(Conv g, const S* dy, const S* w, S* dx) {
  using V = Compute<S>;
  const AxisGeometry &ad = g.axis[0], &ah = g.axis[1], &aw = g.axis[2];
  // A row of x: for each of the first `phases` elements those that lie whole strides further.
  const std::int64_t phases = aw.stride < aw.in ? aw.stride : aw.in;
  const std::int64_t runs = pieces(pieces(aw.in, aw.stride), kRun);
  const std::int64_t count = g.n * ad.in * ah.in * runs * phases * g.c;
  for (std::int64_t i = first_item(); i < count; i += item_stride()) {
    std::int64_t n = i;
    const std::int64_t c = take_digit(n, g.c), phase = take_digit(n, phases), run = take_digit(n, runs),
                       h = take_digit(n, ah.in), d = take_digit(n, ad.in);
    const std::int64_t first = phase + run * kRun * aw.stride;
    if (first >= aw.in) continue;
    Chains<V> chains;
    const bool row_real = !cropped(ad, d) && !cropped(ah, h);
    if (row_real) {
      // The phase of a coordinate that is cropped away is not used; it must only not be negative.
      const std::int64_t pd = d + ad.pad_before, ph = h + ah.pad_before, pw = first + aw.pad_before;
      const std::int64_t lifted = pw < 0 ? pw % aw.stride + aw.stride : pw;
      const PhaseTaps td = phase_taps(ad, pd), th = phase_taps(ah, ph), tw = phase_taps(aw, lifted);
      for (std::int64_t jt = 0; jt < td.count; ++jt)
        for (std::int64_t jr = 0; jr < th.count; ++jr) {
          const std::int64_t t = td.first + jt * td.step, r = th.first + jr * th.step;
          const std::int64_t o = (pd - t * ad.dilation) / ad.stride, p = (ph - r * ah.dilation) / ah.stride;
          const bool real = inside(o, ad.out) && inside(p, ah.out);
          const S* row = dy + ((n * ad.out + o) * ah.out + p) * aw.out * g.k + c * g.k_per_group;
          for (std::int64_t js = 0; js < tw.count; ++js) {
            const std::int64_t s = tw.first + js * tw.step, q = (pw - s * aw.dilation) / aw.stride;
            const S* filter = w + ((t * ah.filter + r) * aw.filter + s) * g.k + c * g.k_per_group;
            for (std::int64_t k = 0; k < g.k_per_group; ++k) {
              const V value = numerics::widen(filter[k]);
              chains.next_term();
#pragma unroll
              for (int j = 0; j < kRun; ++j) {
                const V a = real && inside(q + j, aw.out) ? numerics::widen(row[(q + j) * g.k + k]) : V{0};
                chains.chain[j] = numerics::fma(a, value, chains.chain[j]);
              }
            }
          }
        }
    }
    S* to = dx + (((n * ad.in + d) * ah.in + h) * aw.in + first) * g.c + c;
#pragma unroll
    for (int j = 0; j < kRun; ++j) {
      const std::int64_t v = first + j * aw.stride;
      if (v < aw.in)
        to[j * aw.stride * g.c] = numerics::cast<S>(row_real && !cropped(aw, v) ? chains.sum(j) : V{0});
    }
  }
}

// How the terms of backward_filter fall into leaves and blocks.
struct Leaves {
  std::int64_t leaves, leaf_terms, blocks;  // blocks of a leaf, the shorter last one's counted as the others'
  std::int64_t terms;                       // in all
  __device__ std::int64_t first_of(std::int64_t leaf, std::int64_t block) const {
    return leaf * leaf_terms + block * numerics::kBlock;
  }
  __device__ std::int64_t end_of(std::int64_t leaf) const {
    const std::int64_t end = (leaf + 1) * leaf_terms;
    return end < terms ? end : terms;
  }
};

template <class S>
__global__ void __launch_bounds__(kThreads, 2)
    filter_blocks(Conv g, S outside, Leaves leaves, const S* x, const S* dy, Compute<S>* sums) {
  using V = Compute<S>;
  const AxisGeometry &ad = g.axis[0], &ah = g.axis[1], &aw = g.axis[2];
  const std::int64_t count = leaves.leaves * leaves.blocks * g.w_size();
  for (std::int64_t i = first_item(); i < count; i += item_stride()) {
    std::int64_t leaf = i;
    const std::int64_t k = take_digit(leaf, g.k), s = take_digit(leaf, aw.filter),
                       r = take_digit(leaf, ah.filter), t = take_digit(leaf, ad.filter),
                       block = take_digit(leaf, leaves.blocks);
    const std::int64_t first = leaves.first_of(leaf, block);
    const std::int64_t room = leaves.end_of(leaf) - first;
    const int terms = static_cast<int>(room < 0 ? 0 : room < numerics::kBlock ? room : numerics::kBlock);
    const std::int64_t c = k / g.k_per_group;
    std::int64_t n = first;
    std::int64_t q = take_digit(n, aw.out), p = take_digit(n, ah.out), o = take_digit(n, ad.out);
    V chain = 0;
    const S* from = dy + first * g.k + k;
    for (int term = 0; term < terms; ++term, from += g.k) {
      const std::int64_t d = source_at<std::int32_t>(ad, input_of(ad, o, t)),
                         h = source_at<std::int32_t>(ah, input_of(ah, p, r)),
                         v = source_at<std::int32_t>(aw, input_of(aw, q, s));
      const bool real = d >= 0 && h >= 0 && v >= 0;
      const V a = numerics::widen(real ? x[(((n * ad.in + d) * ah.in + h) * aw.in + v) * g.c + c] : outside);
      chain = numerics::fma(a, numerics::widen(*from), chain);
      if (++q == aw.out) {
        q = 0;
        if (++p == ah.out) {
          p = 0;
          if (++o == ad.out) {
            o = 0;
            ++n;
          }
        }
      }
    }
    sums[i] = chain;
  }
}

// sums[leaf, 0, element] becomes the leaf's total.
template <class V>
__global__ void __launch_bounds__(kThreads, 2) filter_leaves(Leaves leaves, std::int64_t elements, V* sums) {
  const std::int64_t count = leaves.leaves * elements;
  for (std::int64_t i = first_item(); i < count; i += item_stride()) {
    const std::int64_t leaf = i / elements,
                       blocks = numerics::block_count(leaves.end_of(leaf) - leaf * leaves.leaf_terms);
    V* own = sums + leaf * leaves.blocks * elements + i % elements;
    V total = *own;
    for (std::int64_t block = 1; block < blocks; ++block) total = total + own[block * elements];
    *own = total;
  }
}

template <class S>
__global__ void __launch_bounds__(kThreads, 2)
    filter_tree(Leaves leaves, std::int64_t elements, const Compute<S>* sums, S* dw) {
  for (std::int64_t i = first_item(); i < elements; i += item_stride()) {
    LeafTree<Compute<S>> tree;
    for (std::int64_t leaf = 0; leaf < leaves.leaves; ++leaf)
      tree.add(sums[leaf * leaves.blocks * elements + i]);
    dw[i] = numerics::cast<S>(tree.sum());
  }
}

const char* refuse(const ConvGeometry& g) {
  return g.c_per_group() == 1 ? nullptr : "serves groups of one channel";
}

// Elements beyond a border are found in 32 bits.
const char* refuse_border(const ConvGeometry& g) {
  constexpr std::int64_t kLimit = std::int64_t{1} << 30;
  for (const AxisGeometry& a : g.axis)
    if (a.folds() && (a.in >= kLimit || a.pad_before >= kLimit || a.in + a.pad_after >= kLimit))
      return "an axis with a border is not below 2^30";
  return refuse(g);
}

}  // namespace

const char* refuse_conv_forward_depthwise(const ConvGeometry& g, ConstView, ConstView, const Epilogue&,
                                          View) {
  return refuse_border(g);
}
const char* refuse_conv_backward_input_depthwise(const ConvGeometry& g, ConstView, ConstView, View) {
  if (g.folds()) return kFolds;
  return refuse(g);
}
const char* refuse_conv_backward_filter_depthwise(const ConvGeometry& g, ConstView, ConstView, View) {
  return refuse_border(g);
}

void conv_forward_depthwise(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                            View y) {
  with_floating("conv_forward", x.dtype, [&](auto type) {
    using S = decltype(type);
    launch(forward<S>, grid_stride_blocks(blocks_for(y.numel, kRun), kThreads), kThreads, 0, make_conv(g),
           numerics::cast<S>(g.pad_value), x.as<S>(), w.as<S>(), make_finish(epilogue, x.dtype), y.as<S>());
  });
  activate(epilogue, y);
}

void conv_backward_input_depthwise(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  with_floating("conv_backward_input", dy.dtype, [&](auto type) {
    using S = decltype(type);
    launch(backward_input<S>, grid_stride_blocks(blocks_for(dx.numel, kRun), kThreads), kThreads, 0,
           make_conv(g), dy.as<S>(), w.as<S>(), dx.as<S>());
  });
}

void conv_backward_filter_depthwise(const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  if (dw.numel == 0) return;
  Leaves leaves;
  const std::int64_t samples = numerics::leaf_samples(g.positions());
  leaves.leaves = blocks_for(g.n, samples);
  leaves.leaf_terms = samples * g.positions();
  leaves.terms = g.n * g.positions();
  leaves.blocks = numerics::block_count(std::min(leaves.leaf_terms, leaves.terms));
  with_floating("conv_backward_filter", x.dtype, [&](auto type) {
    using S = decltype(type);
    using V = Compute<S>;
    const std::int64_t sums = leaves.leaves * leaves.blocks * dw.numel;
    const Scratch scratch(sums * static_cast<std::int64_t>(sizeof(V)));
    launch(filter_blocks<S>, grid_stride_blocks(sums, kThreads), kThreads, 0, make_conv(g),
           numerics::cast<S>(g.pad_value), leaves, x.as<S>(), dy.as<S>(), scratch.as<V>());
    if (leaves.blocks > 1)
      launch(filter_leaves<V>, grid_stride_blocks(leaves.leaves * dw.numel, kThreads), kThreads, 0, leaves,
             dw.numel, scratch.as<V>());
    launch(filter_tree<S>, grid_stride_blocks(dw.numel, kThreads), kThreads, 0, leaves, dw.numel,
           scratch.as<V>(), dw.as<S>());
  });
}

}  // namespace isobit::gpu::kernels
