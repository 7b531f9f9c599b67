// oneDNN's convolutions, on users' tensors in both layouts: each with the primitive that takes them as they
// lie, and with the one that chooses its own forms, to and from which every call then copies. The weights are
// always given in the user's layout and copied into the form that the primitive likes.
#include "benchmarks/peers/onednn.h"

namespace peers::onednn {
namespace {

using Desc = dnnl::memory::desc;
constexpr auto kDirect = dnnl::algorithm::convolution_direct;

struct Problem {
  Dims x, w, y, stride, dilation, before, after;
  dnnl::memory::data_type type;
  bool groups = false;
};

Problem read_problem(const nlohmann::json& q) {
  const std::string mode = q.at("pad_mode");
  if (!mode.empty()) throw Refused{"oneDNN pads with zeros, not " + mode};
  const auto dims = [&](const char* key) { return q.at(key).get<Dims>(); };
  Problem p;
  p.type = type_of(q.at("inputs").at(0).at("dtype"));
  const auto channels_first = [](const Dims& last) {
    Dims d{last.front(), last.back()};
    d.insert(d.end(), last.begin() + 1, last.end() - 1);
    return d;
  };
  p.x = channels_first(dims("x"));
  p.y = channels_first(dims("y"));
  const Dims w = dims("w");
  const dnnl::memory::dim groups = q.at("groups"), channels = w[w.size() - 2], filters = w.back();
  p.groups = groups > 1;
  if (p.groups) p.w.push_back(groups);
  p.w.push_back(filters / groups);
  p.w.push_back(channels);
  p.w.insert(p.w.end(), w.begin(), w.end() - 2);
  p.stride = dims("stride");
  p.dilation = dims("dilation");
  for (auto& d : p.dilation) --d;  // 0 is dense
  p.before = dims("pad_before");
  p.after = dims("pad_after");
  for (const Dims* pads : {&p.before, &p.after})
    for (const auto pad : *pads)
      if (pad < 0) throw Refused{"oneDNN does not crop"};
  return p;
}

#if DNNL_VERSION_MAJOR >= 3
auto forward(const Problem& p, const Desc& x, const Desc& w, const Desc& y) {
  return dnnl::convolution_forward::primitive_desc(engine(), dnnl::prop_kind::forward_inference, kDirect, x,
                                                   w, y, p.stride, p.dilation, p.before, p.after);
}
auto backward_data(const Problem& p, const Desc& x, const Desc& w, const Desc& y) {
  return dnnl::convolution_backward_data::primitive_desc(engine(), kDirect, x, w, y, p.stride, p.dilation,
                                                         p.before, p.after, forward(p, x, w, y));
}
auto backward_weights(const Problem& p, const Desc& x, const Desc& w, const Desc& y) {
  return dnnl::convolution_backward_weights::primitive_desc(engine(), kDirect, x, w, y, p.stride, p.dilation,
                                                            p.before, p.after, forward(p, x, w, y));
}
#else
auto forward(const Problem& p, const Desc& x, const Desc& w, const Desc& y) {
  return dnnl::convolution_forward::primitive_desc(
      {dnnl::prop_kind::forward_inference, kDirect, x, w, y, p.stride, p.dilation, p.before, p.after},
      engine());
}
auto backward_data(const Problem& p, const Desc& x, const Desc& w, const Desc& y) {
  return dnnl::convolution_backward_data::primitive_desc(
      {kDirect, x, w, y, p.stride, p.dilation, p.before, p.after}, engine(), forward(p, x, w, y));
}
auto backward_weights(const Problem& p, const Desc& x, const Desc& w, const Desc& y) {
  return dnnl::convolution_backward_weights::primitive_desc(
      {kDirect, x, w, y, p.stride, p.dilation, p.before, p.after}, engine(), forward(p, x, w, y));
}
#endif

// One variant; null where there is no primitive for it, or where "any" is what the user has.
std::unique_ptr<Variant> make_variant(const nlohmann::json& q, const Problem& p, Layout layout, bool any) {
  auto steps =
      std::make_unique<Steps>(std::string(layout == Layout::last ? "nhwc" : "nchw") + (any ? ", any" : ""));
  const Desc user_x = data_desc(p.x, p.type, layout), user_y = data_desc(p.y, p.type, layout),
             user_w = filter_desc(p.w, p.type, layout, p.groups);
  const Desc file_x = data_desc(p.x, p.type, Layout::last), file_y = data_desc(p.y, p.type, Layout::last),
             file_w = filter_desc(p.w, p.type, Layout::last, p.groups);
  const Desc x = any ? any_desc(p.x, p.type) : user_x, y = any ? any_desc(p.y, p.type) : user_y,
             w = any_desc(p.w, p.type);
  const nlohmann::json &first = q.at("inputs").at(0), &second = q.at("inputs").at(1);
  const std::string op = q.at("op");
  try {
    if (op == "conv_forward") {
      const auto pd = forward(p, x, w, y);
      if (any && pd.src_desc() == user_x && pd.dst_desc() == user_y) return nullptr;
      steps->set_implementation(pd.impl_info_str());
      const dnnl::memory source = steps->input(load(first, file_x, user_x), pd.src_desc(), false),
                         filter = steps->input(load(second, file_w, user_w), pd.weights_desc(), true);
      steps->compute(dnnl::convolution_forward(pd), {{DNNL_ARG_SRC, source}, {DNNL_ARG_WEIGHTS, filter}},
                     DNNL_ARG_DST, pd.dst_desc(), make(user_y), file_y);
    } else if (op == "conv_backward_input") {
      const auto pd = backward_data(p, x, w, y);
      if (any && pd.diff_src_desc() == user_x && pd.diff_dst_desc() == user_y) return nullptr;
      steps->set_implementation(pd.impl_info_str());
      const dnnl::memory gradient = steps->input(load(first, file_y, user_y), pd.diff_dst_desc(), false),
                         filter = steps->input(load(second, file_w, user_w), pd.weights_desc(), true);
      steps->compute(dnnl::convolution_backward_data(pd),
                     {{DNNL_ARG_DIFF_DST, gradient}, {DNNL_ARG_WEIGHTS, filter}}, DNNL_ARG_DIFF_SRC,
                     pd.diff_src_desc(), make(user_x), file_x);
    } else {
      const auto pd = backward_weights(p, x, w, y);
      if (any && pd.src_desc() == user_x && pd.diff_dst_desc() == user_y) return nullptr;
      steps->set_implementation(pd.impl_info_str());
      const dnnl::memory source = steps->input(load(first, file_x, user_x), pd.src_desc(), false),
                         gradient = steps->input(load(second, file_y, user_y), pd.diff_dst_desc(), false);
      steps->compute(dnnl::convolution_backward_weights(pd),
                     {{DNNL_ARG_SRC, source}, {DNNL_ARG_DIFF_DST, gradient}}, DNNL_ARG_DIFF_WEIGHTS,
                     pd.diff_weights_desc(), make(user_w), file_w);
    }
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_unimplemented) return nullptr;
    throw;
  }
  return steps;
}

}  // namespace

std::vector<std::unique_ptr<Variant>> open_convolution(const nlohmann::json& question) {
  const Problem problem = read_problem(question);
  std::vector<std::unique_ptr<Variant>> variants;
  for (const Layout layout : {Layout::last, Layout::first})
    for (const bool any : {false, true})
      if (auto variant = make_variant(question, problem, layout, any)) variants.push_back(std::move(variant));
  return variants;
}

}  // namespace peers::onednn
