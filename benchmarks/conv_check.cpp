// What makes a time of a convolution count: drawn parts of the result are those of the definition, bit for
// bit.
#include <isobit/algorithms.h>
#include <isobit/autograd.h>
#include <isobit/ops.h>
#include <isobit/verify_fast.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>

#include "benchmarks/conv.h"

namespace isobit::bench {
namespace {

using Indices = std::vector<std::int64_t>;

// Operations that the plain loops do in half a second or less.
constexpr double kBudget = 1.5e8;

Indices all(std::int64_t count) {
  Indices indices(static_cast<std::size_t>(count));
  std::iota(indices.begin(), indices.end(), 0);
  return indices;
}

// `count` of [0, extent), the last among them, ascending.
Indices draw(std::int64_t extent, double count, const char* stream) {
  if (count >= static_cast<double>(extent)) return all(extent);
  const std::int64_t wanted = std::max<std::int64_t>(1, static_cast<std::int64_t>(count));
  Indices chosen{extent - 1};
  const auto drawn =
      random_uniform({4 * wanted + 8}, random_key(Seed{7}, stream, static_cast<std::uint64_t>(extent)))
          .to_vector<float>();
  for (const float u : drawn) {
    if (static_cast<std::int64_t>(chosen.size()) == wanted) break;
    const auto index = std::min(static_cast<std::int64_t>(u * static_cast<float>(extent)), extent - 1);
    if (std::find(chosen.begin(), chosen.end(), index) == chosen.end()) chosen.push_back(index);
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

// The elements of a tensor on the CPU whose index on `axis` is in the list.
Tensor take(const Tensor& t, int axis, const Indices& indices) {
  if (static_cast<std::int64_t>(indices.size()) == t.shape(axis)) return t;  // ascending: all
  std::vector<std::int64_t> extents(t.shape().extents().begin(), t.shape().extents().end());
  std::int64_t outer = 1;
  std::int64_t inner = size_of(t.dtype());
  for (int i = 0; i < axis; ++i) outer *= t.shape(i);
  for (int i = axis + 1; i < t.rank(); ++i) inner *= t.shape(i);
  extents[static_cast<std::size_t>(axis)] = static_cast<std::int64_t>(indices.size());
  Tensor out = empty(Shape(std::span<const std::int64_t>(extents)), {.dtype = t.dtype()});
  const auto* from = static_cast<const char*>(t.raw());
  auto* to = static_cast<char*>(out.mutable_raw());
  for (std::int64_t o = 0; o < outer; ++o)
    for (const std::int64_t index : indices) {
      std::memcpy(to, from + (o * t.shape(axis) + index) * inner, static_cast<std::size_t>(inner));
      to += inner;
    }
  return out;
}

// What is computed anew: samples, groups, and channels and filters within a group.
struct Part {
  Indices samples, groups, channels, filters;
};

// Indices on an axis that holds `each` members of every group.
Indices in_groups(const Indices& groups, const Indices& members, std::int64_t each) {
  Indices result;
  for (const std::int64_t g : groups)
    for (const std::int64_t m : members) result.push_back(g * each + m);
  return result;
}

Part choose(const ConvCase& shape, const std::string& kernel) {
  const Shape &x = shape.problem.x, &w = shape.problem.w;
  const std::int64_t samples = x[0], groups = shape.problem.options.groups, channels = w[w.rank() - 2],
                     filters = w[w.rank() - 1] / groups;
  // A budget is spent along one axis after the other.
  double left = kBudget / (shape.flops() / static_cast<double>(samples * groups * channels * filters));
  const auto spend = [&](std::int64_t extent, const char* stream) {
    Indices chosen = draw(extent, left, stream);
    left /= static_cast<double>(chosen.size());
    return chosen;
  };
  Part part;
  if (kernel == "conv_backward_filter") {
    left /= static_cast<double>(samples);  // every sample is a term
    part.samples = all(samples);
    part.filters = spend(filters, "filters");
    part.channels = spend(channels, "channels");
  } else if (kernel == "conv_forward") {
    left /= static_cast<double>(channels);
    part.channels = all(channels);
    part.filters = spend(filters, "filters");
  } else {
    left /= static_cast<double>(filters);
    part.filters = all(filters);
    part.channels = spend(channels, "channels");
  }
  part.groups = spend(groups, "groups");
  if (part.samples.empty()) part.samples = spend(samples, "samples");
  return part;
}

}  // namespace

Verdict check_conv(const ConvTensors& tensors, const std::string& kernel, const Tensor& result) {
  const NoGrad off;
  const ConvCase& shape = tensors.shape();
  const Part part = choose(shape, kernel);
  const std::int64_t groups = shape.problem.options.groups;
  const int last = shape.problem.x.rank() - 1, w_last = shape.problem.w.rank() - 1;
  const std::int64_t channels = shape.problem.w[w_last - 1], filters = shape.problem.w[w_last] / groups;
  const Indices of_x = in_groups(part.groups, part.channels, channels),
                of_y = in_groups(part.groups, part.filters, filters);
  const auto take_x = [&](const Tensor& t) {
    return take(take(t.to(Device::cpu()), 0, part.samples), last, of_x);
  };
  const auto take_y = [&](const Tensor& t) {
    return take(take(t.to(Device::cpu()), 0, part.samples), last, of_y);
  };
  const auto take_w = [&](const Tensor& t) {
    return take(take(t.to(Device::cpu()), w_last - 1, part.channels), w_last, of_y);
  };
  ConvOptions options = shape.problem.options;
  options.groups = static_cast<std::int64_t>(part.groups.size());
  const ForcedAlgorithm definition(Device::cpu(), kernel, "reference");
  const Math math = current_math();
  using Map = std::function<Tensor(const Tensor&)>;
  // Of fast mode the sums that its bound takes; the CPU computes them exactly.
  const auto judged = [&](const Tensor& part, const std::function<Tensor(const Map&)>& compute) -> Verdict {
    if (math == Math::exact)
      return {equal_bits(part, compute([](const Tensor& t) { return t; })), part.numel()};
    const double pad = options.pad_value;
    int call = 0;
    const double share =
        verify::share_of_bound(part, verify::fast_sums([&](const Map& map) {
                                 const double pads[] = {pad, pad * pad, std::abs(pad), pad != 0 ? 1.0 : 0.0};
                                 options.pad_value = pads[call++];
                                 return compute(map);
                               }),
                               math, result.device());
    return {share <= 1, part.numel(), share};
  };
  if (kernel == "conv_forward")
    return judged(take_y(result), [&](const Map& map) {
      return conv(map(take_x(tensors.x()->tensor())), map(take_w(tensors.w()->tensor())), {}, options);
    });
  if (kernel == "conv_backward_input") {
    const Tensor got = take_x(result);
    return judged(got, [&](const Map& map) {
      return conv_backward_input(map(take_y(tensors.dy()->tensor())), map(take_w(tensors.w()->tensor())),
                                 got.shape(), options);
    });
  }
  const Tensor got = take_w(result);
  return judged(got, [&](const Map& map) {
    return conv_backward_filter(map(take_x(tensors.x()->tensor())), map(take_y(tensors.dy()->tensor())),
                                got.shape(), options);
  });
}

}  // namespace isobit::bench
