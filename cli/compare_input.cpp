#include "cli/compare_input.h"

#include <isobit/batches.h>
#include <isobit/data.h>
#include <isobit/error.h>
#include <isobit/io.h>
#include <isobit/npz.h>

#include <charconv>
#include <cstdio>

#include "cli/fit_picture.h"

namespace isobit::cli {

namespace {

/// A batch of one, normalised as in training.
Tensor picture(const std::string& path, const nn::SavedModel& model) {
  if (model.input.rank() != 3)
    fail("compare", "{}: the model takes samples {}, not pictures [h, w, c]", path, model.input);
  const FittedPicture fitted = fit_picture("compare", io::read_image(path), model.input, false);
  if (!fitted.changes.empty()) fmt::print(stderr, "{}: {}\n", path, fitted.changes);
  data::Dataset one;
  one.images = fitted.image.reshape(fitted.image.shape().inserted(0, 1));
  one.labels = zeros({1}, {DType::i64});
  one.classes = {""};
  one.name = path;
  data::BatchOptions order;
  order.shuffle = false;
  order.prefetch = 0;
  order.normalise = model.info.normalise;
  Tensor x;
  for (const data::Batch& batch : data::Batches(one, 1, Seed{}, {}, order)) x = batch.images;
  return x;
}

}  // namespace

nn::StateDict read_tensors(const std::string& path) {
  return path.ends_with(".npz") ? io::read_npz(path) : io::read_safetensors(path).tensors;
}

Tensor compare_input(const std::string& text, std::int64_t batch, const nn::SavedModel& model) {
  std::uint64_t seed = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, seed);
  if (error == std::errc() && stop == end) return random_normal(model.input.inserted(0, batch), {seed, 2});
  if (!text.ends_with(".npz") && !text.ends_with(".safetensors")) return picture(text, model);
  const nn::StateDict tensors = read_tensors(text);
  for (const auto& [name, tensor] : tensors) {
    if (name != "x" && tensors.size() > 1) continue;
    const Tensor x = is_floating(tensor.dtype()) ? tensor.to(DType::f32) : tensor;
    if (x.rank() != model.input.rank() + 1 || !(x.shape().sub(1, x.rank()) == model.input))
      fail("compare", "{}: {} is {}, the model takes [n, ...] of samples {}", text, name, x.shape(),
           model.input);
    if (x.shape(0) < 1) fail("compare", "{}: {} is {}, expected one sample or more", text, name, x.shape());
    return x;
  }
  fail("compare", "{}: no array is called x", text);
}

}  // namespace isobit::cli
