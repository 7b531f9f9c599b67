// Convolutions of images as plain loops in f32 that add up in the opposite order to isobit's, and that can be
// told to err: what other people's kernels look like to the comparison.
#pragma once
#include <isobit/compare.h>

#include <cmath>
#include <functional>
#include <vector>

namespace isobit::test {

struct PlainConv {
  std::int64_t n = 1, h = 1, w = 1, c = 1, k = 1, r = 1, s = 1;
  std::int64_t groups = 1, stride = 1, dilation = 1, top = 0, bottom = 0, left = 0, right = 0;

  std::int64_t p() const { return (h + top + bottom - dilation * (r - 1) - 1) / stride + 1; }
  std::int64_t q() const { return (w + left + right - dilation * (s - 1) - 1) / stride + 1; }
  Shape x_shape() const { return {n, h, w, c}; }
  Shape w_shape() const { return {r, s, c / groups, k}; }
  Shape y_shape() const { return {n, p(), q(), k}; }
  ConvOptions options() const {
    ConvOptions o;
    o.stride = stride;
    o.dilation = dilation;
    o.groups = groups;
    o.padding = Padding({{top, bottom}, {left, right}});
    return o;
  }
};

/// One product: elements of y, of x and of w, and where it stands.
struct PlainTerm {
  std::int64_t y, x, w;
  std::int64_t p, q, r, s, c, k;
};

/// Visits every product of the convolution whose x is not padding. `read` is the convolution as it is read,
/// which a fault may have changed; `true_p` and `true_q` are the extents of y.
inline void each_term(const PlainConv& read, std::int64_t true_p, std::int64_t true_q,
                      const std::function<void(const PlainTerm&)>& visit) {
  const std::int64_t cg = read.c / read.groups, kg = read.k / read.groups;
  for (std::int64_t n = 0; n < read.n; ++n)
    for (std::int64_t c = cg - 1; c >= 0; --c)
      for (std::int64_t s = read.s - 1; s >= 0; --s)
        for (std::int64_t r = read.r - 1; r >= 0; --r)
          for (std::int64_t p = 0; p < true_p; ++p)
            for (std::int64_t q = 0; q < true_q; ++q) {
              const std::int64_t h = p * read.stride + r * read.dilation - read.top;
              const std::int64_t w = q * read.stride + s * read.dilation - read.left;
              if (h < 0 || h >= read.h || w < 0 || w >= read.w) continue;
              for (std::int64_t k = 0; k < read.k; ++k) {
                const std::int64_t channel = k / kg * cg + c;
                visit({((n * true_p + p) * true_q + q) * read.k + k,
                       ((n * read.h + h) * read.w + w) * read.c + channel,
                       ((r * read.s + s) * cg + c) * read.k + k, p, q, r, s, c, k});
              }
            }
}

using Floats = std::vector<float>;
/// What adds a product to a sum; the default rounds product and sum.
using Accumulate = std::function<float(float sum, float a, float b, const PlainTerm& term)>;
inline float add_product(float sum, float a, float b, const PlainTerm&) {
  return sum + a * b;
}

inline Tensor plain_forward(const PlainConv& conv, const PlainConv& read, const Tensor& x, const Tensor& w,
                            const Accumulate& add = add_product) {
  const Floats xs = x.to_vector<float>(), ws = w.to_vector<float>();
  Floats y(static_cast<std::size_t>(conv.y_shape().numel()));
  each_term(read, conv.p(), conv.q(), [&](const PlainTerm& t) {
    float& sum = y[static_cast<std::size_t>(t.y)];
    sum = add(sum, xs[static_cast<std::size_t>(t.x)], ws[static_cast<std::size_t>(t.w)], t);
  });
  return from_vector(y, conv.y_shape());
}
inline Tensor plain_backward_input(const PlainConv& conv, const PlainConv& read, const Tensor& dy,
                                   const Tensor& w, const Accumulate& add = add_product) {
  const Floats dys = dy.to_vector<float>(), ws = w.to_vector<float>();
  Floats dx(static_cast<std::size_t>(conv.x_shape().numel()));
  each_term(read, conv.p(), conv.q(), [&](const PlainTerm& t) {
    float& sum = dx[static_cast<std::size_t>(t.x)];
    sum = add(sum, dys[static_cast<std::size_t>(t.y)], ws[static_cast<std::size_t>(t.w)], t);
  });
  return from_vector(dx, conv.x_shape());
}
inline Tensor plain_backward_filter(const PlainConv& conv, const PlainConv& read, const Tensor& x,
                                    const Tensor& dy, const Accumulate& add = add_product) {
  const Floats xs = x.to_vector<float>(), dys = dy.to_vector<float>();
  Floats dw(static_cast<std::size_t>(conv.w_shape().numel()));
  each_term(read, conv.p(), conv.q(), [&](const PlainTerm& t) {
    float& sum = dw[static_cast<std::size_t>(t.w)];
    sum = add(sum, xs[static_cast<std::size_t>(t.x)], dys[static_cast<std::size_t>(t.y)], t);
  });
  return from_vector(dw, conv.w_shape());
}

}  // namespace isobit::test
