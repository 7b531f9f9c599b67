// Networks layer by layer: every layer is computed by both sides from the same input, so that what one layer
// does wrong is not laid at the door of the next.
#include <isobit/autograd.h>
#include <isobit/compare_network.h>
#include <isobit/error.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "core/compare/kernel.h"
#include "core/compare/layer_problem.h"
#include "core/nn/evaluation_mode.h"

namespace isobit::compare {
namespace {

/// Runs the network, `leaf` computing what has no layers of its own (that are known to be run one after the
/// other).
using Leaf = std::function<Tensor(const std::string& path, const nn::Layer&, const Tensor&)>;
std::string joined(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}
/// `path` is where the layer stands; a layer that stands in two places has two.
Tensor walk(const nn::Layer& layer, const Tensor& x, const std::string& path, const Leaf& leaf) {
  const nn::Module& module = layer.module();
  const auto& children = module.children();
  const std::string kind = module.kind();
  const auto child_of = [&](const nn::Child& child, const Tensor& in) {
    return walk(child.layer, in, joined(path, child.name), leaf);
  };
  if (kind == "Sequential") {
    Tensor y = x;
    for (const nn::Child& child : children) y = child_of(child, y);
    return y;
  }
  if (kind == "Residual") {
    const Tensor body = child_of(children[0], x);
    return add(body, children.size() > 1 ? child_of(children[1], x) : x);
  }
  if (kind == "Concat") {
    std::vector<Tensor> parts;
    for (const nn::Child& child : children) parts.push_back(child_of(child, x));
    return concat(parts, -1);
  }
  return leaf(path, layer, x);
}

void collect(const nn::Layer& layer, const std::string& path, std::map<std::string, nn::Layer>& leaves) {
  const std::string kind = layer.module().kind();
  if (kind == "Sequential" || kind == "Residual" || kind == "Concat") {
    for (const nn::Child& child : layer.module().children())
      collect(child.layer, joined(path, child.name), leaves);
  } else {
    leaves.emplace(path, layer);
  }
}

/// Whether a result is the gradient of a parameter that wants none.
bool frozen(const nn::Layer& layer, const std::string& result) {
  for (const auto& [name, tensor] : layer.named_parameters())
    if (short_name(layer, name) == result) return !tensor.requires_grad();
  return false;
}

const Tensor* find(const nn::StateDict& all, const std::string& name) {
  for (const auto& [other, tensor] : all)
    if (other == name) return &tensor;
  return nullptr;
}

/// What a layer calls a result.
std::string_view layer_name(Result result) {
  return result == Result::dw ? "weight" : result == Result::db ? "bias" : name_of(result);
}

const Problem* problem_for(const std::vector<Problem>& problems, const std::string& tensor) {
  for (const Problem& p : problems)
    if (layer_name(p.result) == tensor) return &p;
  return nullptr;
}

class Comparer {
 public:
  Comparer(const nn::Layer& net, const Implementation& other, const NetworkOptions& options)
      : net_(net), other_(other), options_(options) {
    if (options.in_f64) collect(options.in_f64, "", wide_);
    for (const auto& [path, layer] : wide_) layer.eval();
  }

  NetworkComparison all(const Tensor& x) {
    const Tensor y = options_.chained ? chained(x) : apart(x);
    if (options_.output.defined()) end_to_end(y);
    return std::move(result_);
  }

 private:
  Tensor chained(const Tensor& x) {
    const NoGrad off;
    return walk(net_, x, "", [&](const std::string& path, const nn::Layer& layer, const Tensor& in) {
      const Tensor own = layer(in);
      const Tensor given = compare(path, layer, in, Tensor());
      return given.defined() ? given.to(Device::cpu()).to(own.dtype()) : own;
    });
  }

  Tensor apart(const Tensor& x) {
    struct Step {
      std::string path;
      nn::Layer layer;
      Tensor x, y, dy;
    };
    std::vector<Step> steps;
    const EnableGrad on;
    Tensor first = x.detach();
    if (is_floating(x.dtype())) first.set_requires_grad();
    const Tensor y =
        walk(net_, first, "", [&](const std::string& path, const nn::Layer& layer, const Tensor& in) {
          Tensor out = layer(in);
          steps.push_back({path, layer, in, out, Tensor()});
          return out;
        });
    if (options_.backward && y.requires_grad()) {
      std::vector<Tensor> outputs;  // of integers, or of frozen parameters alone, there is no gradient
      for (const Step& step : steps)
        if (step.y.requires_grad()) outputs.push_back(step.y);
      const Tensor seed = random_normal(y.shape(), options_.seed, 0, 1, {.dtype = y.dtype()});
      const std::vector<Tensor> gradients = grad(y, outputs, seed, {.allow_unused = true});
      std::size_t next = 0;
      for (Step& step : steps) {
        if (!step.y.requires_grad()) continue;
        if (const Tensor& dy = gradients[next++]; dy.defined()) step.dy = dy.detach();
      }
    }
    const NoGrad off;
    for (const Step& step : steps) compare(step.path, step.layer, step.x.detach(), step.dy);
    return y.detach();
  }

  /// Judges what the other gives for one layer, and returns its y.
  Tensor compare(const std::string& path, const nn::Layer& layer, const Tensor& x, const Tensor& dy) {
    LayerCall call{path, layer, x, dy, {}};
    if (is_floating(x.dtype())) call.problems = problems_of(layer, x, dy);
    if (options_.progress) options_.progress(call.path);
    const nn::StateDict given = other_(call);
    const std::string text = layer.module().describe();
    if (given.empty()) {
      result_.skipped.push_back(fmt::format("{} {}", call.path, text));
      return {};
    }
    const nn::StateDict own = computed(layer, x, dy);
    nn::StateDict wide;
    Tensor y;
    for (const auto& [name, tensor] : given) {
      const Tensor* exact = find(own, name);
      if (exact == nullptr && frozen(layer, name)) continue;
      if (exact == nullptr) fail("compare", "layer {} ({}) has no \"{}\" to compare", call.path, text, name);
      if (!(tensor.shape() == exact->shape()))
        fail("compare", "layer {} ({}): {} is {}, expected {}", call.path, text, name, tensor.shape(),
             exact->shape());
      if (name == "y") y = tensor;
      LayerResult r{call.path, text, name, {}, true, std::nullopt, std::nullopt};
      if (const Problem* p = problem_for(call.problems, name)) {
        r.judgement = judge(*p, tensor);
        r.problem = *p;
      } else {
        r.derived = false;
        if (wide.empty()) wide = in_f64(call);
        const Tensor* reference = find(wide, name);
        r.judgement = judge_by_yardstick(*exact, reference != nullptr ? *reference : Tensor(), tensor);
        r.layer_case = LayerCase{layer, x, dy, name};
      }
      result_.layers.push_back(std::move(r));
    }
    return y;
  }

  nn::StateDict in_f64(const LayerCall& call) const {
    const auto found = wide_.find(call.path);
    if (found == wide_.end()) return {};
    const auto wide = [](const Tensor& t) {
      return t.defined() && is_floating(t.dtype()) ? t.to(DType::f64) : t;
    };
    return computed(found->second, wide(call.x), wide(call.dy));
  }

  void end_to_end(const Tensor& y) {
    if (!(options_.output.shape() == y.shape()))
      fail("compare", "the other's output is {}, expected {}", options_.output.shape(), y.shape());
    result_.end_to_end_equal = y.dtype() == options_.output.dtype() && equal_bits(y, options_.output);
    const std::vector<double> expected = values_of(y), got = values_of(options_.output);
    double largest = 0, error = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      if (std::isfinite(expected[i])) largest = std::max(largest, std::abs(expected[i]));
      if (got[i] == expected[i] || (std::isnan(got[i]) && std::isnan(expected[i]))) continue;
      const double e = std::abs(got[i] - expected[i]);
      error = std::isfinite(e) ? std::max(error, e) : std::numeric_limits<double>::infinity();
    }
    result_.end_to_end = error == 0 ? 0 : error / largest;
  }

  const nn::Layer& net_;
  const Implementation& other_;
  const NetworkOptions& options_;
  std::map<std::string, nn::Layer> wide_;
  NetworkComparison result_;
};

}  // namespace

Implementation on_device(const nn::Layer& net, Operands operands) {
  std::map<std::string, nn::Layer> leaves;
  collect(net, "", leaves);
  net.eval();
  return [leaves, operands, device = net.state().device](const LayerCall& call) -> nn::StateDict {
    const auto found = leaves.find(call.path);
    if (found == leaves.end()) return {};
    if (call.problems.empty())
      return computed(found->second, call.x.to(device), call.dy.defined() ? call.dy.to(device) : Tensor());
    // A gradient through a relu would begin with what the device's own y says: gradients get the reference's.
    nn::StateDict all;
    for (const Problem& p : call.problems)
      if (p.result == Result::y && operands == Operands::f32)
        all = computed(found->second, call.x.to(device), Tensor());
      else
        all.emplace_back(layer_name(p.result), run(p, device, operands));
    return all;
  };
}

Implementation from_tensors(const nn::StateDict& tensors) {
  std::map<std::string, Tensor> by_name(tensors.begin(), tensors.end());
  return [by_name](const LayerCall& call) {
    nn::StateDict all;
    const auto add = [&](const std::string& key, const std::string& name) {
      const auto found = by_name.find(key);
      if (found != by_name.end() && find(all, name) == nullptr) all.emplace_back(name, found->second);
    };
    add(call.path, "y");
    add(call.path + ".y", "y");
    if (!call.dy.defined()) return all;
    add(call.path + ".dx", "dx");
    for (const auto& [name, tensor] : call.layer.named_parameters()) {
      const std::string own = short_name(call.layer, name);
      add(call.path + "." + own, own);
    }
    return all;
  };
}

Judgement judge_by_yardstick(const Tensor& exact, const Tensor& reference, const Tensor& got) {
  if (!(exact.shape() == got.shape()))
    fail("compare", "the result is {}, expected {}", got.shape(), exact.shape());
  Judgement j;
  j.numel = got.numel();
  if (got.dtype() == exact.dtype() && equal_bits(got, exact)) {
    j.verdict = Verdict::bit_equal;
    return j;
  }
  const std::vector<double> values = values_of(got), expected = values_of(exact);
  Reference r;
  r.value = reference.defined() ? values_of(reference) : expected;
  const Arithmetic arithmetic = arithmetic_of(exact.dtype(), got.dtype());
  double squares = 0;
  std::int64_t finite = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double e = expected[i] - r.value[i];
    if (!std::isfinite(e)) continue;
    squares += e * e;
    ++finite;
  }
  const double rms = finite > 0 ? std::sqrt(squares / static_cast<double>(finite)) : 0;
  // The yardstick in the place of the bound: 16 times the rms error of exact mode, and 8 round-offs of the
  // value.
  r.extra = 0;
  r.terms.assign(expected.size(), 1.0);
  for (const double v : r.value) r.magnitude.push_back(16 * rms / arithmetic.unit + 8 * std::abs(v));
  const Fit f = fit(r, arithmetic, values);
  fill_numbers(j, f, rms, values, expected);
  j.verdict = j.different == 0                     ? Verdict::bit_equal
              : f.within()                         ? Verdict::reordered
              : f.beyond == 0 && f.swallowed == 0  ? Verdict::overflow
              : f.beyond == 0 && f.overflowed == 0 ? Verdict::nan_swallowed
                                                   : Verdict::wrong;
  j.note = "judged by a yardstick: no bound is derived for this layer";
  Problem shape_of;
  shape_of.op = got.rank() > 2 ? Op::avg_pool : Op::linear;
  if (got.rank() < 2) shape_of.result = Result::db;
  if (got.rank() > 0 && got.rank() <= 5) j.where = where_of(shape_of, got.shape(), f.share);
  return j;
}

NetworkComparison compare_network(const nn::Layer& net, const Tensor& x, const Implementation& other,
                                  const NetworkOptions& options) {
  if (x.rank() < 1 || x.shape(0) < 1)
    fail("compare", "the input is {}, expected a batch of one or more samples", x.shape());
  const nn::EvaluationMode evaluation(net);
  return Comparer(net, other, options).all(x);
}

bool NetworkComparison::ok() const {
  return !layers.empty() && std::none_of(layers.begin(), layers.end(), [](const LayerResult& r) {
    return r.judgement.verdict == Verdict::wrong || r.judgement.verdict == Verdict::nan_swallowed;
  });
}

const LayerResult* NetworkComparison::first_difference() const {
  for (const LayerResult& r : layers)
    if (r.judgement.verdict != Verdict::bit_equal) return &r;
  return nullptr;
}

std::string NetworkComparison::wrong_layers() const {
  std::vector<std::string> paths, lines;
  for (const LayerResult& r : layers) {
    const Judgement& j = r.judgement;
    if (j.verdict != Verdict::wrong && j.verdict != Verdict::nan_swallowed) continue;
    if (paths.empty() || paths.back() != r.path) {
      paths.push_back(r.path);
      lines.push_back(fmt::format("{} ({}), {}", r.path, r.layer, r.tensor));
      if (!j.explanation.empty()) lines.back() += ": " + j.explanation;
    }
  }
  if (lines.size() < 2) return {};
  return fmt::format("{} layers are wrong, each given the right input:\n  {}\n", lines.size(),
                     fmt::join(lines, "\n  "));
}

std::string NetworkComparison::to_string() const {
  std::size_t widest = 5;
  for (const LayerResult& r : layers) widest = std::max(widest, r.path.size() + r.layer.size() + 1);
  std::string text = fmt::format("{:<{}}  {:<8} {:<16} {:>9} {:>9} {:>9}\n", "layer", widest, "tensor",
                                 "verdict", "max", "median", "ratio");
  for (const LayerResult& r : layers) {
    const Judgement& j = r.judgement;
    text += fmt::format("{:<{}}  {:<8} {:<16}", r.path + " " + r.layer, widest, r.tensor, name_of(j.verdict));
    if (j.verdict != Verdict::bit_equal)
      text += fmt::format(" {:>9.3g} {:>9.3g} {:>9.3g}", j.max_share, j.median_share, j.ratio);
    if (!j.explanation.empty()) text += "  " + j.explanation;
    text += r.derived || j.verdict == Verdict::bit_equal ? "\n" : "  (yardstick)\n";
  }
  if (!skipped.empty()) text += fmt::format("not compared: {}\n", fmt::join(skipped, "; "));
  for (const LayerResult& r : layers) {
    const Verdict v = r.judgement.verdict;
    if (v == Verdict::bit_equal || v == Verdict::reordered) continue;
    text += fmt::format("\n{} {}, {}: {}", r.path, r.layer, r.tensor, r.judgement.to_string());
  }
  if (const LayerResult* first = first_difference())
    text += fmt::format("\nthey part first at layer {} ({}), {}: {}\n", first->path, first->layer,
                        first->tensor, name_of(first->judgement.verdict));
  text += wrong_layers();
  if (end_to_end >= 0)
    text += end_to_end_equal
                ? "end to end: the same bits\n"
                : fmt::format("end to end: largest difference {:.3g} of the largest output\n", end_to_end);
  return text;
}

}  // namespace isobit::compare
