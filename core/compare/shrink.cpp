// A failing problem made small: whatever can be halved or lowered is, as long as it still fails; the tensors
// are cut, never drawn anew, so that what made it fail may stay.
#include <isobit/autograd.h>
#include <isobit/error.h>

#include <functional>
#include <optional>

#include "core/compare/kernel.h"

namespace isobit::compare {
namespace {

using Widths = std::vector<std::pair<std::int64_t, std::int64_t>>;

/// The first `extent` of an axis.
Tensor first_of(const Tensor& t, int axis, std::int64_t extent) {
  if (!t.defined()) return t;
  Widths widths(static_cast<std::size_t>(t.rank()));
  widths[static_cast<std::size_t>(axis < 0 ? axis + t.rank() : axis)] = {0, extent - t.shape(axis)};
  return pad(t, widths);
}

/// Of the last axis, which holds `groups` runs of equal length, the first `kept` runs and of each the first
/// `each`.
Tensor channels_of(const Tensor& t, std::int64_t groups, std::int64_t kept, std::int64_t each) {
  if (!t.defined()) return t;
  const Shape& shape = t.shape();
  const Shape apart = shape.with(-1, groups).inserted(shape.rank(), shape[-1] / groups);
  const Tensor less = first_of(first_of(t.reshape(apart), -1, each), -2, kept);
  return less.reshape(shape.with(-1, kept * each));
}

/// The numbers of a convolution that shrinking turns, and the tensors that go with them.
class Small {
 public:
  explicit Small(const Problem& p) : p_(p) {
    const ConvGeometry g = geometry_of(p);
    const int spatial = p.x.rank() - 2;
    Widths sides;
    for (int i = 0; i < spatial; ++i) {
      const AxisGeometry& a = spatial_axis(g, spatial, i);
      const auto at = static_cast<std::size_t>(i);
      sides.emplace_back(a.pad_before, a.pad_after);
      p_.conv.stride.value[at] = a.stride;
      p_.conv.dilation.value[at] = a.dilation;
      p_.conv.mode.value[at] = a.mode;
    }
    p_.conv.stride.count = p_.conv.dilation.count = p_.conv.mode.count = spatial;
    p_.conv.padding = Padding(std::move(sides));
  }
  const Problem& problem() const { return p_; }
  int spatial() const { return p_.x.rank() - 2; }

  /// Every way to make it a little or much smaller. Each either changes `p` and says true, or cannot.
  using Step = std::function<bool(Problem& p)>;
  std::vector<Step> steps() const {
    std::vector<Step> all;
    const auto number = [&](std::int64_t least, std::function<std::int64_t(const Problem&)> get,
                            std::function<void(Problem&, std::int64_t)> set) {
      for (const int way : {0, 1, 2})
        all.emplace_back([=](Problem& p) {
          const std::int64_t now = get(p), next = way == 0 ? least : way == 1 ? now / 2 : now - 1;
          if (now <= least || next < least) return false;
          set(p, next);
          return true;
        });
    };
    number(
        1, [](const Problem& p) { return p.x.shape(0); },
        [](Problem& p, std::int64_t n) {
          p.x = first_of(p.x, 0, n);
          p.dy = first_of(p.dy, 0, n);
        });
    number(
        1, [](const Problem& p) { return p.conv.groups; },
        [](Problem& p, std::int64_t groups) {
          const std::int64_t before = p.conv.groups, cg = p.x.shape(-1) / before, kg = p.w.shape(-1) / before;
          p.x = channels_of(p.x, before, groups, cg);
          p.w = channels_of(p.w, before, groups, kg);
          p.b = channels_of(p.b, before, groups, kg);
          p.dy = channels_of(p.dy, before, groups, kg);
          p.conv.groups = groups;
        });
    number(
        1, [](const Problem& p) { return p.w.shape(-1) / p.conv.groups; },
        [](Problem& p, std::int64_t kg) {
          const std::int64_t groups = p.conv.groups;
          p.w = channels_of(p.w, groups, groups, kg);
          p.b = channels_of(p.b, groups, groups, kg);
          p.dy = channels_of(p.dy, groups, groups, kg);
        });
    number(
        1, [](const Problem& p) { return p.w.shape(-2); },
        [](Problem& p, std::int64_t cg) {
          p.w = first_of(p.w, -2, cg);
          p.x = channels_of(p.x, p.conv.groups, p.conv.groups, cg);
        });
    for (int i = 0; i < spatial(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      number(
          1, [i](const Problem& p) { return p.x.shape(i + 1); },
          [i](Problem& p, std::int64_t in) { p.x = first_of(p.x, i + 1, in); });
      number(
          1, [i](const Problem& p) { return p.w.shape(i); },
          [i](Problem& p, std::int64_t taps) { p.w = first_of(p.w, i, taps); });
      number(
          1, [at](const Problem& p) { return p.conv.stride.value[at]; },
          [at](Problem& p, std::int64_t v) { p.conv.stride.value[at] = v; });
      number(
          1, [at](const Problem& p) { return p.conv.dilation.value[at]; },
          [at](Problem& p, std::int64_t v) { p.conv.dilation.value[at] = v; });
      for (const bool before : {true, false})
        number(
            0, [=](const Problem& p) { return side(p, at, before); },
            [=](Problem& p, std::int64_t v) {
              auto& s = std::get<Widths>(p.conv.padding.value)[at];
              (before ? s.first : s.second) = v;
            });
      all.emplace_back([at](Problem& p) {
        if (p.conv.mode.value[at] == PadMode::constant) return false;
        p.conv.mode.value[at] = PadMode::constant;
        return true;
      });
    }
    all.emplace_back([](Problem& p) {
      if (!p.b.defined()) return false;
      p.b = Tensor();
      return true;
    });
    all.emplace_back([](Problem& p) {
      if (p.conv.activation == Activate::none) return false;
      p.conv.activation = Activate::none;
      return true;
    });
    return all;
  }

  /// The problem after a step; nothing where the step does not apply or what comes out is no problem.
  std::optional<Problem> after(const Step& step) const {
    Problem p = p_;
    if (!step(p)) return std::nullopt;
    try {
      if (p.result == Result::y) p.dy = Tensor();
      if (p.dy.defined()) {  // cut to the outputs that are left; where there are more, nothing is known of
                             // them
        const ConvGeometry g = geometry_of(p);
        for (int i = 0; i < p.x.rank() - 2; ++i) {
          const std::int64_t out = spatial_axis(g, p.x.rank() - 2, i).out;
          if (out > p.dy.shape(i + 1)) return std::nullopt;
          p.dy = first_of(p.dy, i + 1, out);
        }
      } else {
        geometry_of(p);
      }
      return p;
    } catch (const OutOfMemory&) {
      throw;
    } catch (const Error&) {
      return std::nullopt;
    }
  }

 private:
  static std::int64_t side(const Problem& p, std::size_t at, bool before) {
    const auto& s = std::get<Widths>(p.conv.padding.value)[at];
    return before ? s.first : s.second;
  }
  Problem p_;
};

}  // namespace

Problem shrink(const Problem& p, const std::function<bool(const Problem&)>& fails) {
  const NoGrad off;
  if (!fails(p)) fail("shrink", "{} does not fail", p.to_string());
  Problem best = p;
  if (p.op == Op::linear) {
    for (bool smaller = true; smaller;) {
      smaller = false;
      for (const bool halve : {true, false}) {
        const auto attempt = [&](std::int64_t now, const std::function<void(Problem&, std::int64_t)>& set) {
          const std::int64_t next = halve ? now / 2 : now - 1;
          if (next < 1) return;
          Problem q = best;
          set(q, next);
          if (fails(q)) {
            best = q;
            smaller = true;
          }
        };
        for (int axis = 0; axis < p.x.rank() - 1; ++axis)
          attempt(best.x.shape(axis), [axis](Problem& q, std::int64_t v) {
            q.x = first_of(q.x, axis, v);
            q.dy = first_of(q.dy, axis, v);
          });
        attempt(best.w.shape(0), [](Problem& q, std::int64_t v) {
          q.x = first_of(q.x, -1, v);
          q.w = first_of(q.w, 0, v);
        });
        attempt(best.w.shape(1), [](Problem& q, std::int64_t v) {
          q.w = first_of(q.w, 1, v);
          q.b = first_of(q.b, 0, v);
          q.dy = first_of(q.dy, -1, v);
        });
      }
    }
    return best;
  }
  if (p.op != Op::conv || !p.w.defined()) return best;
  for (bool smaller = true; smaller;) {
    smaller = false;
    const std::vector<Small::Step> steps = Small(best).steps();
    for (const Small::Step& step : steps) {
      // A step that helped is taken again until it does not.
      for (;;) {
        const std::optional<Problem> next = Small(best).after(step);
        if (!next || !fails(*next)) break;
        best = *next;
        smaller = true;
      }
    }
  }
  return best;
}

std::string shape_line(const Problem& p, std::string_view name) {
  if ((p.op != Op::conv && p.op != Op::conv_transpose) || !p.x.defined() || !p.w.defined()) return {};
  const ConvGeometry g = geometry_of(p);
  std::string line = fmt::format("mb{}g{}ic{}oc{}", g.n, g.groups, g.c, g.k), modes;
  bool modes_matter = g.pad_value != 0;
  for (auto i = static_cast<std::size_t>(3 - shown_axes(g)); i < 3; ++i) {
    const AxisGeometry& a = g.axis[i];
    const char axis = "dhw"[i];
    line += fmt::format("i{0}{1}k{0}{2}s{0}{3}d{0}{4}p{0}{5}p{0}r{6}", axis, a.in, a.filter, a.stride,
                        a.dilation - 1, a.pad_before, a.pad_after);
    modes += fmt::format("@{}", name_of(a.mode));
    if (a.mode == PadMode::constant && g.pad_value != 0) modes += fmt::format("={}", g.pad_value);
    modes_matter = modes_matter || a.mode != PadMode::constant;
  }
  return fmt::format("{}{}n\"{}\"", line, modes_matter ? modes : "", name);
}

}  // namespace isobit::compare
