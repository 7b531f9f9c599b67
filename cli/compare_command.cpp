// isobit compare: a network on two devices, or here and in another library: where and why they differ.
#include <fmt/format.h>
#include <isobit/autograd.h>
#include <isobit/compare_network.h>
#include <isobit/error.h>
#include <isobit/npz.h>
#include <isobit/saved_model.h>

#include <charconv>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/compare_input.h"
#include "cli/compare_peer.h"

namespace isobit::cli {
namespace {

using Json = nlohmann::ordered_json;

struct CompareArguments {
  std::string model, against, operands = "f32", input = "1", report, written_case;
  std::vector<std::string> devices;
  std::int64_t batch = 2;
  bool json = false, forward = false;
};

/// The same network again, elsewhere or of another type.
nn::Layer again(const nn::SavedModel& model, Device device, DType dtype) {
  const nn::Layer net = nn::from_description(nn::describe(model.net));
  net.build(model.input, device, {}, dtype);
  nn::StateDict state = model.net.state_dict();
  for (auto& [name, tensor] : state)
    tensor = tensor.detach().to(is_floating(tensor.dtype()) ? dtype : tensor.dtype());
  net.load_state_dict(state);
  return net.eval();
}

Json to_json(const compare::NetworkComparison& c) {
  Json layers = Json::array();
  for (const compare::LayerResult& r : c.layers) {
    const compare::Judgement& j = r.judgement;
    Json entry{{"layer", r.path}, {"kind", r.layer}, {"tensor", r.tensor}, {"verdict", name_of(j.verdict)}};
    if (j.verdict != compare::Verdict::bit_equal) {
      entry["explanation"] = j.explanation;
      entry["where"] = j.where.words;
      entry["different"] = j.different;
      entry["beyond"] = j.beyond;
      entry["numel"] = j.numel;
      entry["max_share"] = j.max_share;  // infinities become null
      entry["median_share"] = j.median_share;
      entry["ratio"] = j.ratio;
      entry["derived"] = r.derived;
    }
    layers.push_back(std::move(entry));
  }
  const compare::LayerResult* first = c.first_difference();
  Json all{{"model", c.model},
           {"reference", c.reference},
           {"other", c.other},
           {"operands", c.operands},
           {"ok", c.ok()}};
  all["first_difference"] =
      first == nullptr ? Json() : Json{{"layer", first->path}, {"tensor", first->tensor}};
  if (c.end_to_end >= 0) all["end_to_end"] = {{"equal", c.end_to_end_equal}, {"largest", c.end_to_end}};
  all["layers"] = std::move(layers);
  return all;
}

void write_tensors(const std::string& path, const nn::StateDict& all) {
  io::NamedTensors tensors;
  for (const auto& [name, tensor] : all)
    if (tensor.defined()) tensors.emplace_back(name, tensor.to(Device::cpu()));
  io::write_npz(path, tensors);
}

/// The first result that is wrong when its layer is run again by itself, as small as it fails.
void write_case(const compare::NetworkComparison& c, Device device, compare::Operands operands,
                const std::string& path, std::FILE* to) {
  for (const compare::LayerResult& r : c.layers) {
    if (r.judgement.verdict != compare::Verdict::wrong) continue;
    nn::StateDict tensors;
    std::string text, line;
    if (r.problem) {
      const auto wrong = [&](const compare::Problem& p) {
        return judge(p, run(p, device, operands)).verdict == compare::Verdict::wrong;
      };
      if (!wrong(*r.problem)) continue;
      const compare::Problem small = compare::shrink(*r.problem, wrong);
      tensors = {{"x", small.x},
                 {"w", small.w},
                 {"b", small.b},
                 {"dy", small.dy},
                 {"got", run(small, device, operands)},
                 {"expected", run(small)}};
      text = small.to_string();
      line = shape_line(small, "compare_" + r.path + "_" + r.tensor);
    } else if (r.layer_case && nn::describable(r.layer_case->layer)) {
      const auto wrong = [&](const compare::LayerCase& l) {
        return judge(l, run(l, device)).verdict == compare::Verdict::wrong;
      };
      if (!wrong(*r.layer_case)) continue;
      const compare::LayerCase small = compare::shrink(*r.layer_case, wrong);
      tensors = {{"x", small.x}, {"dy", small.dy}, {"got", run(small, device)}, {"expected", run(small)}};
      for (const auto& [name, tensor] : small.layer.state_dict()) tensors.emplace_back(name, tensor.detach());
      text = small.to_string();
    } else {
      continue;
    }
    write_tensors(path, tensors);
    fmt::print(to, "\nsmallest case that still fails, written to {}: {}\n", path, text);
    if (!line.empty()) fmt::print(to, "as a line of tests/shapes/: {}\n", line);
    return;
  }
  fmt::print(stderr, "nothing that is wrong could be run by itself: {} was not written\n", path);
}

/// report.html, or where there are several others report-simt.html.
std::string path_for(std::string path, const std::string& other, bool several) {
  if (!several) return path;
  const std::size_t dot = path.rfind('.');
  const bool ends = dot == std::string::npos || path.find('/', dot) != std::string::npos;
  return path.insert(ends ? path.size() : dot, "-" + other);
}

bool is_file(const std::string& name) {
  return name.ends_with(".npz") || name.ends_with(".safetensors");
}

class Command {
 public:
  explicit Command(const CompareArguments& a) : a_(a), model_(nn::load_model(a.model)) {
    if (model_.net.state().dtype != DType::f32)
      fail("compare", "{}: a network of {}, expected f32", a.model, name_of(model_.net.state().dtype));
    x_ = compare_input(a.input, a.batch, model_);
    options_.in_f64 = again(model_, {}, DType::f64);
    options_.backward = !a.forward;
    operands_ = compare::parse_operands(a.operands);
  }

  int all() {
    std::vector<compare::NetworkComparison> results;
    if (a_.against.empty()) {
      for (const std::string& name : others()) {
        const Device device = Device::parse(name);
        const nn::Layer net = again(model_, device, DType::f32);
        options_.output = Tensor();
        if (operands_ == compare::Operands::f32) {
          const NoGrad off;
          options_.output = net(x_.to(device)).to(Device::cpu());
        }
        results.push_back(run(compare::on_device(net, operands_), device.name()));
        if (!a_.written_case.empty() && !results.back().ok())
          write_case(results.back(), device, operands_,
                     path_for(a_.written_case, device.name(), others().size() > 1),
                     a_.json ? stderr : stdout);
      }
    } else if (is_file(a_.against)) {
      options_.chained = true;
      results.push_back(run(compare::from_tensors(read_tensors(a_.against)), a_.against));
    } else {
      auto [implementation, name] = other_library(a_.against, refused_);
      results.push_back(run(implementation, name));
    }
    return finish(results);
  }

 private:
  /// All devices that are named, but for the reference, which stands first.
  std::vector<std::string> others() const {
    if (a_.devices.empty() || a_.devices.front() != "cpu")
      fail("compare",
           "--devices is '{}', expected cpu, which is the reference, and those to compare with it: cpu,cuda",
           fmt::format("{}", fmt::join(a_.devices, ",")));
    if (a_.devices.size() == 1 && operands_ == compare::Operands::f32)
      fail("compare", "one device alone: name another (--devices cpu,simt), --operands or --against");
    if (a_.devices.size() == 1) return a_.devices;
    return {a_.devices.begin() + 1, a_.devices.end()};
  }

  compare::NetworkComparison run(const compare::Implementation& other, const std::string& name) {
    compare::NetworkComparison c = compare_network(model_.net, x_, other, options_);
    c.model = model_.info.name.empty() ? a_.model : model_.info.name;
    c.other = name;
    c.operands = a_.operands;
    std::FILE* to = a_.json ? stderr : stdout;
    fmt::print(to, "{}: {} and {}, a batch of {}\n{}", c.model, c.reference, c.other, x_.shape(0),
               c.to_string());
    for (const std::string& line : refused_) fmt::print(to, "not served: layer {}\n", line);
    if (c.layers.empty()) fail("compare", "{} gave nothing that could be compared", name);
    return c;
  }

  int finish(const std::vector<compare::NetworkComparison>& results) const {
    if (!a_.report.empty()) {
      for (std::size_t i = 0; i < results.size(); ++i) {
        const std::string path = path_for(a_.report, results[i].other, results.size() > 1);
        const std::string html = to_html(results[i]);
        io::write_atomically(path, [&](io::Writer& writer) { writer.write(html.data(), html.size()); });
        fmt::print(a_.json ? stderr : stdout, "report: {}\n", path);
      }
    }
    bool ok = true;
    Json all = Json::array();
    for (const compare::NetworkComparison& c : results) {
      ok = ok && c.ok();
      all.push_back(to_json(c));
    }
    if (a_.json) {
      const Json& whole = results.size() == 1 ? all[0] : all;
      fmt::print("{}\n", whole.dump(-1, ' ', false, Json::error_handler_t::replace));
    }
    return ok ? 0 : 1;
  }

  const CompareArguments& a_;
  nn::SavedModel model_;
  Tensor x_;
  compare::NetworkOptions options_;
  compare::Operands operands_ = compare::Operands::f32;
  std::vector<std::string> refused_;
};

}  // namespace

void add_compare(CLI::App& app, Run& chosen) {
  auto a = std::make_shared<CompareArguments>();
  CLI::App* command =
      app.add_subcommand("compare", "Where and why a network differs between devices, types or libraries");
  command->footer(
      "Every layer is computed on both sides from the same input, forward and backward, and gets a verdict:\n"
      "bit-equal, reordered, lower precision, overflow, NaN swallowed or wrong, with the fault that explains "
      "it and\n"
      "the place (docs/compare.md). Exit code 0, or 1 where something is wrong or swallowed.\n"
      "\n"
      "Examples:\n"
      "  isobit compare lenet.safetensors --devices cpu,cuda --report out.html\n"
      "  isobit compare lenet.safetensors --operands tf32       what rounding the operands to tf32 does\n"
      "  isobit compare lenet.safetensors --against torch       PyTorch, in the Python that ISOBIT_PYTHON "
      "names\n"
      "  isobit compare lenet.safetensors --against theirs.npz --input x.npz    arrays called 0, 1, ... by "
      "layer");
  command->add_option("model", a->model, "A file of isobit train --out or of nn::save_model")->required();
  CLI::Option* devices =
      command->add_option("--devices", a->devices, "cpu, the reference, and those to compare with it")
          ->delimiter(',');
  CLI::Option* against = command->add_option(
      "--against", a->against, "torch, onnx, or a file of arrays by layer (.npz, .safetensors)");
  against->excludes(devices);
  command
      ->add_option("--operands", a->operands,
                   "What the compared side's operands are rounded to: f32, tf32, bf16, f16")
      ->check(CLI::IsMember({"f32", "tf32", "bf16", "f16"}))
      ->capture_default_str()
      ->excludes(against);
  command
      ->add_option("--input", a->input, "A picture, a file with an array x (.npz, .safetensors), or a seed")
      ->capture_default_str();
  command->add_option("--batch", a->batch, "Samples drawn from a seed")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  command->add_flag("--forward", a->forward, "No gradients");
  command->add_option("--report", a->report, "Write a page of HTML with pictures");
  command
      ->add_option("--case", a->written_case,
                   "Where something is wrong on a device: write the smallest case that still fails (.npz)")
      ->excludes(against);
  command->add_flag("--json", a->json, "End with one JSON object, the table going to standard error");
  command->callback([&chosen, a] {
    if (a->devices.empty()) a->devices = {"cpu"};
    if (a->against.empty() || is_file(a->against) || a->against == "torch" || a->against == "onnx") {
      chosen = [a] { return Command(*a).all(); };
      return;
    }
    throw CLI::ValidationError(
        "--against", fmt::format("'{}', expected torch, onnx, or a file .npz or .safetensors", a->against));
  });
}

}  // namespace isobit::cli
