// What tests of the wrappers of cuDNN share.
#pragma once
#include <gtest/gtest.h>
#include <isobit/algorithms.h>
#include <isobit/arithmetic.h>
#include <isobit/ops.h>
#include <isobit/random.h>

#include <functional>

#include "core/backend.h"
#include "cuda/simt/cudnn.h"

namespace isobit {

using emulator::cudnn_counts;
using emulator::cudnn_plant;
using emulator::CudnnEngine;

inline Tensor numbers(const Shape& shape, const char* stream, DType dtype = DType::f32) {
  return random_normal(shape, random_key(Seed{5}, stream), 0, 1).to(dtype).to(Device::simt());
}

inline std::string message_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}
inline bool says(const std::string& text, const char* what) {
  return text.find(what) != std::string::npos;
}

}  // namespace isobit
