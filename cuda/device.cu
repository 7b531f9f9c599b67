// The CUDA devices behind the seam; in the simt build of the same sources, the one emulated device.
#include "cuda/device.h"

#include <isobit/error.h>

#include <atomic>
#include <mutex>

#include "core/device_limits.h"
#include "core/fused_norm.h"
#include "core/listed_backend.h"
#include "cuda/algorithms.h"
#include "cuda/measure/limits.cuh"
#include "cuda/runtime/context.cuh"
#include "cuda/runtime/graph.cuh"
#include "cuda/runtime/guard.cuh"
#include "cuda/runtime/properties.cuh"
#include "cuda/vendor/vendor.h"
#ifndef __CUDACC__
#include "core/variants.h"
#include "cuda/simt/variants.h"
#endif

namespace isobit::gpu {
namespace {

class EventTimer final : public StretchTimer {
 public:
  explicit EventTimer(int device) : device_(device), start_(make(device)), stop_(make(device)) {}
  void start() override {
    const Guard guard(device_, "timer");
    start_.record(current_stream());
  }
  void stop() override {
    const Guard guard(device_, "timer");
    stop_.record(current_stream());
  }
  double seconds() override {
    const Guard guard(device_, "timer");
    stop_.synchronize();
    return stop_.milliseconds_since(start_) / 1e3;
  }

 private:
  static Event make(int device) {
    const Guard guard(device, "timer");
    return Event(true);
  }

  int device_;
  Event start_, stop_;
};

#ifdef __CUDACC__
/// A GPU has one way.
class Ways {};
#else
class Ways : public HasVariants {
 public:
  std::vector<std::string> variants() const override { return emulator::variants(); }
  void set_variant(std::string_view variant) override { emulator::set_variant(variant); }
  std::size_t enough() const override { return 3; }  // orders of execution
};
#endif

class CudaBackend final : public ListedBackend<Guard>, public HasLimits, public Ways, public HasFusedNorm {
 public:
  explicit CudaBackend(int device) : device_(device) {
    fill_algorithms(lists());
    norm_.set_fast({{"cudnn", vendor::refuse_norm_cudnn, vendor::norm_cudnn, true}});
  }

  std::string name() const override { return device_name(device_); }
  std::vector<DeviceProperty> properties() const override { return gpu::properties(device_); }
  std::string timing_key() const override {
    std::call_once(key_made_, [this] {
      const std::vector<DeviceProperty> of = properties();
      key_ = fmt::format("{}, {} {}", of.at(0).value, of.at(1).name, of.at(1).value);
    });
    return key_;
  }
  bool host_accessible() const override { return false; }

  void force_algorithm(std::string_view kernel, std::string_view algorithm) override {
    ListedBackend::force_algorithm(kernel, algorithm);
    if (kernel == norm_.kernel()) norm_forced_ = !algorithm.empty();
  }
  void norm(const NormGeometry& g, double eps, ConstView x, ConstView gamma, ConstView beta, View mean,
            View variance, View y) override {
    if (norm_forced_) {
      const Guard guard = enter("norm");
      norm_.run(g, eps, x, gamma, beta, mean, variance, y);
      return;
    }
    norm_statistics(g, x, mean, variance);
    norm_apply(g, eps, x, mean, variance, gamma, beta, y);
  }

  void* allocate(std::int64_t bytes) override {
    if (bytes == 0) return nullptr;
    const Guard guard(device_, nullptr);
    return current_context().pool().allocate(bytes);
  }
  void deallocate(void* data, std::int64_t bytes) noexcept override {
    if (data == nullptr) return;
    try {
      const Guard guard(device_, nullptr);
      current_context().pool().deallocate(data, bytes);
    } catch (const Error&) {  // the device is lost, and the memory with it
    }
  }
  MemoryStats memory_stats() const override {
    const Context* context = existing_context(device_);
    if (context == nullptr) return {};
    const Guard guard(device_, nullptr);
    return current_context().pool().stats();
  }
  void reset_peak_memory() override {
    if (Context* context = existing_context(device_)) context->pool().reset_peak();
  }
  void empty_cache() override {
    if (existing_context(device_) == nullptr) return;
    Recorder::refuse("empty_cache");
    const Guard guard(device_, nullptr);
    current_context().pool().empty_cache(current_stream());
  }
  void synchronize() override {
    Recorder::refuse("synchronize");
    const Guard guard(device_, nullptr);
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    forget_launches(device_);
  }

  void upload(void* destination, const void* host, std::int64_t bytes) override {
    Recorder::refuse("a copy from the host");
    transfer(destination, host, bytes, cudaMemcpyHostToDevice, "upload");
    wait();
  }
  void download(void* host, const void* source, std::int64_t bytes) override {
    Recorder::refuse("a copy to the host");
    transfer(host, source, bytes, cudaMemcpyDeviceToHost, "download");
    wait();
  }
  void copy(void* destination, const void* source, std::int64_t bytes) override {
    transfer(destination, source, bytes, cudaMemcpyDeviceToDevice, "copy");
  }

  void* stream() override {
    const Guard guard(device_, nullptr);
    return current_stream();
  }
  StreamChoice choose_stream(StreamChoice choice) override {
    const Guard guard(device_, nullptr);
    return gpu::choose_stream(choice);
  }
  void work_aside() override {
    const Guard guard(device_, nullptr);
    gpu::choose_stream({current_context().copy_stream(), false});
  }
  void* allocate_host(std::int64_t bytes) override {
    const Guard guard(device_, nullptr);
    void* data = nullptr;
    if (bytes <= 0) return data;
    const cudaError_t status = cudaHostAlloc(&data, static_cast<std::size_t>(bytes), cudaHostAllocPortable);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      throw OutOfMemory("allocate_host",
                        fmt::format("{} bytes of page-locked memory asked for: the host does "
                                    "not give them; smaller batches need less",
                                    bytes));
    }
    check(status, "cudaHostAlloc");
    return data;
  }
  void deallocate_host(void* data) noexcept override {
    if (data != nullptr && cudaFreeHost(data) != cudaSuccess) cudaGetLastError();
  }
  std::unique_ptr<WorkRecorder> record_work() override {
    const Guard guard(device_, "graphed");
    return std::make_unique<Recorder>(device_);
  }
  std::unique_ptr<StretchTimer> make_timer() override { return std::make_unique<EventTimer>(device_); }

  DeviceLimits measure_limits(int peak_rounds, int bandwidth_rounds) override {
    Recorder::refuse("measure_limits");
    const Guard guard(device_, "measure_limits");
    return gpu::measure_limits(peak_rounds, bandwidth_rounds);
  }
  std::int64_t cache_bytes() const override { return gpu::cache_bytes(device_); }
  void flush_cache() override {
    Recorder::refuse("flush_cache");
    const Guard guard(device_, "flush_cache");
    gpu::flush_cache(device_);
  }
  bool is_emulated() const override { return kEmulated; }

 protected:
  Guard enter(const char* kernel) const override { return Guard(device_, kernel); }

 private:
  void transfer(void* to, const void* from, std::int64_t bytes, cudaMemcpyKind kind, const char* name) {
    if (bytes == 0) return;
    const Guard guard(device_, name);
    check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), kind, current_stream()),
          "cudaMemcpyAsync");
  }
  void wait() {
    const Guard guard(device_, "download");
    check(cudaStreamSynchronize(current_stream()), "cudaStreamSynchronize");
    forget_launches(device_);
  }

  int device_;
  /// Statistics and result in one: forced, or not at all, since exact arithmetic has a kernel for each.
  AlgorithmList<void(const NormGeometry&, double, ConstView, ConstView, ConstView, View, View, View)> norm_{
      lists(), "norm"};
  std::atomic<bool> norm_forced_ = false;
  mutable std::once_flag key_made_;
  mutable std::string key_;
};

void register_one(int device) {
#ifdef ISOBIT_CUDA_ARCHITECTURES
  int major = 0, minor = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "cudaDeviceGetAttribute");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "cudaDeviceGetAttribute");
  if (std::string reason = why_not_built(ISOBIT_CUDA_ARCHITECTURES, major, minor); !reason.empty()) {
    report_missing_device(device_name(device), reason);
    return;
  }
#endif
  register_backend(std::make_unique<CudaBackend>(device));
}

}  // namespace

void register_device() {
#ifdef ISOBIT_SIMT_FMA
  if (!__builtin_cpu_supports("fma")) {
    report_missing_device("simt",
                          "its kernels were built for the fma instruction, which this processor lacks; build "
                          "with -DISOBIT_SIMT_FMA=OFF");
    return;
  }
#endif
  int count = 0, driver = 0, runtime = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) cudaGetLastError();
  if (cudaDriverGetVersion(&driver) != cudaSuccess) cudaGetLastError();
  if (cudaRuntimeGetVersion(&runtime) != cudaSuccess) cudaGetLastError();
  if (std::string reason = why_no_devices(status, count, driver, runtime); !reason.empty()) {
    report_missing_device(kEmulated ? "simt" : "cuda", reason);
    return;
  }
  for (int device = 0; device < count; ++device) {
    try {
      register_one(device);
    } catch (const Error& error) {
      report_missing_device(device_name(device), error.what());
    }
  }
}

}  // namespace isobit::gpu
