// Problems as JSON, for other programs.
#include <isobit/error.h>

#include <nlohmann/json.hpp>

#include "core/compare/kernel.h"

namespace isobit::compare {
namespace {

using Json = nlohmann::ordered_json;

Json extents(const Shape& shape) {
  return Json(std::vector<std::int64_t>(shape.begin(), shape.end()));
}

void add_axes(Json& to, std::span<const AxisGeometry> axes) {
  Json stride = Json::array(), dilation = Json::array(), pads = Json::array(), mode = Json::array();
  for (const AxisGeometry& a : axes) {
    stride.push_back(a.stride);
    dilation.push_back(a.dilation);
    pads.push_back({a.pad_before, a.pad_after});
    mode.push_back(name_of(a.mode));
  }
  to["stride"] = stride;
  to["dilation"] = dilation;
  to["pads"] = pads;
  to["mode"] = mode;
}

}  // namespace

std::string to_json(const Problem& p) {
  Json j{{"op", name_of(p.op)}, {"result", name_of(p.result)}};
  const auto spatial = static_cast<std::size_t>(p.x.rank() - 2);
  if (p.op == Op::conv || p.op == Op::conv_transpose) {
    const bool transposed = p.op == Op::conv_transpose;
    const ConvGeometry g = geometry_of(p);
    add_axes(j, std::span(g.axis).last(spatial));
    j["groups"] = g.groups;
    j["pad_value"] = g.pad_value;
    j["flip"] = transposed ? p.transpose.flip : p.conv.flip;
    j["relu"] = (transposed ? p.transpose.activation : p.conv.activation) == Activate::relu;
    if (transposed) {
      Problem y = p;
      y.result = Result::y;
      j["y"] = extents(kernel_of(y).out);
    }
  } else if (p.op != Op::linear) {
    const PoolGeometry g = make_pool_geometry("compare", p.x.shape(), p.window, p.pool);
    add_axes(j, std::span(g.axis).last(spatial));
    Json window = Json::array();
    for (const AxisGeometry& a : std::span(g.axis).last(spatial)) window.push_back(a.filter);
    j["window"] = window;
    j["ceil_mode"] = p.pool.ceil_mode;
    j["count_include_pad"] = p.pool.count_include_pad;
  } else {
    j["relu"] = p.conv.activation == Activate::relu;
  }
  return j.dump();
}

}  // namespace isobit::compare
