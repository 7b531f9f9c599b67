// The CPU device behind the seam: memory, copies, the floating-point mode at every entry, forced algorithms.
#include <gtest/gtest.h>
#include <isobit/error.h>

#include <limits>
#include <vector>

#include "core/backend.h"
#include "core/numerics/fp_mode.h"
#include "core/trace.h"
#include "tests/support/buffers.h"
#include "tests/support/compare.h"
#include "tests/support/shapes.h"
#include "tests/support/values.h"

namespace isobit {
namespace {

using test::FencedBuffer;

Backend& cpu() {
  return backend(Device::cpu());
}

StridedGeometry dense(std::int64_t n) {
  StridedGeometry g;
  g.extent[0] = n;
  for (auto& stride : g.stride) stride[0] = 1;
  return g;
}

TEST(CpuDevice, AllocatesAndCounts) {
  const MemoryStats before = memory_stats();
  void* data = cpu().allocate(1000);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % 64, 0u);
  EXPECT_EQ(memory_stats().current - before.current, 1024);
  cpu().deallocate(data, 1000);
  EXPECT_EQ(memory_stats().current, before.current);
  EXPECT_EQ(cpu().allocate(0), nullptr);
  cpu().deallocate(nullptr, 0);
  EXPECT_THROW(cpu().allocate(std::int64_t{1} << 60), OutOfMemory);
}

TEST(CpuDevice, CopiesBytesOfAnySize) {
  for (const std::int64_t size : {0, 1, 1000, (3 << 20) + 7}) {
    FencedBuffer from(DType::u8, size, 3), to(DType::u8, size, 5), back(DType::u8, size);
    test::fill_hard(from.view(), 1);
    cpu().upload(to.view().data, from.read().data, size);
    cpu().download(back.view().data, to.read().data, size);
    EXPECT_TRUE(test::equal_bits(back.read(), from.read()));
    EXPECT_TRUE(to.fences_hold());
    back.poison();
    cpu().copy(back.view().data, to.read().data, size);
    EXPECT_TRUE(test::equal_bits(back.read(), from.read()));
    EXPECT_TRUE(back.fences_hold());
  }
}

#if defined(__x86_64__)
TEST(CpuDevice, EveryEntryComputesInTheExactModeAndGivesTheCallersBack) {
  const std::vector<float> x{0x1p-130f, 1 + 0x1p-23f}, y{0.5f, 1 + 0x1p-23f};
  std::vector<float> z(2);
  const unsigned before = __builtin_ia32_stmxcsr();
  const unsigned odd =
      (before & ~0xe040u) | 0x8040u | 0x4000u;  // flush to zero, denormals are zero, round up
  __builtin_ia32_ldmxcsr(odd);
  cpu().binary(BinaryOp::mul, 0.0, dense(2), {x.data(), DType::f32, 2}, {y.data(), DType::f32, 2},
               {z.data(), DType::f32, 2});
  const unsigned after = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(before);
  EXPECT_EQ(after & 0xffc0u, odd & 0xffc0u);
  EXPECT_EQ(z[0], 0x1p-131f) << "subnormals are kept";
  EXPECT_EQ(z[1], 1 + 0x1p-22f) << "rounded to nearest";
}
#endif

TEST(CpuDevice, AForcedAlgorithmIsTheOneThatRuns) {
  const ConvGeometry g = test::parse_conv_shape("mb2ic5ih7oc9kh3ph1").geometry;
  FencedBuffer x(DType::f32, g.x_size()), w(DType::f32, g.w_size()), first(DType::f32, g.y_size());
  test::fill_hard(x.view(), 1);
  test::fill_hard(w.view(), 2);
  cpu().force_algorithm("conv_forward", "reference");
  cpu().conv_forward(g, x.read(), w.read(), {}, first.view());
  cpu().force_algorithm("conv_forward", "");
  for (const std::string& name : cpu().algorithms("conv_forward")) {
    cpu().force_algorithm("conv_forward", name);
    FencedBuffer y(DType::f32, g.y_size());
    TraceCapture capture;
    std::string refusal;
    try {
      cpu().conv_forward(g, x.read(), w.read(), {}, y.view());
    } catch (const Error& e) {
      refusal = e.what();
    }
    cpu().force_algorithm("conv_forward", "");
    if (!refusal.empty()) {
      EXPECT_NE(refusal.find(g.to_string()), std::string::npos) << refusal;
      EXPECT_EQ(capture.count("conv_forward"), 0);
      continue;
    }
    EXPECT_EQ(capture.count("conv_forward", name), 1);
    EXPECT_EQ(capture.count("conv_forward"), 1);
    test::expect_equal_bits(y.read(), first.read(), name);
  }
}

}  // namespace
}  // namespace isobit
