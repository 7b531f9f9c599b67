// Networks in files: the description in the metadata of a safetensors file, the weights beside it.
#include <isobit/error.h>
#include <isobit/io.h>
#include <isobit/models.h>
#include <isobit/saved_model.h>
#include <isobit/train_checkpoint.h>

#include <nlohmann/json.hpp>
#include <unordered_set>

#include "core/nn/description_json.h"
#include "core/train/saved_model.h"

namespace isobit::nn {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::string_view op = "load_model";
constexpr int kFormat = 1;

DType dtype_of(const std::string& word) {
  for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16})
    if (word == name_of(dtype)) return dtype;
  fail(op, "dtype is \"{}\", expected f32, f64, f16 or bf16", word);
}

struct Parsed {
  Description network;
  ModelInfo info;
  Shape input;
  DType dtype = DType::f32;
  Seed seed;
};

Parsed parse(const std::string& text) {
  const Json j = parse_json(text, kModelKey);
  Parsed p;
  if (j.at("format") != kFormat)
    fail(op, "format {} is not the one this program reads ({})", j.at("format").dump(), kFormat);
  std::vector<std::int64_t> extents;
  for (const Json& extent : j.at("input")) {
    if (!extent.is_number_unsigned() || extent.get<std::uint64_t>() >> 63 != 0)
      fail(op, "an extent of the input is {}, expected a whole number of 63 bits", extent.dump());
    extents.push_back(extent.get<std::int64_t>());
  }
  p.input = Shape(std::span<const std::int64_t>(extents));
  p.dtype = dtype_of(j.at("dtype").get<std::string>());
  if (!j.at("seed").is_number_unsigned()) fail(op, "the seed is {}", j.at("seed").dump());
  p.seed = Seed{j.at("seed").get<std::uint64_t>()};
  j.at("name").get_to(p.info.name);
  j.at("classes").get_to(p.info.classes);
  j.at("mean").get_to(p.info.normalise.mean);
  j.at("deviation").get_to(p.info.normalise.deviation);
  p.network = description_of(j.at("network"), std::string(kModelKey));
  return p;
}

/// Throws unless the file holds as many numbers as the network has: nothing larger is ever made.
void check_size(const Layer& net, const Shape& input, const io::NamedTensors& tensors) {
  std::int64_t held = 0, needed = 0;
  for (const auto& [name, tensor] : tensors) held += tensor.numel();
  std::unordered_set<const Module*> seen;
  net.module().walk("", input, [&](Module& m, const std::string&, const Shape&, const Plan& plan) {
    if (!seen.insert(&m).second) return;
    for (const auto* specs : {&plan.parameters, &plan.buffers})
      for (const ParameterSpec& spec : *specs)
        if (__builtin_add_overflow(needed, spec.shape.numel(), &needed) || needed > held)
          fail(op, "the network has more parameters than the {} numbers that the file holds", held);
  });
}

SavedModel model_of(io::SafeTensors file, Device device, const std::map<std::string, Maker>& own) {
  const auto text = file.metadata.find(kModelKey);
  if (text == file.metadata.end())
    fail(op, "a safetensors file without a network: its metadata lacks \"{}\"", kModelKey);
  const Parsed p = parse(text->second);
  if (file.metadata.count(train::kCheckpointKey) != 0) {
    const std::string_view prefix = train::kOptimizerPrefix;
    std::erase_if(file.tensors, [&](const auto& entry) { return entry.first.rfind(prefix, 0) == 0; });
  }
  SavedModel model{from_description(p.network, own), p.input, p.info};
  if (own.empty()) check_size(model.net, p.input, file.tensors);
  model.net.build(p.input, device, p.seed, p.dtype);
  model.net.load_state_dict(file.tensors);
  model.net.eval();
  return model;
}

/// A checkpoint of a time when they did not describe their networks.
SavedModel model_of(train::Checkpoint c, Device device) {
  SavedModel model{models::make(c.model, static_cast<std::int64_t>(c.classes.size())),
                   c.input,
                   {c.model, c.classes, c.normalise}};
  check_size(model.net, c.input, c.weights);
  model.net.build(c.input, device, c.options.seed);
  model.net.load_state_dict(c.weights);
  model.net.eval();
  return model;
}

// Errors begin with the file's name; those of JSON become ours.
template <class Load>
SavedModel named(std::string_view name, Load load) {
  try {
    return load();
  } catch (const OutOfMemory&) {
    throw;
  } catch (const Error& error) {
    const std::string message = error.what();
    if (message.find(name) != std::string::npos) throw;
    fail(op, "{}: {}", name, error.op() == op ? message.substr(op.size() + 2) : message);
  } catch (const Json::exception& error) {
    fail(op, "{}: the metadata \"{}\" is damaged: {}", name, kModelKey, error.what());
  }
}

}  // namespace

std::string model_text(const Layer& net, const ModelInfo& info) {
  const NetworkState& state = net.state();
  const Shape& input = net.input_shape();
  const Json j{{"format", kFormat},
               {"name", info.name},
               {"input", std::vector<std::int64_t>(input.begin(), input.end())},
               {"dtype", name_of(state.dtype)},
               {"seed", state.seed.value},
               {"classes", info.classes},
               {"mean", info.normalise.mean},
               {"deviation", info.normalise.deviation},
               {"network", to_json(describe(net))}};
  try {
    return j.dump();
  } catch (const Json::exception&) {
    fail("save_model", "the name of a class, or a text of the description, is not valid UTF-8");
  }
}

void save_model(const std::string& path, const Layer& net, const ModelInfo& info) {
  const std::string text = model_text(net, info);
  io::write_safetensors(path, net.state_dict(), {{kModelKey, text}});
}

SavedModel load_model(const std::string& path, Device device, const std::map<std::string, Maker>& own) {
  return named(path, [&] {
    io::SafeTensors file = io::read_safetensors(path);
    const bool described = file.metadata.count(kModelKey) != 0;
    if (!described && file.metadata.count(train::kCheckpointKey) != 0)
      return model_of(train::load(path), device);
    return model_of(std::move(file), device, own);
  });
}

SavedModel decode_model(std::span<const std::uint8_t> bytes, std::string_view name, Device device,
                        const std::map<std::string, Maker>& own) {
  return named(name, [&] {
    io::SafeTensors file = io::decode_safetensors(bytes, name);
    const bool described = file.metadata.count(kModelKey) != 0;
    if (!described && file.metadata.count(train::kCheckpointKey) != 0)
      return model_of(train::decode(bytes, name), device);
    return model_of(std::move(file), device, own);
  });
}

}  // namespace isobit::nn
