// What goes wrong with a GPU, met by the program that nvcc built: `cuda_faults SCENARIO`. For the scenarios
// without a usable GPU the shim beside this file stands before the CUDA runtime; memory that is not there and
// a kernel that faults are had from the GPU itself, or the virtual one. Each must be an exception that says
// what happened and what to do, and the CPU must go on. Exit code 0: so it was; 77: there is no GPU to try it
// on.
#include <fmt/format.h>
#include <isobit/isobit.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "core/backend.h"

namespace isobit {
namespace {

int wrong = 0;

void expect(bool right, const std::string& what) {
  if (right) return;
  fmt::print("WRONG: {}\n", what);
  ++wrong;
}

template <class Kind = Error, class Body>
std::string message_of(const Body& body) {
  try {
    body();
  } catch (const Kind& error) {
    return error.what();
  }
  return "no error";
}

void expect_text(const std::string& message, const std::vector<std::string>& texts) {
  fmt::print("{}\n", message);
  for (const std::string& text : texts)
    expect(message.find(text) != std::string::npos, fmt::format("the message lacks \"{}\"", text));
}

// A step of training on the CPU, with a gradient that is known.
void expect_cpu() {
  Tensor w = from_vector(std::vector<float>{1, 2, 3}, {3});
  w.set_requires_grad();
  sum(mul(w, w)).backward();
  expect(w.grad().to_vector<float>() == std::vector<float>{2, 4, 6}, "the CPU computes");
}

// No device "cuda:0": every way to it says `texts`, and the best device is the CPU.
int expect_no_gpu(const std::vector<std::string>& texts) {
  const std::string message = message_of([] { Device::cuda(); });
  expect_text(message, texts);
  expect(message_of([] { Device::parse("cuda:0"); }) == message, "Device::parse says the same");
  bool listed = false;
  for (const MissingDevice& missing : missing_devices())
    listed =
        listed || (missing.name.starts_with("cuda") && message.find(missing.reason) != std::string::npos);
  expect(listed, "missing_devices() gives the reason");
  expect(Device::best() == Device::cpu(), "the best device is the CPU");
  expect_cpu();
  return wrong;
}

// Launches are refused, the device as such is well.
int expect_no_launch(const std::vector<std::string>& texts) {
  const std::string first = message_of([] { ones({3}, {.device = Device::cuda()}); });
  expect_text(first, texts);
  expect(message_of([] { ones({3}, {.device = Device::cuda()}); }) == first, "it is said each time");
  const std::vector<float> numbers{1, 2, 3};
  expect(from_vector(numbers, {3}).to(Device::cuda()).to_vector<float>() == numbers, "copies work");
  expect_cpu();
  return wrong;
}

int out_of_memory() {
  const Device device = Device::cuda();
  const Tensor kept = ones({1 << 18}, {.device = device});  // 1 MiB
  constexpr std::int64_t kTooMuch = std::int64_t{1} << 46;
  expect_text(
      message_of<OutOfMemory>([&] { empty({kTooMuch}, {.dtype = DType::u8, .device = device}); }),
      {fmt::format("{} bytes asked for", kTooMuch), "1048576 in use", "cached", "free", "--micro-batch"});
  expect_text(message_of<OutOfMemory>([&] { backend(device).allocate_host(kTooMuch); }),
              {fmt::format("{} bytes of page-locked memory", kTooMuch)});
  expect(sum(kept).item() == 1 << 18, "the device goes on with what it has");
  expect(sum(ones({1 << 18}, {.device = device})).item() == 1 << 18, "and gives out more");
  expect_cpu();
  return wrong;
}

// A row far beyond the end, which ops refuse and the seam takes for granted.
void read_out_of_bounds(Device device) {
  const Tensor rows = ones({4, 4}, {.device = device});
  const Tensor index = full({1}, std::int64_t{1} << 40, {.dtype = DType::i64, .device = device});
  Tensor out = empty({1, 4}, {.device = device});
  backend(device).gather_rows({rows.raw(), DType::f32, 16}, {index.raw(), DType::i64, 1}, 4,
                              {out.mutable_raw(), DType::f32, 4});
  synchronize(device);
}

int kernel_fault() {
  const Device device = Device::cuda();
  const Tensor survivor = ones({3}, {.device = device});
  const std::string first = message_of([&] { read_out_of_bounds(device); });
  expect_text(first, {"gather_rows", "cudaErrorIllegalAddress", "cannot be used again by this process"});
  expect(message_of([&] { add_scalar(survivor, 1); }) == first, "every later op says the same");
  expect(message_of([&] { zeros({2}, {.device = device}); }) == first, "so does a request for memory");
  expect(message_of([&] { survivor.to_vector<float>(); }) == first, "so does a copy to the host");
  expect(message_of([&] { synchronize(device); }) == first, "so does waiting");
  expect_cpu();
  return wrong;
}

bool gpu_is_there() {
  for (const DeviceInfo& device : devices())
    if (device.name == "cuda:0") return true;
  return false;
}

int run(const std::string& scenario) {
  const std::string build = "-DISOBIT_CUDA_ARCHITECTURES=";
  if (scenario == "no-driver") return expect_no_gpu({"no NVIDIA driver", "install it"});
  if (scenario == "old-driver")
    return expect_no_gpu({"driver is too old", "serves CUDA 11.8", "install a newer driver"});
  if (scenario == "no-gpu") return expect_no_gpu({"finds no GPU", "CUDA_VISIBLE_DEVICES"});
  if (scenario == "old-gpu") return expect_no_gpu({"no code for compute capability 7.0", build + "70"});
  const bool known =
      scenario == "no-image" || scenario == "new-ptx" || scenario == "memory" || scenario == "kernel";
  if (!known) {
    fmt::print("unknown scenario \"{}\"\n", scenario);
    return 1;
  }
  if (!gpu_is_there()) {
    fmt::print("no GPU to try it on\n");
    return 77;
  }
  if (scenario == "no-image") return expect_no_launch({"fill", "no code for this GPU", build});
  if (scenario == "new-ptx") return expect_no_launch({"fill", "newer NVIDIA driver", build});
  return scenario == "memory" ? out_of_memory() : kernel_fault();
}

}  // namespace
}  // namespace isobit

int main(int argc, char** argv) {
  try {
    const int result = isobit::run(argc > 1 ? argv[1] : "");
    return result == 0 || result == 77 ? result : 1;
  } catch (const std::exception& error) {
    std::printf("an exception that nobody expected: %s\n", error.what());
    return 1;
  }
}
