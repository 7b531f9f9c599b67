// Where errors lie: counted by sample, distance to each border, phase of the stride, channel, channel within
// a tile and group, said in words, and drawn as a map.
#include <isobit/error.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/compare/kernel.h"

namespace isobit::compare {
namespace {

enum class Role : std::uint8_t { sample, space, channel, tap };

struct Axis {
  std::string name;  ///< "h"
  Role role = Role::sample;
  std::string line, first, last;  ///< "row", "top", "bottom"
  std::int64_t stride = 1, before = 0;
  std::vector<std::int64_t> wrong;  ///< by index
  std::int64_t total = 0;           ///< elements at one index
};

/// The axes of a result of the problem.
std::vector<Axis> axes_of(const Problem& p, const Shape& shape) {
  struct Space {
    const char *in, *tap, *out, *line, *first, *last;
  };
  constexpr Space kSpace[] = {{"d", "t", "o", "plane", "front", "back"},
                              {"h", "r", "p", "row", "top", "bottom"},
                              {"w", "s", "q", "column", "left", "right"}};
  const bool convolves = p.op == Op::conv || p.op == Op::conv_transpose;
  const bool pools = p.op == Op::avg_pool || p.op == Op::max_pool;
  std::vector<Axis> axes(static_cast<std::size_t>(shape.rank()));
  const int rank = shape.rank();
  for (int i = 0; i < rank; ++i) {
    Axis& a = axes[static_cast<std::size_t>(i)];
    a.wrong.resize(static_cast<std::size_t>(shape[i]));
    a.total = shape[i] == 0 ? 0 : shape.numel() / shape[i];
    if (p.result == Result::db || (p.op == Op::linear && p.result != Result::dw)) {
      a.name = i == rank - 1 ? (p.result == Result::dx ? "c" : "k")
               : i == 0      ? "n"
                             : fmt::format("position {}", i);
      a.role = i == rank - 1 ? Role::channel : i == 0 ? Role::sample : Role::space;
      a.line = "position", a.first = "first", a.last = "last";
      continue;
    }
    if (p.result == Result::dw) {
      const int spatial = convolves ? rank - 2 : 0;
      if (i < spatial) {
        const Space& s = kSpace[3 - spatial + i];
        a.name = s.tap, a.role = Role::tap, a.line = s.line, a.first = s.first, a.last = s.last;
      } else {
        a.name = i == rank - 1 ? "k" : "c";
        a.role = Role::channel;
      }
      continue;
    }
    if (i == 0) {
      a.name = "n";
    } else if (i == rank - 1) {
      a.name = p.result == Result::dx || pools ? "c" : "k";
      a.role = Role::channel;
    } else {
      const Space& s = kSpace[3 - (rank - 2) + i - 1];
      a.name = p.result == Result::dx ? s.in : s.out;
      a.role = Role::space, a.line = s.line, a.first = s.first, a.last = s.last;
    }
  }
  // The phases of what a strided convolution is the gradient of.
  const bool phased =
      (p.op == Op::conv && p.result == Result::dx) || (p.op == Op::conv_transpose && p.result == Result::y);
  if (phased) {
    constexpr std::int64_t kMost = 64;  // of more phases nothing is said
    const ConvGeometry g = geometry_of(p);
    std::int64_t phases = 1;
    for (int i = 1; i < rank - 1; ++i) {
      const std::int64_t stride = spatial_axis(g, rank - 2, i - 1).stride;
      if (stride > kMost / phases) return axes;
      phases *= stride;
    }
    for (int i = 1; i < rank - 1; ++i) {
      const AxisGeometry& of = spatial_axis(g, rank - 2, i - 1);
      axes[static_cast<std::size_t>(i)].stride = of.stride;
      axes[static_cast<std::size_t>(i)].before = of.pad_before;
    }
  }
  return axes;
}

std::int64_t phase_of(const Axis& a, std::int64_t index) {
  return ((index + a.before) % a.stride + a.stride) % a.stride;
}

/// "4", "4 and 7", "rows 2 to 5" for the indices that have errors; empty when all have.
std::string indices_text(const Axis& a, const std::string& one, const std::string& many) {
  std::vector<std::int64_t> found;
  for (std::size_t i = 0; i < a.wrong.size(); ++i)
    if (a.wrong[i] > 0) found.push_back(static_cast<std::int64_t>(i));
  const auto extent = static_cast<std::int64_t>(a.wrong.size()),
             count = static_cast<std::int64_t>(found.size());
  if (count == extent || count == 0) return {};
  const bool run = found.back() - found.front() == count - 1;
  const bool border = a.role == Role::space && !a.first.empty() && a.first != "first";
  if (border && count == 1 && found[0] == 0) return fmt::format("the {} border {}", a.first, one);
  if (border && count == 1 && found[0] == extent - 1) return fmt::format("the {} border {}", a.last, one);
  if (border && count == 2 && extent > 2 && found[0] == 0 && found[1] == extent - 1)
    return fmt::format("the {} and {} border {}", a.first, a.last, many);
  if (run && found[0] == 0)
    return count == 1 ? "the first " + one : fmt::format("the first {} {}", count, many);
  if (run && found.back() == extent - 1)
    return count == 1 ? fmt::format("the last {} ({})", one, found[0])
                      : fmt::format("the last {} {} ({} to {})", count, many, found[0], found.back());
  if (count == 1) return fmt::format("{} {}", one, found[0]);
  if (run) return fmt::format("{} {} to {}", many, found[0], found.back());
  const std::int64_t step = found[1] - found[0];
  bool regular = true;
  for (std::size_t i = 1; i < found.size(); ++i) regular = regular && found[i] - found[i - 1] == step;
  if (regular && count > 2)
    return fmt::format("every {}th {} from {} to {}", step, one, found[0], found.back());
  if (count <= 4) return fmt::format("{} {}", many, fmt::join(found, ", "));
  return {};
}

class Counter {
 public:
  Counter(const Problem& p, const Shape& shape, const std::vector<double>& share)
      : p_(p), shape_(shape), share_(share), axes_(axes_of(p, shape)) {
    groups_ = p.op == Op::conv ? p.conv.groups : p.op == Op::conv_transpose ? p.transpose.groups : 1;
    for (const Axis& a : axes_)
      if (a.role == Role::space) phases_ *= a.stride;
    phase_wrong_.resize(static_cast<std::size_t>(phases_));
    phase_total_ = phase_wrong_;
    count();
  }

  Where result() {
    Where w;
    if (wrong_ > 0) w.words = words();
    features(w.features);
    draw(w);
    return w;
  }

 private:
  void count() {
    std::vector<std::int64_t> place(axes_.size());
    for (std::size_t i = 0; i < share_.size(); ++i) {
      auto rest = static_cast<std::int64_t>(i);
      for (std::size_t a = axes_.size(); a-- > 0;) {
        const std::int64_t extent = shape_[static_cast<int>(a)];
        place[a] = rest % extent;
        rest /= extent;
      }
      std::int64_t phase = 0;
      for (std::size_t a = 0; a < axes_.size(); ++a)
        if (axes_[a].role == Role::space) phase = phase * axes_[a].stride + phase_of(axes_[a], place[a]);
      ++phase_total_[static_cast<std::size_t>(phase)];
      if (share_[i] <= 1) continue;
      ++wrong_;
      ++phase_wrong_[static_cast<std::size_t>(phase)];
      for (std::size_t a = 0; a < axes_.size(); ++a) ++axes_[a].wrong[static_cast<std::size_t>(place[a])];
      bool edge = false;
      for (std::size_t a = 0; a < axes_.size(); ++a)
        edge = edge || (axes_[a].role == Role::space && shape_[static_cast<int>(a)] > 2 &&
                        (place[a] == 0 || place[a] == shape_[static_cast<int>(a)] - 1));
      if (!edge) ++inside_;
    }
  }

  std::string phase_name(std::int64_t phase) const {
    std::vector<std::int64_t> at;
    for (std::size_t a = axes_.size(); a-- > 0;) {
      if (axes_[a].role != Role::space) continue;
      at.insert(at.begin(), phase % axes_[a].stride);
      phase /= axes_[a].stride;
    }
    return fmt::format("({})", fmt::join(at, ","));
  }

  /// Whether half of a phase's lines at least are wrong where one is: else the lines say more.
  bool whole_phases() const {
    for (const Axis& a : axes_) {
      if (a.role != Role::space || a.stride == 1) continue;
      std::vector<std::int64_t> with(static_cast<std::size_t>(a.stride)), all = with;
      for (std::size_t i = 0; i < a.wrong.size(); ++i) {
        const std::int64_t phase = phase_of(a, static_cast<std::int64_t>(i));
        with[static_cast<std::size_t>(phase)] += a.wrong[i] > 0;
        ++all[static_cast<std::size_t>(phase)];
      }
      for (std::size_t i = 0; i < with.size(); ++i)
        if (with[i] > 0 && with[i] < all[i] - with[i]) return false;
    }
    return true;
  }
  std::string words() {
    std::vector<std::string> parts;
    // Phases first: rows that only repeat what they say are left out.
    std::vector<std::string> phases;
    for (std::size_t i = 0; i < phase_wrong_.size(); ++i)
      if (phase_wrong_[i] > 0) phases.push_back(phase_name(static_cast<std::int64_t>(i)));
    const bool by_phase = phases_ > 1 && phases.size() <= phase_wrong_.size() / 2 && whole_phases();
    if (by_phase) {
      std::vector<std::int64_t> strides;
      for (const Axis& a : axes_)
        if (a.role == Role::space) strides.push_back(a.stride);
      const bool same = std::count(strides.begin(), strides.end(), strides[0]) ==
                        static_cast<std::ptrdiff_t>(strides.size());
      parts.push_back(
          fmt::format("phase{} {} of stride {}", phases.size() == 1 ? "" : "s", fmt::join(phases, ", "),
                      same ? fmt::format("{}", strides[0]) : fmt::format("{}", fmt::join(strides, "x"))));
    }
    bool lines = false;
    for (const Axis& a : axes_) {
      if (a.role != Role::space && a.role != Role::tap) continue;
      if (by_phase && a.stride > 1) continue;
      const std::string one = a.role == Role::tap ? "tap " + a.line : a.line;
      if (std::string text = indices_text(a, one, one + "s"); !text.empty()) {
        parts.push_back(std::move(text));
        lines = true;
      }
    }
    if (!lines && !by_phase && inside_ == 0 && has_inside()) parts.emplace_back("the border, one pixel wide");
    for (const Axis& a : axes_)
      if (a.role == Role::channel)
        if (std::string text = channels_text(a); !text.empty()) parts.push_back(std::move(text));
    for (const Axis& a : axes_)
      if (a.role == Role::sample)
        if (std::string text = indices_text(a, "sample", "samples"); !text.empty())
          parts.push_back(std::move(text));
    const double percent = 100 * static_cast<double>(wrong_) / static_cast<double>(share_.size());
    if (parts.empty())
      return fmt::format("the {} wrong elements ({:.3g} % of all) are spread over the whole tensor", wrong_,
                         percent);
    return fmt::format("all {} wrong elements ({:.3g} % of all) lie in {}", wrong_, percent,
                       fmt::join(parts, ", "));
  }
  bool has_inside() const {
    bool any = false;
    for (const Axis& a : axes_) any = any || (a.role == Role::space && a.wrong.size() > 2);
    return any;
  }

  std::int64_t channel_groups(const Axis& a) const {
    // Filters are [.., c / groups, k] (of a transposed one k / groups, c): only the last axis has groups.
    if (p_.result == Result::dw && &a != &axes_.back()) return 1;
    return static_cast<std::int64_t>(a.wrong.size()) % groups_ == 0 ? groups_ : 1;
  }
  std::string channels_text(const Axis& a) const {
    const std::int64_t groups = channel_groups(a);
    const std::string suffix = p_.result == Result::dw ? fmt::format(" of {}", a.name) : "";
    if (groups > 1) {
      const auto each = static_cast<std::int64_t>(a.wrong.size()) / groups;
      std::vector<std::int64_t> with, full;
      for (std::int64_t g = 0; g < groups; ++g) {
        std::int64_t some = 0;
        for (std::int64_t c = g * each; c < (g + 1) * each; ++c)
          some += a.wrong[static_cast<std::size_t>(c)] > 0;
        if (some > 0) with.push_back(g);
        if (some == each) full.push_back(g);
      }
      if (with == full && static_cast<std::int64_t>(with.size()) < groups)
        return fmt::format("group{} {} of {}", with.size() == 1 ? "" : "s", fmt::join(with, ", "), groups);
    }
    return indices_text(a, "channel" + suffix, "channels" + suffix);
  }

  static void add(Feature& f, std::string name, std::int64_t wrong, std::int64_t total) {
    if (total > 0) f.buckets.push_back({std::move(name), wrong, total});
  }
  void features(std::vector<Feature>& out) const {
    constexpr std::size_t kMost = 8;
    for (const Axis& a : axes_) {
      const std::size_t extent = a.wrong.size();
      if (extent == 0) continue;
      if (a.role == Role::space && a.first != "first") {
        for (const bool first : {true, false}) {
          Feature f{fmt::format("{}s from the {}", a.line, first ? a.first : a.last), {}};
          const std::size_t shown = std::min<std::size_t>(extent, 4);
          std::int64_t rest = 0;
          for (std::size_t i = 0; i < extent; ++i) {
            const std::int64_t wrong = a.wrong[first ? i : extent - 1 - i];
            if (i < shown)
              add(f, fmt::format("{}", i), wrong, a.total);
            else
              rest += wrong;
          }
          add(f, fmt::format("{} and more", shown), rest,
              a.total * static_cast<std::int64_t>(extent - shown));
          out.push_back(std::move(f));
        }
        continue;
      }
      if (a.role == Role::channel) {
        channel_features(a, out);
        continue;
      }
      Feature f{a.role == Role::sample ? "sample" : fmt::format("tap {} {}", a.line, a.name), {}};
      std::int64_t rest = 0;
      for (std::size_t i = 0; i < extent; ++i) {
        if (i < kMost)
          add(f, fmt::format("{}", i), a.wrong[i], a.total);
        else
          rest += a.wrong[i];
      }
      if (extent > kMost)
        add(f, fmt::format("{} and more", kMost), rest, a.total * static_cast<std::int64_t>(extent - kMost));
      out.push_back(std::move(f));
    }
    if (phases_ > 1) {
      Feature f{"phase of the stride", {}};
      for (std::size_t i = 0; i < phase_wrong_.size(); ++i)
        add(f, phase_name(static_cast<std::int64_t>(i)), phase_wrong_[i], phase_total_[i]);
      out.push_back(std::move(f));
    }
  }
  void channel_features(const Axis& a, std::vector<Feature>& out) const {
    const auto extent = static_cast<std::int64_t>(a.wrong.size());
    for (const std::int64_t tile : {8, 32}) {
      if (extent <= tile) continue;
      Feature f{fmt::format("channel {} in tiles of {}", a.name, tile), {}};
      const std::int64_t whole = extent - extent % tile;
      std::int64_t in_tiles = 0, in_tail = 0;
      for (std::int64_t c = 0; c < extent; ++c)
        (c < whole ? in_tiles : in_tail) += a.wrong[static_cast<std::size_t>(c)];
      if (tile == 8)
        for (std::int64_t place = 0; place < tile; ++place) {
          std::int64_t wrong = 0;
          for (std::int64_t c = place; c < whole; c += tile) wrong += a.wrong[static_cast<std::size_t>(c)];
          add(f, fmt::format("place {}", place), wrong, whole / tile * a.total);
        }
      else
        add(f, "whole tiles", in_tiles, whole * a.total);
      add(f, fmt::format("tail of {}", extent - whole), in_tail, (extent - whole) * a.total);
      out.push_back(std::move(f));
    }
    if (extent <= 8) {
      Feature f{fmt::format("channel {}", a.name), {}};
      for (std::int64_t c = 0; c < extent; ++c)
        add(f, fmt::format("{}", c), a.wrong[static_cast<std::size_t>(c)], a.total);
      out.push_back(std::move(f));
    }
    const std::int64_t groups = channel_groups(a);
    if (groups == 1 || groups > 16) return;
    Feature f{"group", {}};
    for (std::int64_t g = 0; g < groups; ++g) {
      std::int64_t wrong = 0;
      for (std::int64_t c = g * (extent / groups); c < (g + 1) * (extent / groups); ++c)
        wrong += a.wrong[static_cast<std::size_t>(c)];
      add(f, fmt::format("{}", g), wrong, extent / groups * a.total);
    }
    out.push_back(std::move(f));
  }

  /// The largest share at each place of two axes: the last two in space or of the filter, else samples and
  /// channels.
  void draw(Where& w) const {
    std::vector<std::size_t> chosen;
    for (std::size_t a = axes_.size(); a-- > 0 && chosen.size() < 2;)
      if (axes_[a].role == Role::space || axes_[a].role == Role::tap) chosen.insert(chosen.begin(), a);
    if (chosen.size() < 2) chosen = {0, axes_.size() - 1};
    const std::int64_t rows = chosen[0] == chosen[1] ? 1 : shape_[static_cast<int>(chosen[0])];
    const std::int64_t columns = shape_[static_cast<int>(chosen[1])];
    w.map_axes =
        chosen[0] == chosen[1] ? axes_[chosen[1]].name : axes_[chosen[0]].name + ", " + axes_[chosen[1]].name;
    std::vector<float> map(static_cast<std::size_t>(rows * columns));
    for (std::size_t i = 0; i < share_.size(); ++i) {
      auto rest = static_cast<std::int64_t>(i);
      std::int64_t row = 0, column = 0;
      for (std::size_t a = axes_.size(); a-- > 0;) {
        const std::int64_t extent = shape_[static_cast<int>(a)];
        if (a == chosen[1])
          column = rest % extent;
        else if (a == chosen[0])
          row = rest % extent;
        rest /= extent;
      }
      float& cell = map[static_cast<std::size_t>(row * columns + column)];
      cell = std::max(cell, static_cast<float>(share_[i]));
    }
    w.map = from_vector(map, {rows, columns});
  }

  const Problem& p_;
  const Shape& shape_;
  const std::vector<double>& share_;
  std::vector<Axis> axes_;
  std::int64_t groups_ = 1, phases_ = 1, wrong_ = 0, inside_ = 0;
  std::vector<std::int64_t> phase_wrong_, phase_total_;
};

}  // namespace

Where where_of(const Problem& p, const Shape& shape, const std::vector<double>& share) {
  if (share.empty()) return {};
  return Counter(p, shape, share).result();
}

}  // namespace isobit::compare
