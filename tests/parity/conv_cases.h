// What the parity tests of convolution share: one problem in one dtype, with its data and the reference's
// three results.
#pragma once
#include <gtest/gtest.h>
#include <isobit/device.h>
#include <isobit/error.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "core/backend.h"
#include "cpu/reference/reference.h"
#include "cpu/runtime/isa.h"
#include "tests/support/buffers.h"
#include "tests/support/compare.h"
#include "tests/support/shapes.h"
#include "tests/support/values.h"

namespace isobit::test {

inline constexpr const char* kConvKernels[] = {"conv_forward", "conv_backward_input", "conv_backward_filter"};
inline constexpr DType kFloatingTypes[] = {DType::f32, DType::f64, DType::f16, DType::bf16};

inline bool long_run() {
  const char* value = std::getenv("ISOBIT_LONG");
  return value != nullptr && std::string(value) == "1";
}

class ConvCase {
 public:
  ConvCase(const ConvShape& shape, DType dtype, std::uint64_t seed, HardFloats floats, std::int64_t skip)
      : shape_(shape),
        x_(dtype, g().x_size(), skip),
        w_(dtype, g().w_size(), skip),
        dy_(dtype, g().y_size(), skip),
        bias_(dtype, g().k, skip) {
    fill_hard(x_.view(), seed, floats);
    fill_hard(w_.view(), seed + 1, floats);
    fill_hard(dy_.view(), seed + 2, floats);
    fill_hard(bias_.view(), seed + 3, floats);
    if (seed % 3 != 0) epilogue_.bias = bias_.read();
    if (seed % 2 != 0) epilogue_.activation = Activation::relu;
    for (int kernel = 0; kernel < 3; ++kernel) expected_.emplace_back(dtype, out_size(kernel), skip);
    cpu::reference::conv_forward(g(), x_.read(), w_.read(), epilogue_, expected_[0].view());
    cpu::reference::conv_backward_input(g(), dy_.read(), w_.read(), expected_[1].view());
    cpu::reference::conv_backward_filter(g(), x_.read(), dy_.read(), expected_[2].view());
  }

  const ConvGeometry& g() const { return shape_.geometry; }
  std::int64_t out_size(int kernel) const {
    return kernel == 0 ? g().y_size() : kernel == 1 ? g().x_size() : g().w_size();
  }

  /// Runs a kernel of the CPU backend into a poisoned, fenced buffer and holds it against the reference.
  testing::AssertionResult check(int kernel) const {
    FencedBuffer out(x_.dtype(), out_size(kernel), 3);
    Backend& cpu = backend(Device::cpu());
    if (kernel == 0) cpu.conv_forward(g(), x_.read(), w_.read(), epilogue_, out.view());
    if (kernel == 1) cpu.conv_backward_input(g(), dy_.read(), w_.read(), out.view());
    if (kernel == 2) cpu.conv_backward_filter(g(), x_.read(), dy_.read(), out.view());
    if (const auto fences = out.fences_hold(); !fences) return fences;
    return equal_bits(out.read(), expected_[static_cast<std::size_t>(kernel)].read());
  }

  std::string text() const {
    return fmt::format("{} {} {} ({})", shape_.place, shape_.name, name_of(x_.dtype()), g().to_string());
  }

 private:
  ConvShape shape_;
  FencedBuffer x_, w_, dy_, bias_;
  Epilogue epilogue_;
  std::vector<FencedBuffer> expected_;
};

/// Instruction set, threads and the forced algorithms as they were before the test.
class KeepSettings {
 public:
  KeepSettings() : isa_(cpu::current_isa()), threads_(threads()) {}
  ~KeepSettings() {
    for (const char* kernel : kConvKernels) backend(Device::cpu()).force_algorithm(kernel, "");
    cpu::set_isa(isa_);
    set_threads(threads_);
  }
  KeepSettings(const KeepSettings&) = delete;
  KeepSettings& operator=(const KeepSettings&) = delete;

 private:
  cpu::Isa isa_;
  int threads_;
};

/// Every algorithm but the reference itself, on every instruction set and number of threads, on all cases.
/// Refusals are counted; `linear` and
/// `depthwise`, which serve few shapes, may refuse all of them, no other algorithm may.
inline void check_all(const std::vector<std::unique_ptr<ConvCase>>& cases,
                      const std::vector<int>& thread_counts) {
  const KeepSettings keep;
  Backend& cpu = backend(Device::cpu());
  for (int kernel = 0; kernel < 3; ++kernel)
    for (const std::string& algorithm : cpu.algorithms(kConvKernels[kernel])) {
      if (algorithm == "reference") continue;
      cpu.force_algorithm(kConvKernels[kernel], algorithm);
      std::int64_t ran = 0, refused = 0;
      for (const int count : thread_counts) {
        set_threads(count);
        for (const cpu::Isa isa : cpu::available_isas()) {
          cpu::set_isa(isa);
          for (const auto& one : cases) {
            try {
              ASSERT_TRUE(one->check(kernel))
                  << kConvKernels[kernel] << " by " << algorithm << ", " << cpu::isa_name(isa) << ", "
                  << count << " threads: " << one->text();
              ++ran;
            } catch (const Error&) {
              ++refused;
            }
          }
        }
      }
      cpu.force_algorithm(kConvKernels[kernel], "");
      EXPECT_TRUE(ran > 0 || algorithm == "linear" || algorithm == "depthwise")
          << kConvKernels[kernel] << ": " << algorithm << " refuses everything";
      std::printf("%s by %s: %lld runs compared, %lld refused\n", kConvKernels[kernel], algorithm.c_str(),
                  static_cast<long long>(ran), static_cast<long long>(refused));
    }
}

}  // namespace isobit::test
