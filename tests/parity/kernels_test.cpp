// Every kernel of the seam, on every device that is registered, by every algorithm, against the definition:
// the problems of core/verify, which `isobit verify` runs too. The CPU goes through all of them in every way
// (instruction sets, threads); the others take a part, each problem another of their ways, unless
// ISOBIT_LONG=1.
#include <isobit/error.h>

#include <algorithm>

#include "tests/parity/report.h"

namespace isobit::parity {
namespace {

constexpr const char* kKernels[] = {"fill",
                                    "cast",
                                    "strided_copy",
                                    "pad",
                                    "pad_backward",
                                    "gather_rows",
                                    "scatter_add_rows",
                                    "arange",
                                    "one_hot",
                                    "unary",
                                    "binary",
                                    "select",
                                    "reduce_sum",
                                    "reduce_extreme",
                                    "matmul",
                                    "conv_forward",
                                    "conv_backward_input",
                                    "conv_backward_filter",
                                    "max_pool",
                                    "max_pool_backward",
                                    "max_pool_gather",
                                    "avg_pool",
                                    "avg_pool_backward",
                                    "softmax",
                                    "log_softmax",
                                    "softmax_backward",
                                    "log_softmax_backward",
                                    "norm_statistics",
                                    "norm_apply",
                                    "norm_backward",
                                    "norm_backward_affine",
                                    "random_uniform",
                                    "random_normal",
                                    "dropout",
                                    "optimizer_step"};

class KernelParity : public testing::TestWithParam<const char*> {};

TEST_P(KernelParity, Cpu) {
  verify::Options options;
  options.devices = {Device::cpu()};
  options.kernels = {GetParam()};
  options.full = true;
  for (std::uint64_t seed = 1; seed <= (is_long() ? 4u : 1u); ++seed) {
    options.seed = {seed};
    const verify::Report report = verify::run(options);
    expect_equal(report);
    expect_all_served(report, Device::cpu(), GetParam());
  }
}

TEST_P(KernelParity, OtherDevices) {
  verify::Options options;
  options.devices = other_devices();
  if (options.devices.empty()) GTEST_SKIP() << "no device but the CPU is registered";
  options.kernels = {GetParam()};
  options.full = is_long();
  const verify::Report report = verify::run(options);
  expect_equal(report);
  for (const Device device : options.devices) expect_all_served(report, device, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Seam, KernelParity, testing::ValuesIn(kKernels),
                         [](const auto& info) { return std::string(info.param); });

// A kernel that is new in the seam shall not be forgotten here: everything that a network can call is named.
TEST(KernelParity, NamesEveryKernel) {
  verify::Options options;
  options.devices = {Device::cpu()};
  options.only = "no problem has this in its name";
  for (const char* kernel : kKernels) {
    options.kernels = {kernel};
    EXPECT_THROW(verify::run(options), Error) << kernel;  // known, and nothing to do
  }
  std::string known;
  try {
    backend(Device::cpu()).algorithms("nothing");
  } catch (const Error& error) {
    known = error.what();
  }
  EXPECT_EQ(std::count(known.begin(), known.end(), ',') - 1,
            static_cast<std::ptrdiff_t>(std::size(kKernels)) - 1)
      << known;
}

}  // namespace
}  // namespace isobit::parity
