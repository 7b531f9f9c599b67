// Ops against PyTorch: values, gradients and second derivatives that nobody here wrote, in f64 and f32.
// The data and their format: scripts/make_conformance_data.py.
#include <gtest/gtest.h>
#include <isobit/autograd.h>
#include <isobit/ops.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "tests/support/paths.h"

namespace isobit::test {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

struct Case {
  std::string line, op;
  std::map<std::string, std::string> options;
  std::vector<Tensor> tensors;  ///< f64; undefined where PyTorch has none
  std::size_t inputs = 0;

  double number(const char* key) const { return std::stod(options.at(key)); }
  std::vector<std::int64_t> list(const std::string& key, char separator = ',') const {
    std::vector<std::int64_t> values;
    for (const std::string& part : split(options.at(key), separator)) values.push_back(std::stoll(part));
    return values;
  }
  PerAxis per_axis(const char* key) const {
    const auto v = list(key);
    return v.size() == 1 ? PerAxis(v[0]) : v.size() == 2 ? PerAxis(v[0], v[1]) : PerAxis(v[0], v[1], v[2]);
  }
  Padding padding() const {
    std::vector<std::pair<std::int64_t, std::int64_t>> sides;
    for (const std::string& part : split(options.at("pad"), ',')) {
      const auto both = split(part, ':');
      sides.emplace_back(std::stoll(both.at(0)), std::stoll(both.at(1)));
    }
    return Padding(sides);
  }
};

Shape shape_of(const std::string& text) {
  if (text == "1s") return {};
  std::vector<std::int64_t> extents;
  for (const std::string& part : split(text, 'x')) extents.push_back(std::stoll(part));
  return Shape(std::span<const std::int64_t>(extents));
}

std::vector<Case> load() {
  const std::string folder = tests_directory() + "/conformance/data/";
  std::ifstream text(folder + "torch.txt"), data(folder + "torch.bin", std::ios::binary);
  EXPECT_TRUE(text && data) << "no data in " << folder;
  std::vector<Case> cases;
  for (std::string line; std::getline(text, line);) {
    if (line.empty() || line[0] == '#') continue;
    Case c;
    c.line = line;
    const auto words = split(line, ' ');
    c.op = words[0];
    for (std::size_t i = 1; i < words.size(); ++i) {
      const auto at = words[i].find('=');
      c.options[words[i].substr(0, at)] = words[i].substr(at + 1);
    }
    c.inputs = static_cast<std::size_t>(c.number("inputs"));
    for (const std::string& entry : split(c.options.at("shapes"), ',')) {
      if (entry == "-") {
        c.tensors.emplace_back();
        continue;
      }
      const Shape shape = shape_of(entry);
      std::vector<double> values(static_cast<std::size_t>(shape.numel()));
      data.read(reinterpret_cast<char*>(values.data()),
                static_cast<std::streamsize>(values.size() * sizeof(double)));
      EXPECT_TRUE(data) << "torch.bin is short at " << line;
      c.tensors.push_back(from_vector(values, shape));
    }
    EXPECT_EQ(c.tensors.size(), 2 + 3 * c.inputs) << line;
    cases.push_back(std::move(c));
  }
  return cases;
}

using Inputs = std::vector<Tensor>;
using Function = std::function<Tensor(const Case&, const Inputs&)>;

Tensor conv_of(const Case& c, const Inputs& in) {
  ConvOptions o;
  o.stride = c.per_axis("stride");
  o.dilation = c.per_axis("dilation");
  o.padding = c.padding();
  o.groups = c.list("groups")[0];
  return conv(in[0], in[1], in[2], o);
}

PoolOptions pool_of(const Case& c) {
  PoolOptions o;
  o.stride = c.per_axis("stride");
  o.padding = c.padding();
  o.ceil_mode = c.number("ceil") != 0;
  return o;
}

Tensor max_pool_of(const Case& c, const Inputs& in) {
  PoolOptions o = pool_of(c);
  o.dilation = c.per_axis("dilation");
  return max_pool(in[0], c.per_axis("window"), o);
}

Tensor avg_pool_of(const Case& c, const Inputs& in) {
  PoolOptions o = pool_of(c);
  o.count_include_pad = c.number("include") != 0;
  return avg_pool(in[0], c.per_axis("window"), o);
}

Tensor max_unpool_of(const Case& c, const Inputs& in) {
  const Tensor index = from_vector(c.list("index", '/'), in[0].shape());
  return max_unpool(in[0], index, shape_of(c.options.at("to")));
}

Tensor cross_entropy_of(const Case& c, const Inputs& in) {
  const Tensor labels = from_vector(c.list("labels"), shape_of(c.options.at("rows")));
  return cross_entropy(in[0], labels, {.label_smoothing = c.number("smoothing")});
}

Tensor resize_of(const Case& c, const Inputs& in) {
  const std::string& mode = c.options.at("mode");
  ResizeOptions o;
  if (mode == "align_corners") o.coordinates = Coordinates::align_corners;
  if (mode == "antialias") o.antialias = o.exclude_outside = true;
  if (mode == "nearest") {
    o.mode = Interpolation::nearest;
    o.coordinates = Coordinates::asymmetric;
    o.rounding = Rounding::floor;
  } else if (mode == "nearest-exact") {
    o.mode = Interpolation::nearest;
    o.rounding = Rounding::round_prefer_ceil;
  }
  return resize(in[0], c.per_axis("size"), o);
}

Tensor upsample_of(const Case& c, const Inputs& in) {
  const std::string& mode = c.options.at("mode");
  return upsample(in[0], c.per_axis("factor"),
                  mode == "nearest" ? Interpolation::nearest : Interpolation::linear, mode == "corners");
}

WindowOptions window_of(const Case& c) {
  WindowOptions o;
  o.stride = c.per_axis("stride");
  o.dilation = c.per_axis("dilation");
  o.padding = c.padding();
  return o;
}

/// An op of one or two operands without options.
Function plain(Tensor (*f)(const Tensor&)) {
  return [f](const Case&, const Inputs& in) { return f(in[0]); };
}
Function plain(Tensor (*f)(const Tensor&, const Tensor&)) {
  return [f](const Case&, const Inputs& in) { return f(in[0], in[1]); };
}

const std::map<std::string, Function>& functions() {
  static const std::map<std::string, Function> table{
      {"conv", conv_of},
      {"max_pool", max_pool_of},
      {"avg_pool", avg_pool_of},
      {"adaptive_avg_pool",
       [](const Case& c, const Inputs& in) { return adaptive_avg_pool(in[0], c.per_axis("output")); }},
      {"adaptive_max_pool",
       [](const Case& c, const Inputs& in) { return adaptive_max_pool(in[0], c.per_axis("output")); }},
      {"max_unpool", max_unpool_of},
      {"lp_pool",
       [](const Case& c, const Inputs& in) {
         PoolOptions o;
         o.stride = c.per_axis("stride");
         return lp_pool(in[0], c.per_axis("window"), c.number("p"), o);
       }},
      {"sum_pool",
       [](const Case& c, const Inputs& in) { return sum_pool(in[0], c.per_axis("window"), pool_of(c)); }},
      {"resize", resize_of},
      {"upsample", upsample_of},
      {"unfold",
       [](const Case& c, const Inputs& in) { return unfold(in[0], c.per_axis("window"), window_of(c)); }},
      {"fold",
       [](const Case& c, const Inputs& in) {
         return fold(in[0], shape_of(c.options.at("onto")), c.per_axis("window"), window_of(c));
       }},
      {"pixel_shuffle",
       [](const Case& c, const Inputs& in) {
         return depth_to_space(in[0], c.per_axis("block"), ChannelOrder::crd);
       }},
      {"pixel_unshuffle",
       [](const Case& c, const Inputs& in) {
         return space_to_depth(in[0], c.per_axis("block"), ChannelOrder::crd);
       }},
      {"instance_norm",
       [](const Case& c, const Inputs& in) {
         return instance_norm(in[0], in[1], in[2], {.eps = c.number("eps")});
       }},
      {"relu", plain(relu)},
      {"elu", [](const Case&, const Inputs& in) { return elu(in[0]); }},
      {"leaky_relu", [](const Case&, const Inputs& in) { return leaky_relu(in[0]); }},
      {"gelu", plain(gelu)},
      {"silu", plain(silu)},
      {"sigmoid", plain(sigmoid)},
      {"tanh", plain(tanh)},
      {"softplus", plain(softplus)},
      {"exp", plain(exp)},
      {"expm1", plain(expm1)},
      {"sin", plain(sin)},
      {"cos", plain(cos)},
      {"erf", plain(erf)},
      {"log", plain(log)},
      {"log1p", plain(log1p)},
      {"sqrt", plain(sqrt)},
      {"reciprocal", plain(reciprocal)},
      {"abs", plain(abs)},
      {"square", plain(square)},
      {"softmax", plain(softmax)},
      {"log_softmax", plain(log_softmax)},
      {"cross_entropy", cross_entropy_of},
      {"cross_entropy_probabilities",
       [](const Case& c, const Inputs& in) {
         return cross_entropy(in[0], in[1], {.label_smoothing = c.number("smoothing")});
       }},
      {"mse", plain(mse)},
      {"batch_norm",
       [](const Case& c, const Inputs& in) {
         return batch_norm(in[0], in[1], in[2], {.eps = c.number("eps")}).y;
       }},
      {"layer_norm",
       [](const Case& c, const Inputs& in) {
         return layer_norm(in[0], in[1], in[2], {.eps = c.number("eps")});
       }},
      {"group_norm",
       [](const Case& c, const Inputs& in) {
         return group_norm(in[0], c.list("groups")[0], in[1], in[2], {.eps = c.number("eps")});
       }},
      {"local_response_norm",
       [](const Case& c, const Inputs& in) {
         return local_response_norm(
             in[0], c.list("size")[0],
             {.alpha = c.number("alpha"), .beta = c.number("beta"), .bias = c.number("bias")});
       }},
      {"matmul", [](const Case&, const Inputs& in) { return matmul(in[0], in[1]); }},
      {"linear", [](const Case&, const Inputs& in) { return linear(in[0], in[1], in[2]); }},
      {"mul", plain(mul)},
      {"div", plain(div)},
      {"sum",
       [](const Case&, const Inputs& in) {
         return square(sum(in[0], {0, 2}));
       }},
      {"max",
       [](const Case&, const Inputs& in) {
         return square(max(in[0], {1, 2}));
       }},
  };
  return table;
}

/// Elements against PyTorch's. Both round some dozens of operations: `tolerance` of the tensor's largest
/// element (at least 1).
void expect_close(const Case& c, const std::string& what, const Tensor& got, const Tensor& expected,
                  double tolerance) {
  const auto e = expected.to_vector<double>();
  const auto g =
      got.defined() ? got.detach().to(DType::f64).to_vector<double>() : std::vector<double>(e.size());
  ASSERT_EQ(g.size(), e.size()) << what << " of " << c.line;
  if (got.defined()) {
    EXPECT_EQ(got.shape(), expected.shape()) << what << " of " << c.line;
  }
  double scale = 1;
  for (double v : e) scale = std::max(scale, std::abs(v));
  for (std::size_t i = 0; i < e.size(); ++i)
    if (!(std::abs(g[i] - e[i]) <= tolerance * scale)) {
      ADD_FAILURE() << what << " of " << c.line.substr(0, 120) << ": element " << i << " is " << g[i]
                    << ", PyTorch has " << e[i];
      return;
    }
}

void check(const Case& c, DType dtype, double tolerance) {
  const auto f = functions().find(c.op);
  ASSERT_NE(f, functions().end()) << c.op;
  Inputs in;
  for (std::size_t i = 0; i < c.inputs; ++i) {
    Tensor leaf = c.tensors[i].to(dtype).detach().clone();
    in.push_back(leaf.set_requires_grad());
  }
  const Tensor y = f->second(c, in);
  expect_close(c, "y", y, c.tensors[c.inputs], tolerance);
  const bool second = c.number("second") != 0;
  GradOptions options;
  options.create_graph = second;
  const auto first = grad(y, in, c.tensors[c.inputs + 1].to(dtype), options);
  for (std::size_t i = 0; i < c.inputs; ++i)
    expect_close(c, fmt::format("gradient {}", i), first[i], c.tensors[c.inputs + 2 + i], tolerance);
  if (!second) return;
  Tensor total;
  for (const Tensor& d : first) total = total.defined() ? add(total, sum(square(d))) : sum(square(d));
  std::vector<Tensor> after(c.inputs);
  GradOptions unused;
  unused.allow_unused = true;
  if (total.requires_grad()) after = grad(total, in, {}, unused);
  for (std::size_t i = 0; i < c.inputs; ++i) {
    const Tensor& expected = c.tensors[2 * c.inputs + 2 + i];
    // PyTorch's "-" is our undefined or zero.
    expect_close(c, fmt::format("second derivative {}", i), after[i],
                 expected.defined() ? expected : zeros_like(c.tensors[i]), 10 * tolerance);
  }
}

TEST(Torch, EveryCaseInF64AndF32) {
  const auto cases = load();
  EXPECT_GE(cases.size(), 60u);
  std::map<std::string, int> seen;
  for (const Case& c : cases) {
    check(c, DType::f64, 1e-12);
    check(c, DType::f32, 2e-5);
    ++seen[c.op];
  }
  for (const auto& [name, f] : functions()) EXPECT_GT(seen[name], 0) << name << " has no case";
}

}  // namespace
}  // namespace isobit::test
