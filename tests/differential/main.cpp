// The side of isobit in the differential test against PyTorch (scripts/differential): computes cases that
// run.py drew.
//
//   isobit_differential --cases FILE --inputs FILE --out FILE [--device NAME]
//
// --cases is a JSON list of {"id": "7", "op": "conv", "leaves": ["x", "w"], "gradients": true,
// ...options...}, --inputs has the tensors "7.x", "7.w", seeds "7.g" of y's shape and "7.h.x" of x's. --out
// gets "7.y"; the gradients of <y, g> with respect to the leaves, "7.d.x"; and those of the sum of <d.x, h.x>
// over the leaves with respect to leaves and g, "7.dd.x", "7.dd.g". A gradient that is zero because nothing
// depends on it is left out. What a case was refused with is metadata: "7.refused", "7.gradients_refused"
// where y was computed; "7.differs" if y has other bits without recording.
#include <isobit/autograd.h>
#include <isobit/error.h>
#include <isobit/io.h>

#include <CLI/CLI.hpp>
#include <fstream>

#include "tests/differential/case.h"

namespace isobit::differential {
namespace {

struct Files {
  std::string cases, inputs, out, device = "cpu";
};

const Functions& functions() {
  static const Functions table = [] {
    Functions t;
    add_convolutions(t);
    add_images(t);
    add_windows(t);
    add_movements(t);
    add_rows(t);
    return t;
  }();
  return table;
}

/// Those that can be differentiated further, with their seeds.
struct Outputs {
  std::vector<Tensor> tensors, seeds;
};

void differentiate(const Case& c, const std::string& id, const std::vector<std::string>& leaves,
                   const Tensor& y, io::NamedTensors& results) {
  std::vector<Tensor> inputs;
  for (const std::string& name : leaves) inputs.push_back(c.tensor(name));
  const Tensor g = c.tensor("g");
  if (!y.requires_grad()) return;
  const std::vector<Tensor> first = grad(y, inputs, g, {.create_graph = true, .allow_unused = true});
  Outputs next;
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (!first[i].defined()) continue;
    results.emplace_back(id + ".d." + leaves[i], first[i].detach());
    if (!first[i].requires_grad()) continue;
    next.tensors.push_back(first[i]);
    next.seeds.push_back(c.tensor("h." + leaves[i]));
  }
  if (next.tensors.empty()) return;
  inputs.push_back(g);
  const std::vector<Tensor> second = grad(next.tensors, inputs, next.seeds, {.allow_unused = true});
  for (std::size_t i = 0; i < second.size(); ++i)
    if (second[i].defined())
      results.emplace_back(id + ".dd." + (i < leaves.size() ? leaves[i] : "g"), second[i].detach());
}

/// The same without a graph: where activations are fused, for one thing.
Tensor unrecorded(Function f, const Case& c) {
  const NoGrad off;
  return f(c);
}

void compute(Case& c, io::NamedTensors& results, io::Metadata& metadata) {
  const std::string id = c.word("id"), op = c.word("op");
  const auto leaves = c.options.at("leaves").get<std::vector<std::string>>();
  const bool gradients = c.flag("gradients");
  if (gradients) {
    for (const std::string& name : leaves) c.tensors.at(name).set_requires_grad();
    if (c.tensors.contains("g")) c.tensors.at("g").set_requires_grad();
  }
  const auto f = functions().find(op);
  if (f == functions().end()) fail("differential", "no op '{}'", op);
  Tensor y;
  try {
    y = f->second(c);
  } catch (const Error& error) {
    metadata[id + ".refused"] = error.what();
    return;
  }
  results.emplace_back(id + ".y", y.detach());
  if (gradients && !equal_bits(y, unrecorded(f->second, c)))
    metadata[id + ".differs"] = "y has other bits where nothing is recorded";
  // Seeds are there where the peer computed gradients, too; of another shape they would say nothing.
  if (!gradients || !c.tensors.contains("g") || c.tensor("g").shape() != y.shape()) return;
  try {
    differentiate(c, id, leaves, y, results);
  } catch (const Error& error) {
    metadata[id + ".gradients_refused"] = error.what();
  }
}

int run(const Files& files) {
  std::ifstream text(files.cases);
  const nlohmann::json cases = nlohmann::json::parse(text);
  const Device device = Device::parse(files.device);
  const io::SafeTensors inputs = io::read_safetensors(files.inputs, device);
  std::map<std::string, std::map<std::string, Tensor>> of;
  for (const auto& [name, tensor] : inputs.tensors) {
    const auto dot = name.find('.');
    of[name.substr(0, dot)][name.substr(dot + 1)] = tensor;
  }
  io::NamedTensors results;
  io::Metadata metadata;
  for (const nlohmann::json& options : cases) {
    Case c{options, std::move(of[options.at("id").get<std::string>()])};
    compute(c, results, metadata);
  }
  io::write_safetensors(files.out, results, metadata);
  return 0;
}

}  // namespace
}  // namespace isobit::differential

int main(int argc, char** argv) {
  CLI::App app{"Computes the cases of the differential test (scripts/differential) with isobit."};
  isobit::differential::Files files;
  app.add_option("--cases", files.cases)->required();
  app.add_option("--inputs", files.inputs)->required();
  app.add_option("--out", files.out)->required();
  app.add_option("--device", files.device);
  CLI11_PARSE(app, argc, argv);
  try {
    return isobit::differential::run(files);
  } catch (const std::exception& error) {
    fmt::print(stderr, "isobit_differential: {}\n", error.what());
    return 1;
  }
}
