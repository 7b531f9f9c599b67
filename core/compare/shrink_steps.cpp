// What can be lowered of each op. Axes of filters: the last holds groups of channels, those of y in a
// convolution and those of x in a transposed one; the one before it holds the channels of one group of the
// other.
#include "core/compare/kernel.h"
#include "core/compare/shrink.h"
#include "core/ops/conv_transpose.h"

namespace isobit::compare {
namespace {

using Widths = std::vector<std::pair<std::int64_t, std::int64_t>>;
using Get = std::function<std::int64_t(const Problem&)>;
using Set = std::function<void(Problem&, std::int64_t)>;

bool pools(const Problem& p) {
  return p.op == Op::avg_pool || p.op == Op::max_pool;
}
bool transposed(const Problem& p) {
  return p.op == Op::conv_transpose;
}
int spatial_of(const Problem& p) {
  return p.op == Op::linear ? 0 : p.x.rank() - 2;
}

// Options by the same names in the ops' structs.
std::int64_t& groups_of(Problem& p) {
  return transposed(p) ? p.transpose.groups : p.conv.groups;
}
Activate& activation_of(Problem& p) {
  return transposed(p) ? p.transpose.activation : p.conv.activation;
}
PadModes& modes_of(Problem& p) {
  return transposed(p) ? p.transpose.mode : p.conv.mode;
}
PerAxis& dilation_of(Problem& p) {
  return pools(p) ? p.pool.dilation : transposed(p) ? p.transpose.dilation : p.conv.dilation;
}
PerAxis& stride_of(Problem& p) {
  return pools(p) ? *p.pool.stride : transposed(p) ? p.transpose.stride : p.conv.stride;
}
Widths& sides_of(Problem& p) {
  return std::get<Widths>((pools(p)        ? p.pool.padding
                           : transposed(p) ? p.transpose.padding
                                           : p.conv.padding)
                              .value);
}
/// The same of what is not to be changed.
template <class F>
Get value(F&& f) {
  return [f](const Problem& p) {
    Problem copy = p;
    return static_cast<std::int64_t>(f(copy));
  };
}

void channel_steps(Steps<Problem>& all) {
  const auto of_y = [](Problem& p, const std::function<Tensor(const Tensor&)>& less) {
    p.b = less(p.b);
    p.dy = less(p.dy);
  };
  lower<Problem>(all, 1, value(groups_of), [=](Problem& p, std::int64_t groups) {
    const std::int64_t before = groups_of(p);
    const auto less = [=](const Tensor& t) {
      return t.defined() ? channels_of(t, before, groups, t.shape(-1) / before) : t;
    };
    p.x = less(p.x);
    p.w = less(p.w);
    of_y(p, less);
    groups_of(p) = groups;
  });
  lower<Problem>(
      all, 1, [](const Problem& p) { return p.w.shape(-1) / value(groups_of)(p); },
      [=](Problem& p, std::int64_t each) {
        const std::int64_t groups = groups_of(p);
        const auto less = [=](const Tensor& t) { return channels_of(t, groups, groups, each); };
        p.w = less(p.w);
        if (transposed(p)) {
          p.x = less(p.x);
        } else {
          of_y(p, less);
        }
      });
  lower<Problem>(
      all, 1, [](const Problem& p) { return p.w.shape(-2); },
      [=](Problem& p, std::int64_t each) {
        const std::int64_t groups = groups_of(p);
        const auto less = [=](const Tensor& t) { return channels_of(t, groups, groups, each); };
        p.w = first_of(p.w, -2, each);
        if (transposed(p)) {
          of_y(p, less);
        } else {
          p.x = less(p.x);
        }
      });
}

void axis_steps(Steps<Problem>& all, const Problem& p, int i) {
  const auto at = static_cast<std::size_t>(i);
  lower<Problem>(
      all, 1, [i](const Problem& q) { return q.x.shape(i + 1); },
      [i](Problem& q, std::int64_t in) { q.x = first_of(q.x, i + 1, in); });
  if (pools(p)) {
    lower<Problem>(
        all, 1, [at](const Problem& q) { return q.window.value[at]; },
        [at](Problem& q, std::int64_t v) { q.window.value[at] = v; });
  } else {
    lower<Problem>(
        all, 1, [i](const Problem& q) { return q.w.shape(i); },
        [i](Problem& q, std::int64_t taps) { q.w = first_of(q.w, i, taps); });
  }
  for (PerAxis& (*numbers)(Problem&) : {stride_of, dilation_of})
    lower<Problem>(all, 1, value([=](Problem& q) { return numbers(q).value[at]; }),
                   [=](Problem& q, std::int64_t v) { numbers(q).value[at] = v; });
  for (const bool before : {true, false})
    lower<Problem>(
        all, 0, value([=](Problem& q) { return before ? sides_of(q)[at].first : sides_of(q)[at].second; }),
        [=](Problem& q, std::int64_t v) { (before ? sides_of(q)[at].first : sides_of(q)[at].second) = v; });
  if (transposed(p))
    lower<Problem>(
        all, 0, [at](const Problem& q) { return q.transpose.output_padding.value[at]; },
        [at](Problem& q, std::int64_t v) { q.transpose.output_padding.value[at] = v; });
  if (pools(p)) return;
  all.emplace_back([at](Problem& q) {
    if (modes_of(q).value[at] == PadMode::constant) return false;
    modes_of(q).value[at] = PadMode::constant;
    return true;
  });
}

}  // namespace

Problem in_numbers(const Problem& p) {
  Problem q = p;
  const int spatial = spatial_of(p);
  if (spatial == 0) return q;
  Widths sides;
  const auto take = [&](const auto& g) {
    for (int i = 0; i < spatial; ++i) {
      const AxisGeometry& a = spatial_axis(g, spatial, i);
      const auto at = static_cast<std::size_t>(i);
      sides.emplace_back(a.pad_before, a.pad_after);
      stride_of(q).value[at] = a.stride;
      dilation_of(q).value[at] = a.dilation;
      if (pools(p)) {
        q.window.value[at] = a.filter;
      } else {
        modes_of(q).value[at] = a.mode;
      }
      if (!transposed(p)) continue;
      // What stands behind the smallest y whose convolution gives this x.
      const std::int64_t least =
          (a.out - 1) * a.stride + (a.filter - 1) * a.dilation + 1 - a.pad_before - a.pad_after;
      q.transpose.output_padding.value[at] = a.in - least;
    }
    stride_of(q).count = dilation_of(q).count = spatial;
  };
  if (pools(p)) {
    q.pool.stride = PerAxis(1);
    take(make_pool_geometry("compare", p.x.shape(), p.window, p.pool));
    q.window.count = spatial;
    q.pool.padding = Padding(std::move(sides));
    return q;
  }
  take(geometry_of(p));
  modes_of(q).count = spatial;
  if (transposed(p)) {
    q.transpose.output_padding.count = spatial;
    q.transpose.output_shape = std::nullopt;
  }
  (transposed(p) ? q.transpose.padding : q.conv.padding) = Padding(std::move(sides));
  return q;
}

Steps<Problem> steps_of(const Problem& p) {
  Steps<Problem> all;
  const int positions = p.op == Op::linear ? p.x.rank() - 1 : 1;
  for (int axis = 0; axis < positions; ++axis)
    lower<Problem>(
        all, 1, [axis](const Problem& q) { return q.x.shape(axis); },
        [axis](Problem& q, std::int64_t n) {
          q.x = first_of(q.x, axis, n);
          q.dy = first_of(q.dy, axis, n);
        });
  if (pools(p)) {
    lower<Problem>(
        all, 1, [](const Problem& q) { return q.x.shape(-1); },
        [](Problem& q, std::int64_t c) {
          q.x = first_of(q.x, -1, c);
          q.dy = first_of(q.dy, -1, c);
        });
    for (bool PoolOptions::*rule : {&PoolOptions::ceil_mode, &PoolOptions::count_include_pad})
      all.emplace_back([rule](Problem& q) { return std::exchange(q.pool.*rule, false); });
  } else {
    channel_steps(all);
  }
  for (int i = 0; i < spatial_of(p); ++i) axis_steps(all, p, i);
  all.emplace_back([](Problem& q) {
    if (!q.b.defined()) return false;
    q.b = Tensor();
    return true;
  });
  all.emplace_back(
      [](Problem& q) { return std::exchange(activation_of(q), Activate::none) != Activate::none; });
  return all;
}

}  // namespace isobit::compare
