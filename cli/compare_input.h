// What a network is compared on.
#pragma once
#include <isobit/saved_model.h>

#include <string>

namespace isobit::cli {

/// The arrays of a file .npz or .safetensors.
nn::StateDict read_tensors(const std::string& path);

/// One batch for the model: the array x (or the only one) of a file of arrays, a picture brought to the
/// model's shape and normalised as in training, or `batch` samples of normal numbers from a seed. Throws
/// Error naming what does not fit.
Tensor compare_input(const std::string& text, std::int64_t batch, const nn::SavedModel& model);

}  // namespace isobit::cli
