// What goes wrong with a GPU, and what is said of it: no driver, too old a driver, an architecture that was
// not built, no memory, a kernel that faults. Each is an exception with advice, and the CPU goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <isobit/isobit.h>

#include "core/backend.h"
#include "cuda/simt/emulator.h"
#include "cuda/simt/runtime_api.h"

// Of cuda/runtime/, whose headers are the build's alone (there the namespace is called gpu).
namespace isobit::simt {
std::string why_no_devices(emulator::cudaError_t status, int count, int driver, int runtime);
std::string why_not_built(std::string_view architectures, int major, int minor);
void forget_device(int device);
struct Grid {
  std::int64_t x, y, z;
};
namespace detail {
bool check_launch(const Grid& grid, int threads, std::size_t shared_bytes);
}
}  // namespace isobit::simt

namespace isobit {
namespace {

using ::testing::HasSubstr;

template <class Body>
std::string message_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// The emulated GPU as a new process finds it.
void start_anew() {
  emulator::reset();
  simt::forget_device(0);
}

class SimtFaults : public ::testing::Test {
 protected:
  void SetUp() override { start_anew(); }
  void TearDown() override {
    emulator::configure(before_);
    start_anew();
  }
  emulator::Settings before_ = emulator::settings();
};

TEST_F(SimtFaults, MachinesWithoutAGpuAreToldWhatToDo) {
  using namespace emulator;
  EXPECT_EQ(simt::why_no_devices(cudaSuccess, 1, 13000, 13000), "");
  EXPECT_THAT(simt::why_no_devices(cudaErrorInsufficientDriver, 0, 0, 13000), HasSubstr("no NVIDIA driver"));
  const std::string old = simt::why_no_devices(cudaErrorInsufficientDriver, 0, 11080, 13000);
  EXPECT_THAT(old, HasSubstr("it serves CUDA 11.8, this build needs 13.0"));
  EXPECT_THAT(old, HasSubstr("install a newer driver"));
  EXPECT_THAT(simt::why_no_devices(cudaErrorNoDevice, 0, 13000, 13000), HasSubstr("CUDA_VISIBLE_DEVICES"));
  EXPECT_THAT(simt::why_no_devices(cudaSuccess, 0, 13000, 13000), HasSubstr("finds no GPU"));
  EXPECT_THAT(simt::why_no_devices(cudaErrorUnknown, 0, 13000, 13000), HasSubstr("cudaErrorUnknown"));
}

TEST_F(SimtFaults, ArchitecturesFollowTheRulesOfCuda) {
  const char* usual = "75-real 80-real 86-real 89-real 90-real 100 120";
  for (const int capability : {75, 80, 86, 87, 89, 90, 100, 103, 110, 120, 121})
    EXPECT_EQ(simt::why_not_built(usual, capability / 10, capability % 10), "") << capability;
  const std::string volta = simt::why_not_built(usual, 7, 0);
  EXPECT_THAT(volta, HasSubstr("compute capability 7.0"));
  EXPECT_THAT(volta, HasSubstr(usual));
  EXPECT_THAT(volta, HasSubstr("-DISOBIT_CUDA_ARCHITECTURES=70"));
  EXPECT_NE(simt::why_not_built("80-real", 9, 0), "");  // machine code stays within its major version
  EXPECT_NE(simt::why_not_built("86-real", 8, 0), "");  // and is not for older ones
  EXPECT_EQ(simt::why_not_built("80-virtual", 9, 0), "");
  EXPECT_EQ(simt::why_not_built("80", 12, 0), "");
  EXPECT_NE(simt::why_not_built("80-virtual", 7, 5), "");
  EXPECT_NE(simt::why_not_built("", 9, 0), "");
}

TEST_F(SimtFaults, ADeviceThatIsNotHereSaysWhy) {
  for (const MissingDevice& missing : missing_devices()) {
    EXPECT_FALSE(missing.reason.empty());
    EXPECT_THAT(message_of([&] { Device::parse(missing.name); }), HasSubstr(missing.reason));
  }
  EXPECT_THAT(message_of([] { Device::cuda(63); }), HasSubstr("there is no device \"cuda:63\""));
}

TEST_F(SimtFaults, OutOfMemoryCountsAndPasses) {
  emulator::Settings small = before_;
  small.memory = 8 << 20;
  emulator::configure(small);
  start_anew();
  const Tensor kept = ones({1 << 18}, {.device = Device::simt()});  // 1 MiB
  try {
    zeros({1 << 24}, {.device = Device::simt()});
    FAIL() << "64 MiB of 8 were had";
  } catch (const OutOfMemory& error) {
    EXPECT_THAT(error.what(), HasSubstr(fmt::format("{} bytes asked for", 1 << 26)));
    EXPECT_THAT(error.what(), HasSubstr(fmt::format("{} in use", 1 << 20)));
    EXPECT_THAT(error.what(), HasSubstr("cached"));
  }
  EXPECT_EQ(sum(kept).item(), 1 << 18);  // the device goes on
  // What is cached is given up before memory is called out.
  for (int i = 0; i < 20; ++i) zeros({1 << 20}, {.device = Device::simt()});
  EXPECT_EQ(zeros({3 << 19}, {.device = Device::simt()}).numel(), 3 << 19);
}

// An index beyond the rows, which ops refuse and the seam takes for granted.
void read_out_of_bounds() {
  const Tensor rows = ones({4, 4}, {.device = Device::simt()});
  const Tensor index = full({1}, std::int64_t{1} << 40, {.dtype = DType::i64, .device = Device::simt()});
  Tensor out = empty({1, 4}, {.device = Device::simt()});
  backend(Device::simt())
      .gather_rows({rows.raw(), DType::f32, 16}, {index.raw(), DType::i64, 1}, 4,
                   {out.mutable_raw(), DType::f32, 4});
}

TEST_F(SimtFaults, AFaultOfAKernelIsKeptAndNamed) {
  const Tensor survivor = ones({3}, {.device = Device::simt()});
  const std::string first = message_of([] {
    read_out_of_bounds();
    synchronize(Device::simt());
  });
  EXPECT_THAT(first, HasSubstr("gather_rows"));
  EXPECT_THAT(first, HasSubstr("simt cannot be used again by this process, other devices can"));
  // Every later use says the same; destructors stay silent; the CPU goes on.
  EXPECT_EQ(message_of([&] { add_scalar(survivor, 1); }), first);
  EXPECT_EQ(message_of([] { zeros({2}, {.device = Device::simt()}); }), first);
  EXPECT_EQ(message_of([&] { survivor.to_vector<float>(); }), first);
  EXPECT_EQ(sum(ones({5})).item(), 5);
  start_anew();
  EXPECT_EQ(sum(ones({5}, {.device = Device::simt()})).item(), 5);
}

TEST_F(SimtFaults, GridsAndBlocksBeyondTheLimitsAreRefusedBeforeTheLaunch) {
  using simt::detail::check_launch;
  const std::int64_t most_x = (std::int64_t{1} << 31) - 1;
  EXPECT_TRUE(check_launch({most_x, 65535, 65535}, 1024, 0));
  EXPECT_FALSE(check_launch({0, 1, 1}, 32, 0));
  EXPECT_FALSE(check_launch({1, 0, 1}, 32, 0));
  EXPECT_THAT(message_of([&] { check_launch({most_x + 1, 1, 1}, 32, 0); }), HasSubstr("2147483648 x 1 x 1"));
  EXPECT_THROW(check_launch({1, 65536, 1}, 32, 0), Error);
  EXPECT_THROW(check_launch({1, 1, 65536}, 32, 0), Error);
  EXPECT_THROW(check_launch({-1, 1, 1}, 32, 0), Error);
  for (const int threads : {0, 16, 33, 1056})
    EXPECT_THROW(check_launch({1, 1, 1}, threads, 0), Error) << threads;
  // A result without elements launches nothing.
  EXPECT_EQ(sum(zeros({0, 7}, {.device = Device::simt()})).item(), 0);
}

}  // namespace
}  // namespace isobit
