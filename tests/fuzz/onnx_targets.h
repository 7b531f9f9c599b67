// The reader of ONNX's files: a model or tensor that holds together, an isobit::Error, or what isobit has no
// type for.
#pragma once
#include "cli/onnx/graph.h"
#include "tests/fuzz/targets.h"

namespace isobit::fuzz {

inline void onnx_tensor(Input input) {
  try {
    const Tensor t = cli::onnx::decode_tensor(input, "input");
    require(t.bytes() == t.numel() * size_of(t.dtype()) && t.device() == Device::cpu());
    require(equal_bits(t, t.clone()));  // every element was written: a sanitizer sees one that was not
  } catch (const Error&) {
  } catch (const cli::onnx::Unsupported& reason) {
    require(*reason.what() != '\0');
  }
}

inline void onnx_model(Input input) {
  try {
    const cli::onnx::Model model = cli::onnx::decode_model(input, "input");
    require(!model.nodes.empty());
    for (const auto& [name, t] : model.initializers) require(t.defined());
    const cli::onnx::Fitness fit = cli::onnx::fitness(model);
    require(fit.wanted || !fit.missing.empty());
  } catch (const Error&) {
  }
}

}  // namespace isobit::fuzz
