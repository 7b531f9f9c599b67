#include "cuda/runtime/properties.cuh"

#include <fmt/format.h>

#include <charconv>

#include "cuda/runtime/check.cuh"

namespace isobit::gpu {
namespace {

std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

}  // namespace

std::string device_name(int index) {
  return kEmulated ? "simt" : fmt::format("cuda:{}", index);
}

std::vector<DeviceProperty> properties(int device) {
  cudaDeviceProp p;
  check(cudaGetDeviceProperties(&p, device), "cudaGetDeviceProperties");
  constexpr double kGiB = 1 << 30;
  std::vector<DeviceProperty> list{
      {"processor", p.name},
      {"compute capability", fmt::format("{}.{}", p.major, p.minor)},
      {"multiprocessors", std::to_string(p.multiProcessorCount)},
      {"memory", fmt::format("{:.1f} GiB", static_cast<double>(p.totalGlobalMem) / kGiB)},
      {"shared memory a block", fmt::format("{} KiB", p.sharedMemPerBlockOptin / 1024)}};
  list.push_back({"fast mode", p.major >= 8                   ? "tf32, f16, bf16 on matrix units"
                               : p.major == 7 && p.minor >= 5 ? "f16 on matrix units"
                                                              : "none"});
  if constexpr (!kEmulated) {
    int driver = 0, runtime = 0;
    check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
    check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
    list.push_back(
        {"CUDA", fmt::format("driver {}, runtime {}", version_text(driver), version_text(runtime))});
  }
#ifdef ISOBIT_CUDA_ARCHITECTURES
  list.push_back({"built for", ISOBIT_CUDA_ARCHITECTURES});
#endif
  return list;
}

std::string why_no_devices(cudaError_t status, int count, int driver, int runtime) {
  if (status == cudaSuccess && count > 0) return {};
  if (status == cudaSuccess || status == cudaErrorNoDevice)
    return fmt::format(
        "the NVIDIA driver (CUDA {}) finds no GPU; is one built in, and does CUDA_VISIBLE_DEVICES "
        "leave it visible?",
        version_text(driver));
  if (status == cudaErrorInsufficientDriver && driver == 0)
    return "this machine has no NVIDIA driver (libcuda.so.1 was not found); install it to use a GPU";
  if (status == cudaErrorInsufficientDriver)
    return fmt::format(
        "the NVIDIA driver is too old: it serves CUDA {}, this build needs {}; install a newer driver, "
        "or build with an older CUDA toolkit",
        version_text(driver), version_text(runtime));
  return fmt::format("the NVIDIA driver answers: {} ({})", cudaGetErrorString(status),
                     cudaGetErrorName(status));
}

std::string why_not_built(std::string_view architectures, int major, int minor) {
  const int capability = major * 10 + minor;
  for (std::string_view rest = architectures; !rest.empty();) {
    const std::size_t end = std::min(rest.find(' '), rest.size());
    const std::string_view entry = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    int built = 0;
    std::from_chars(entry.data(), entry.data() + entry.size(), built);
    const bool machine_code = !entry.ends_with("-virtual"), ptx = !entry.ends_with("-real");
    if (machine_code && built / 10 == major && built <= capability) return {};
    if (ptx && built <= capability) return {};
  }
  return fmt::format(
      "this build has no code for compute capability {}.{} (it was built for: {}); build with "
      "-DISOBIT_CUDA_ARCHITECTURES={}",
      major, minor, architectures, capability);
}

}  // namespace isobit::gpu
