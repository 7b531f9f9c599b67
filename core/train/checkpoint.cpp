// Checkpoints as safetensors files: weights, "optimizer." states, and metadata "isobit" (JSON).
#include <isobit/error.h>
#include <isobit/io.h>
#include <isobit/train_checkpoint.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "core/train/saved_model.h"

namespace isobit::train {
namespace {

using Json = nlohmann::json;
constexpr const char* kKey = kCheckpointKey;
constexpr const char* kPrefix = kOptimizerPrefix;
constexpr int kFormat = 1;

Json to_json(const Options& o) {
  return {{"epochs", o.epochs},
          {"batch", o.batch},
          {"optimizer", o.optimizer},
          {"lr", o.lr},
          {"momentum", o.momentum},
          {"nesterov", o.nesterov},
          {"weight_decay", o.weight_decay},
          {"schedule", o.schedule},
          {"warm_up", o.warm_up},
          {"clip_norm", o.clip_norm},
          {"label_smoothing", o.label_smoothing},
          {"crop_pad", o.augment.crop_pad},
          {"shift", o.augment.shift},
          {"flip", o.augment.flip},
          {"seed", o.seed.value},
          {"limit", o.limit},
          {"math", o.math},
          {"loss_scale", o.loss_scale}};
}

// A whole number that fits T. nlohmann_json itself would convert fractions and whatever is out of range, in
// part by undefined behaviour.
template <class T>
void to_whole(const Json& value, const char* key, T& out) {
  bool fits = false;
  if (value.is_number_unsigned())
    fits = value.get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<T>::max());
  else if (value.is_number_integer() && std::is_signed_v<T>)
    fits = value.get<std::int64_t>() >= static_cast<std::int64_t>(std::numeric_limits<T>::min());
  if (!fits) fail("options", "{} is {}, expected a whole number that fits", key, value.dump());
  value.get_to(out);
}

template <class T>
void whole(const Json& j, const char* key, T& out) {
  to_whole(j.at(key), key, out);
}

Options options_from(const Json& j) {
  Options o;
  whole(j, "epochs", o.epochs);
  whole(j, "batch", o.batch);
  j.at("optimizer").get_to(o.optimizer);
  j.at("lr").get_to(o.lr);
  j.at("momentum").get_to(o.momentum);
  j.at("nesterov").get_to(o.nesterov);
  j.at("weight_decay").get_to(o.weight_decay);
  j.at("schedule").get_to(o.schedule);
  whole(j, "warm_up", o.warm_up);
  j.at("clip_norm").get_to(o.clip_norm);
  j.at("label_smoothing").get_to(o.label_smoothing);
  whole(j, "crop_pad", o.augment.crop_pad);
  whole(j, "shift", o.augment.shift);
  j.at("flip").get_to(o.augment.flip);
  whole(j, "seed", o.seed.value);
  whole(j, "limit", o.limit);
  if (j.contains("math")) j.at("math").get_to(o.math);  // files of before fast mode have none
  if (j.contains("loss_scale")) j.at("loss_scale").get_to(o.loss_scale);
  return o;
}

Json to_json(const Checkpoint& c) {
  return {{"format", kFormat},
          {"model", c.model},
          {"input", std::vector<std::int64_t>(c.input.begin(), c.input.end())},
          {"classes", c.classes},
          {"mean", c.normalise.mean},
          {"deviation", c.normalise.deviation},
          {"options", to_json(c.options)},
          {"epoch", c.at.epoch},
          {"batch", c.at.batch},
          {"step", c.at.step},
          {"samples", c.samples},
          {"loss_scale", {c.loss_scale.scale, c.loss_scale.good, c.loss_scale.skipped}}};
}

void from_json(const Json& j, Checkpoint& c, const std::string& path) {
  int format = 0;
  whole(j, "format", format);
  if (format != kFormat)
    fail("checkpoint", "{}: format {} is not the one this program reads ({})", path, format, kFormat);
  j.at("model").get_to(c.model);
  std::vector<std::int64_t> extents;
  if (!j.at("input").is_array()) fail("options", "input is no list of extents");
  for (const Json& extent : j.at("input")) to_whole(extent, "input", extents.emplace_back());
  c.input = Shape(std::span<const std::int64_t>(extents));
  j.at("classes").get_to(c.classes);
  j.at("mean").get_to(c.normalise.mean);
  j.at("deviation").get_to(c.normalise.deviation);
  c.options = options_from(j.at("options"));
  whole(j, "epoch", c.at.epoch);
  whole(j, "batch", c.at.batch);
  whole(j, "step", c.at.step);
  whole(j, "samples", c.samples);
  if (j.contains("loss_scale")) {
    const Json& state = j.at("loss_scale");
    if (!state.is_array() || state.size() != 3) fail("options", "loss_scale is no list of three numbers");
    state[0].get_to(c.loss_scale.scale);
    to_whole(state[1], "loss_scale", c.loss_scale.good);
    to_whole(state[2], "loss_scale", c.loss_scale.skipped);
  }
  c.options.check();
  if (c.at.epoch < 0 || c.at.batch < 0 || c.at.step < 0 || c.samples < 0)
    fail("checkpoint", "{}: the position (epoch {}, batch {}, step {} of {} samples) is negative", path,
         c.at.epoch, c.at.batch, c.at.step, c.samples);
}

}  // namespace

void save(const std::string& path, const Checkpoint& checkpoint) {
  io::NamedTensors tensors;
  for (const auto& [name, tensor] : checkpoint.weights) {
    if (name.rfind(kPrefix, 0) == 0)
      fail("checkpoint", "the parameter \"{}\" cannot be saved: \"{}\" is for the optimizer's state", name,
           kPrefix);
    tensors.emplace_back(name, tensor);
  }
  for (const auto& [name, tensor] : checkpoint.optimizer) tensors.emplace_back(kPrefix + name, tensor);
  std::string text;
  try {
    text = to_json(checkpoint).dump();
  } catch (const Json::exception&) {
    fail("checkpoint", "{}: the name of the model or of a class is not valid UTF-8", path);
  }
  io::Metadata metadata{{kKey, text}};
  if (!checkpoint.network.empty()) metadata.emplace(nn::kModelKey, checkpoint.network);
  io::write_safetensors(path, tensors, metadata);
}

namespace {

Checkpoint from_file(io::SafeTensors file, const std::string& path) {
  const auto found = file.metadata.find(kKey);
  if (found == file.metadata.end())
    fail("checkpoint", "{}: a safetensors file, but not a checkpoint of isobit (its metadata lacks \"{}\")",
         path, kKey);
  Checkpoint checkpoint;
  if (const auto network = file.metadata.find(nn::kModelKey); network != file.metadata.end())
    checkpoint.network = network->second;
  try {
    from_json(Json::parse(found->second), checkpoint, path);
  } catch (const Json::exception& error) {
    fail("checkpoint", "{}: the metadata \"{}\" is damaged: {}", path, kKey, error.what());
  } catch (const Error& error) {
    if (error.op() == "checkpoint") throw;
    fail("checkpoint", "{}: the metadata \"{}\" is damaged: {}", path, kKey, error.what());
  }
  const std::string prefix = kPrefix;
  for (auto& [name, tensor] : file.tensors) {
    if (name.rfind(prefix, 0) == 0)
      checkpoint.optimizer.emplace_back(name.substr(prefix.size()), tensor);
    else
      checkpoint.weights.emplace_back(name, tensor);
  }
  return checkpoint;
}

}  // namespace

Checkpoint load(const std::string& path) {
  return from_file(io::read_safetensors(path), path);
}

Checkpoint decode(std::span<const std::uint8_t> bytes, std::string_view name) {
  return from_file(io::decode_safetensors(bytes, name), std::string(name));
}

}  // namespace isobit::train
