// Networks in files: description, weights and what is needed to use them, in one safetensors file. The
// tensors lie under their paths ("0.weight"), the rest in the metadata "isobit.network", so that other tools
// can read the weights.
//
//   nn::save_model("net.safetensors", net);
//   const nn::SavedModel model = nn::load_model("net.safetensors", Device::best());
//   Tensor y = model.net(x);
#pragma once
#include <isobit/batches.h>
#include <isobit/nn_description.h>
#include <isobit/nn_module.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace isobit::nn {

/// What to know of a network beside its layers, as far as it is known.
struct ModelInfo {
  std::string name;  ///< "lenet"
  std::vector<std::string> classes;
  data::Normalise normalise;  ///< what was done to the pixels (isobit/batches.h); empty: nothing
};

struct SavedModel {
  Layer net;    ///< built, in evaluation mode
  Shape input;  ///< of one sample
  ModelInfo info;
};

/// Written as a whole or not at all (io::write_safetensors). Throws Error when the network is not built, or
/// has a layer that cannot say what it is made of (nn::describe).
void save_model(const std::string& path, const Layer& net, const ModelInfo& info = {});

/// A file of save_model, or a checkpoint of isobit train (isobit/train_checkpoint.h). `own` knows a user's
/// own kinds of layers. The file is taken for hostile: Error that names it and what is wrong, and no more
/// memory than a few times its size.
SavedModel load_model(const std::string& path, Device device = {},
                      const std::map<std::string, Maker>& own = {});
/// The same from memory; `name` stands for the file in messages.
SavedModel decode_model(std::span<const std::uint8_t> bytes, std::string_view name, Device device = {},
                        const std::map<std::string, Maker>& own = {});

/// The text in the metadata "isobit.network" of a built network's file.
std::string model_text(const Layer& net, const ModelInfo& info = {});

}  // namespace isobit::nn
