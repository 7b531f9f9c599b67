// Faults of memory, each noticed by the emulator as it is built by default.
#include <cstdlib>

#include "tests/emulator/faults.h"

namespace isobit::emulator {
namespace {

__global__ void write_at(float* data, std::ptrdiff_t offset) {
  data[offset + threadIdx.x] = 1;
}
__global__ void read_at(const float* data, std::ptrdiff_t offset, float* out) {
  out[threadIdx.x] = data[offset + threadIdx.x];
}
__global__ void deep_stack(float* out) {
  volatile char many[500000];
  for (int i = 0; i < 500000; i += 64) many[i] = 1;
  out[threadIdx.x] = many[64];
}
__global__ void shared_overrun(float* out, int past) {
  SHARED(tile, float[32]);
  tile[static_cast<int>(threadIdx.x) + past] = 1;
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x];
}
__global__ void dynamic_overrun(float* out, int past) {
  DYN_SHARED(tile, float);
  tile[static_cast<int>(threadIdx.x) + past] = 1;
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x];
}
__global__ void much_shared(float* out) {
  SHARED(a, float[8192]);
  SHARED(b, float[8192]);
  a[threadIdx.x] = b[threadIdx.x] = 1;
  out[threadIdx.x] = a[threadIdx.x];
}
__global__ void double_half(const float* in, float* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = 2 * in[threadIdx.x];
}
__global__ void shared_unwritten(float* out) {
  SHARED(tile, float[32]);
  if (threadIdx.x < 31) tile[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x];
}

TEST_F(Simt, GlobalWriteBeyondTheEnd) {
  launch(write_at, 1, 32, 0, nullptr, unwritten(64), 64 + 32);
  expect_fault(FaultKind::out_of_bounds);
}
TEST_F(Simt, GlobalReadBeforeTheBeginning) {
  launch(read_at, 1, 32, 0, nullptr, device(counting(1024)), -64, unwritten(32));
  expect_fault(FaultKind::out_of_bounds);
}
TEST_F(Simt, GlobalWriteFarAway) {
  launch(write_at, 1, 32, 0, nullptr, unwritten(64), std::ptrdiff_t{1} << 32);
  expect_fault(FaultKind::out_of_bounds);
}
TEST_F(Simt, NullPointer) {
  if (kAsan) GTEST_SKIP() << "the sanitizers end the process at the access";
  launch(write_at, 1, 32, 0, nullptr, nullptr, 0);
  expect_fault(FaultKind::out_of_bounds);
}
TEST_F(Simt, UseAfterFree) {
  float* const memory = unwritten(64);
  ASSERT_EQ(cudaFree(memory), cudaSuccess);
  launch(write_at, 1, 32, 0, nullptr, memory, 0);
  expect_fault(FaultKind::use_after_free);
}
TEST_F(Simt, AddressesAreNotUsedAgain) {
  float* const first = unwritten(64);
  ASSERT_EQ(cudaFree(first), cudaSuccess);
  for (int i = 0; i < 1000; ++i) {
    float* const next = unwritten(64);
    ASSERT_NE(next, first);
    ASSERT_EQ(cudaFree(next), cudaSuccess);
  }
}
TEST_F(Simt, StackOverflow) {
  launch(deep_stack, 1, 32, 0, nullptr, unwritten(32));
  expect_fault(FaultKind::out_of_bounds);
}

// A few bytes too far, within the fence: found when somebody waits or frees. The address sanitizer finds it
// at once.
TEST_F(Simt, GlobalFenceFoundAtSynchronise) {
  if (kAsan) GTEST_SKIP() << "the address sanitizer ends the process at the access";
  launch(write_at, 1, 32, 0, nullptr, unwritten(60), 29);
  expect_fault(FaultKind::memory_fence);
}
TEST_F(Simt, GlobalFenceFoundAtFree) {
  if (kAsan) GTEST_SKIP() << "the address sanitizer ends the process at the access";
  float* const memory = unwritten(60);
  launch(write_at, 1, 32, 0, nullptr, memory, -1);
  EXPECT_NE(cudaFree(memory), cudaSuccess);
  expect_fault(FaultKind::memory_fence);
}
TEST_F(Simt, SharedOverrun) {
  if (kAsan) GTEST_SKIP() << "the address sanitizer ends the process at the access";
  launch(shared_overrun, 1, 32, 0, nullptr, unwritten(32), 1);
  expect_fault(FaultKind::shared_fence);
}
TEST_F(Simt, SharedUnderrun) {
  if (kAsan) GTEST_SKIP() << "the address sanitizer ends the process at the access";
  launch(shared_overrun, 1, 32, 0, nullptr, unwritten(32), -1);
  expect_fault(FaultKind::shared_fence);
}
TEST_F(Simt, DynamicSharedOverrun) {
  if (kAsan) GTEST_SKIP() << "the address sanitizer ends the process at the access";
  launch(dynamic_overrun, 1, 32, 32 * 4, nullptr, unwritten(32), 1);
  expect_fault(FaultKind::shared_fence);
}
TEST_F(Simt, TooMuchSharedMemory) {
  launch(much_shared, 1, 32, 0, nullptr, unwritten(32));
  expect_fault(FaultKind::shared_limit);
}

TEST_F(Simt, UnwrittenOutputIsNaN) {
  float* const out = unwritten(32);
  launch(double_half, 1, 32, 0, nullptr, device(counting(32)), out);
  const std::vector<float> values = host(out, 32);
  EXPECT_EQ(values[15], 30);
  for (int i = 16; i < 32; ++i) EXPECT_TRUE(std::isnan(values[static_cast<std::size_t>(i)]));
}
TEST_F(Simt, UnwrittenSharedIsNaN) {
  float* const out = unwritten(64);
  launch(shared_unwritten, 2, 32, 0, nullptr, out);
  EXPECT_EQ(host(out, 32)[30], 1);
  EXPECT_TRUE(std::isnan(host(out, 32)[31]));
}

TEST_F(Simt, DoubleFree) {
  float* const memory = unwritten(64);
  EXPECT_EQ(cudaFree(memory), cudaSuccess);
  EXPECT_EQ(cudaFree(memory), cudaErrorInvalidValue);
  expect_refused(cudaErrorInvalidValue);
}
TEST_F(Simt, FreeOfTheMiddle) {
  EXPECT_EQ(cudaFree(unwritten(64) + 8), cudaErrorInvalidValue);
  expect_refused(cudaErrorInvalidValue);
}
TEST_F(Simt, FreeOfHostMemory) {
  float value = 0;
  EXPECT_EQ(cudaFree(&value), cudaErrorInvalidValue);
  expect_refused(cudaErrorInvalidValue);
}
TEST_F(Simt, CopyBeyondTheEnd) {
  const std::vector<float> values = counting(65);
  EXPECT_EQ(cudaMemcpy(unwritten(64), values.data(), 65 * 4, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  expect_refused(cudaErrorInvalidValue);
}
TEST_F(Simt, CopyInTheWrongDirection) {
  std::vector<float> values = counting(64);
  EXPECT_EQ(cudaMemcpy(unwritten(64), values.data(), 64 * 4, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  expect_refused(cudaErrorInvalidValue);
}
TEST_F(Simt, SetBeyondTheEnd) {
  EXPECT_EQ(cudaMemset(unwritten(64), 0, 257), cudaErrorInvalidValue);
  expect_refused(cudaErrorInvalidValue);
}
TEST_F(Simt, OutOfMemoryIsNotSticky) {
  Settings now = settings();
  now.memory = 1 << 20;
  configure(now);
  void *a = nullptr, *b = nullptr;
  EXPECT_EQ(cudaMalloc(&a, 600 << 10), cudaSuccess);
  EXPECT_EQ(cudaMallocAsync(&b, 600 << 10, nullptr), cudaErrorMemoryAllocation);
  EXPECT_EQ(b, nullptr);
  EXPECT_EQ(cudaFree(a), cudaSuccess);
  EXPECT_EQ(cudaMallocAsync(&b, 600 << 10, nullptr), cudaSuccess);
  std::size_t available = 0, total = 0;
  EXPECT_EQ(cudaMemGetInfo(&available, &total), cudaSuccess);
  EXPECT_EQ(total, 1u << 20);
  EXPECT_EQ(available, total - (600 << 10));
  expect_refused(cudaErrorMemoryAllocation);
}
TEST_F(Simt, PoolKeepsWhatWasFreedUntilTrimmed) {
  Settings now = settings();
  now.memory = 1 << 20;
  configure(now);
  cudaMemPool_t pool = nullptr;
  ASSERT_EQ(cudaDeviceGetDefaultMemPool(&pool, 0), cudaSuccess);
  std::uint64_t keep = ~std::uint64_t{0}, reserved = 0;
  ASSERT_EQ(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep), cudaSuccess);
  void *a = nullptr, *b = nullptr;
  ASSERT_EQ(cudaMallocAsync(&a, 600 << 10, nullptr), cudaSuccess);
  ASSERT_EQ(cudaFreeAsync(a, nullptr), cudaSuccess);
  EXPECT_EQ(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReservedMemCurrent, &reserved), cudaSuccess);
  EXPECT_EQ(reserved, 600u << 10);
  EXPECT_EQ(cudaMalloc(&b, 600 << 10), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaMemPoolTrimTo(pool, 0), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&b, 600 << 10), cudaSuccess);
  keep = 0;
  ASSERT_EQ(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep), cudaSuccess);
}

TEST_F(Simt, HostCodeTouchesDeviceMemory) {
  const auto touch = [] {
    Settings now = settings();
    now.protect = true;
    configure(now);
    float* const memory = device(std::vector<float>{1, 2, 3});
    launch(write_at, 1, 1, 0, nullptr, memory, 0);
    if (host(memory, 3)[0] != 1) std::_Exit(1);  // copies and kernels still may
    const volatile float stolen = memory[1];
    std::_Exit(stolen == 2 ? 0 : 2);
  };
  EXPECT_DEATH(touch(), "host code touches device memory|AddressSanitizer");
}

}  // namespace
}  // namespace isobit::emulator
