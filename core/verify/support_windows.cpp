// The family's pools, and the ops that move or interpolate pixels.
#include "core/verify/support_entries.h"

namespace isobit::verify {
namespace {

using Inputs = std::vector<Tensor>;

/// 2, 3, 2 of one to three axes.
PerAxis windows(int axes) {
  return axes == 1 ? PerAxis(2) : axes == 2 ? PerAxis(2, 3) : PerAxis(2, 3, 2);
}

}  // namespace

void add_pooling(SupportEntries& all) {
  for (int axes = 1; axes <= 3; ++axes) {
    const std::string rank = kRanks[axes];
    const Shape x = support_image(axes, 2, 3);
    const PerAxis window = windows(axes);
    const auto add = [&](const std::string& op, const std::string& mode,
                         const std::function<Tensor(const Tensor&)>& run) {
      all.push_back({op + " " + rank, mode, {x}, [run](const Inputs& in) { return run(in[0]); }});
    };
    PoolOptions plain, overlapping, dilated, whole;
    overlapping.stride = PerAxis(1);
    overlapping.padding = 1;
    overlapping.ceil_mode = true;
    dilated.dilation = 2;
    dilated.stride = PerAxis(1);
    dilated.padding = 1;
    whole = overlapping;
    whole.stride = PerAxis(2);
    whole.count_include_pad = true;
    add("max_pool", "", [=](const Tensor& t) { return max_pool(t, window, plain); });
    add("max_pool", "padded, ceil_mode", [=](const Tensor& t) { return max_pool(t, window, overlapping); });
    add("max_pool", "dilated", [=](const Tensor& t) { return max_pool(t, window, dilated); });
    add("max_pool_with_indices, max_unpool", "", [=](const Tensor& t) {
      const MaxPoolResult top = max_pool_with_indices(t, window, overlapping);
      return max_unpool(top.y, top.index, t.shape());
    });
    add("avg_pool", "padded, ceil_mode", [=](const Tensor& t) { return avg_pool(t, window, overlapping); });
    add("avg_pool", "count_include_pad", [=](const Tensor& t) { return avg_pool(t, window, whole); });
    add("avg_pool", "dilated", [=](const Tensor& t) { return avg_pool(t, window, dilated); });
    add("sum_pool", "", [=](const Tensor& t) { return sum_pool(t, window, plain); });
    for (const double p : {1.0, 2.0, 3.0, 2.5})
      add("lp_pool", fmt::format("p = {}", p),
          [=](const Tensor& t) { return lp_pool(t, window, p, overlapping); });
    add("adaptive_avg_pool", "", [=](const Tensor& t) { return adaptive_avg_pool(t, 3); });
    add("adaptive_max_pool", "", [=](const Tensor& t) { return adaptive_max_pool(t, 3); });
    add("global_avg_pool", "", [](const Tensor& t) { return global_avg_pool(t); });
    add("global_max_pool", "", [](const Tensor& t) { return global_max_pool(t); });
    add("global_lp_pool", "p = 2", [](const Tensor& t) { return global_lp_pool(t); });
  }
}

void add_images(SupportEntries& all) {
  const std::pair<const char*, Coordinates> rules[] = {
      {"half_pixel", Coordinates::half_pixel},
      {"half_pixel_symmetric", Coordinates::half_pixel_symmetric},
      {"pytorch_half_pixel", Coordinates::pytorch_half_pixel},
      {"align_corners", Coordinates::align_corners},
      {"asymmetric", Coordinates::asymmetric}};
  for (int axes = 1; axes <= 3; ++axes) {
    const std::string rank = kRanks[axes];
    const Shape x = support_image(axes, 2, 3);
    const PerAxis window = windows(axes);
    const auto add = [&](const std::string& op, const std::string& mode, const Shape& shape,
                         const std::function<Tensor(const Tensor&)>& run) {
      all.push_back({op + " " + rank, mode, {shape}, [run](const Inputs& in) { return run(in[0]); }});
    };
    for (const PadMode mode : kAllModes) {
      WindowOptions o;
      o.padding = 2;
      o.stride = 2;
      o.mode = mode;
      o.pad_value = mode == PadMode::constant ? 0.5 : 0.0;
      add("unfold", name_of(mode), x, [=](const Tensor& t) { return unfold(t, window, o); });
      const Shape columns = unfold(zeros(x), window, o).shape();
      add("fold", name_of(mode), columns, [=](const Tensor& t) { return fold(t, x, window, o); });
    }
    for (const auto& [name, rule] : rules)
      for (const Interpolation way : {Interpolation::nearest, Interpolation::linear}) {
        ResizeOptions o;
        o.mode = way;
        o.coordinates = rule;
        const std::string op = way == Interpolation::nearest ? "resize, nearest" : "resize, linear";
        add(op, name, x, [=](const Tensor& t) { return resize(t, 7, o); });
      }
    ResizeOptions smooth;
    smooth.antialias = true;
    add("resize, linear", "antialias", x, [=](const Tensor& t) { return resize(t, 3, smooth); });
    add("upsample", "nearest", x, [](const Tensor& t) { return upsample(t, 2); });
    add("upsample", "linear", x, [](const Tensor& t) { return upsample(t, 3, Interpolation::linear); });
    add("upsample", "linear, align_corners", x,
        [](const Tensor& t) { return upsample(t, 2, Interpolation::linear, true); });
    for (const ChannelOrder order : {ChannelOrder::dcr, ChannelOrder::crd}) {
      const char* name = order == ChannelOrder::dcr ? "DCR" : "CRD";
      const Shape deep = support_image(axes, 2, 16);
      add("depth_to_space", name, deep, [=](const Tensor& t) { return depth_to_space(t, 2, order); });
      const Shape wide = depth_to_space(zeros(deep), 2, order).shape();
      add("space_to_depth", name, wide, [=](const Tensor& t) { return space_to_depth(t, 2, order); });
    }
    all.push_back({"instance_norm " + rank, "", {x, {3}, {3}}, [](const Inputs& in) {
                     return instance_norm(in[0], in[1], in[2]);
                   }});
    all.push_back({"local_response_norm " + rank, "", {x}, [](const Inputs& in) {
                     return local_response_norm(in[0], 3, {.alpha = 0.5});
                   }});
  }
}

}  // namespace isobit::verify
