// The CPU device: every kernel of the seam goes to its algorithm list, with the caller's floating-point mode
// set aside for the time of the call.
#include "cpu/device.h"

#include <atomic>
#include <cstring>

#include "core/fused_norm.h"
#include "core/listed_backend.h"
#include "core/numerics/fp_mode.h"
#include "core/variants.h"
#include "cpu/algorithms.h"
#include "cpu/kernels/norm_fused.h"
#include "cpu/runtime/isa.h"
#include "cpu/runtime/memory_pool.h"
#include "cpu/runtime/properties.h"
#include "cpu/runtime/scratch.h"
#include "cpu/runtime/thread_pool.h"
#include "cpu/runtime/tile_unit.h"
#include "cpu/runtime/variants.h"

namespace isobit::cpu {
namespace {

// Sets the caller's floating-point mode aside for the time of the call.
using FpModeGuard = numerics::FpMode;

class CpuBackend final : public ListedBackend<FpModeGuard>, public HasVariants, public HasFusedNorm {
 public:
  CpuBackend() {
    initialize_isa();
    tile_unit();  // throws when ISOBIT_AMX is not understood
    fill_algorithms(lists());
  }

  std::string name() const override { return "cpu"; }
  std::vector<DeviceProperty> properties() const override { return cpu::properties(); }
  std::string timing_key() const override {
    return fmt::format("cpu: {}, {}, {} threads", processor(), isa_name(current_isa()), thread_count());
  }
  bool host_accessible() const override { return true; }

  void* allocate(std::int64_t bytes) override { return MemoryPool::instance().allocate(bytes); }
  void deallocate(void* data, std::int64_t bytes) noexcept override {
    MemoryPool::instance().deallocate(data, bytes);
  }
  MemoryStats memory_stats() const override {
    MemoryStats stats = MemoryPool::instance().stats();
    const detail::ScratchStats scratch = detail::scratch_stats();
    stats.working = scratch.held;
    stats.working_peak = scratch.peak;
    return stats;
  }
  void reset_peak_memory() override {
    MemoryPool::instance().reset_peak();
    detail::reset_scratch_peak();
  }
  void empty_cache() override {
    MemoryPool::instance().empty_cache();
    detail::release_scratch();
  }
  void synchronize() override {}
  void upload(void* destination, const void* host, std::int64_t bytes) override {
    copy_bytes(destination, host, bytes);
  }
  void download(void* host, const void* source, std::int64_t bytes) override {
    copy_bytes(host, source, bytes);
  }
  void copy(void* destination, const void* source, std::int64_t bytes) override {
    copy_bytes(destination, source, bytes);
  }
  void force_algorithm(std::string_view kernel, std::string_view algorithm) override {
    ListedBackend::force_algorithm(kernel, algorithm);
    if (kernel == "norm_statistics") statistics_forced_ = !algorithm.empty();
    if (kernel == "norm_apply") apply_forced_ = !algorithm.empty();
  }
  void norm(const NormGeometry& g, double eps, ConstView x, ConstView gamma, ConstView beta, View mean,
            View variance, View y) override {
    if (!statistics_forced_ && !apply_forced_) {
      const FpModeGuard guard;
      if (kernels::norm_fused(g, eps, x, gamma, beta, mean, variance, y)) {
        if (tracing::on()) {
          tracing::record("norm_statistics", "fused", describe_all(g, x, mean, variance));
          tracing::record("norm_apply", "fused", describe_all(g, eps, x, mean, variance, gamma, beta, y));
        }
        return;
      }
    }
    norm_statistics(g, x, mean, variance);
    norm_apply(g, eps, x, mean, variance, gamma, beta, y);
  }

  std::string why_no_fast_mode() const override {
    const char* const why = why_no_tile_unit();
    return why != nullptr ? why : "";
  }
  double finer_roundoff(Math math) const override { return math == Math::fast ? 0x1p-16 : 0; }  // two bf16

  std::vector<std::string> variants() const override { return variants_.names(); }
  void set_variant(std::string_view variant) override { variants_.set(variant); }

 protected:
  FpModeGuard enter(const char*) const override { return FpModeGuard(); }

 private:
  Variants variants_;
  std::atomic<bool> statistics_forced_ = false, apply_forced_ = false;  // fused, neither would be chosen
  static void copy_bytes(void* to, const void* from, std::int64_t bytes) {
    parallel_ranges(bytes, std::int64_t{1} << 20, [&](std::int64_t begin, std::int64_t end) {
      std::memcpy(static_cast<char*>(to) + begin, static_cast<const char*>(from) + begin,
                  static_cast<std::size_t>(end - begin));
    });
  }
};

}  // namespace

void register_device() {
  register_backend(std::make_unique<CpuBackend>());
}

}  // namespace isobit::cpu
