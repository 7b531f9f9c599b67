#include "cli/compare_input.h"

#include <isobit/data.h>
#include <isobit/error.h>
#include <isobit/io.h>
#include <isobit/npz.h>

#include <charconv>

namespace isobit::cli {

nn::StateDict read_tensors(const std::string& path) {
  return path.ends_with(".npz") ? io::read_npz(path) : io::read_safetensors(path).tensors;
}

Tensor compare_input(const std::string& text, std::int64_t batch, const nn::SavedModel& model) {
  std::uint64_t seed = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, seed);
  if (error == std::errc() && stop == end) return random_normal(model.input.inserted(0, batch), {seed, 2});
  if (!text.ends_with(".npz") && !text.ends_with(".safetensors"))
    fail("compare", "--input is {}, expected a seed or a file .npz or .safetensors", text);
  const nn::StateDict tensors = read_tensors(text);
  for (const auto& [name, tensor] : tensors) {
    if (name != "x" && tensors.size() > 1) continue;
    const Tensor x = is_floating(tensor.dtype()) ? tensor.to(DType::f32) : tensor;
    if (x.rank() != model.input.rank() + 1 || !(x.shape().sub(1, x.rank()) == model.input))
      fail("compare", "{}: {} is {}, the model takes [n, ...] of samples {}", text, name, x.shape(),
           model.input);
    return x;
  }
  fail("compare", "{}: no array is called x", text);
}

}  // namespace isobit::cli
