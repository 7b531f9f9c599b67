// Every kernel of the seam, on every device that is registered, by every algorithm, against the definition:
// the problems of core/verify, which `isobit verify` runs too. The CPU goes through all of them in every way
// (instruction sets, threads); the others take a part, each problem another of their ways, unless
// ISOBIT_LONG=1.
#include "tests/parity/report.h"
#include "tests/support/kernel_names.h"

namespace isobit::parity {
namespace {

// Thousands of threads come and go here. The leak checker goes by numbers that the system gives out again, so
// it may take a living worker for an ended one and what the worker holds for lost: in the end there is none.
class WorkersEnd : public testing::Environment {
  void TearDown() override { set_threads(1); }
};
const testing::Environment* const workers_end = testing::AddGlobalTestEnvironment(new WorkersEnd);

class KernelParity : public testing::TestWithParam<std::string> {
 protected:
  KernelParity() {
    options.choose = chosen_problems();
    options.kernels = {GetParam()};
  }
  verify::Options options;
};

TEST_P(KernelParity, Cpu) {
  options.devices = {Device::cpu()};
  options.full = true;
  for (std::uint64_t seed = 1; seed <= (is_long() ? 4u : 1u); ++seed) {
    options.seed = {seed};
    const verify::Report report = verify::run(options);
    expect_equal(report);
    expect_all_served(report, Device::cpu(), GetParam());
  }
}

TEST_P(KernelParity, OtherDevices) {
  options.devices = other_devices();
  if (options.devices.empty()) GTEST_SKIP() << "no device but the CPU is registered";
  options.full = is_long();
  if (options.choose)  // hundreds of whole tiles for one row take minutes
    options.choose = [part = options.choose](const std::string& problem) {
      return part(problem) && problem.find("totals_of_many_tiles") == std::string::npos;
    };
  const verify::Report report = verify::run(options);
  expect_equal(report);
  for (const Device device : options.devices) expect_all_served(report, device, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Seam, KernelParity, testing::ValuesIn(test::kernel_names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace isobit::parity
