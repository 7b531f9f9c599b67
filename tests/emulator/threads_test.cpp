// Faults of threads, warps and blocks: barriers, masks, launches.
#include "tests/emulator/faults.h"

namespace isobit::emulator {
namespace {

__global__ void two_barriers() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
__global__ void return_before_barrier(int from) {
  if (threadIdx.x >= static_cast<unsigned>(from)) return;
  __syncthreads();
}
__global__ void mixed_barriers(int* out) {
  out[threadIdx.x] = threadIdx.x < 32 ? __syncthreads_or(1) : __syncthreads_and(1);
}
__global__ void mask_without_caller(int* out) {
  out[threadIdx.x] = __shfl_sync(0x7fffffffu, 1, 0);
}
__global__ void masks_differ(int* out) {
  out[threadIdx.x] = __shfl_sync(threadIdx.x < 16 ? kAll : 0xffff8000u, 1, 16);
}
__global__ void lane_has_returned(int* out) {
  if (threadIdx.x == 5) return;
  out[threadIdx.x] = __shfl_xor_sync(kAll, 1, 1);
}
__global__ void source_outside_mask(int* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0xffffu, static_cast<int>(threadIdx.x), 20);
}
__global__ void down_from_outside(int* out) {
  if (threadIdx.x < 24) out[threadIdx.x] = __shfl_down_sync(0xffffffu, 1, 4);
}
__global__ void mixed_collectives(int* out) {
  out[threadIdx.x] = threadIdx.x < 16 ? __shfl_sync(kAll, 1, 0) : static_cast<int>(__ballot_sync(kAll, 1));
}
__global__ void same_collective_elsewhere(int* out) {
  if (threadIdx.x % 2 == 0) {
    out[threadIdx.x] = __shfl_sync(kAll, 1, 0);
  } else {
    out[threadIdx.x] = __shfl_sync(kAll, 2, 0);
  }
}
__global__ void bad_width(int* out) {
  out[threadIdx.x] = __shfl_sync(kAll, 1, 0, 12);
}
__global__ void warp_deadlock() {
  if (threadIdx.x < 16) {
    __syncwarp();
  } else {
    __syncthreads();
  }
  __syncthreads();
}
__global__ void block_deadlock() {
  if (threadIdx.x >= 48) __syncwarp();
  __syncthreads();
}
__global__ void traps(int* out, int limit) {
  if (static_cast<int>(threadIdx.x) >= limit) __trap();
  out[threadIdx.x] = 1;
}
__global__ void set(int* out) {
  out[blockIdx.x * blockDim.x + threadIdx.x] = 1;
}

TEST_F(Simt, DivergentBarrier) {
  for (const Schedule s : kSchedules) {
    schedule(s);
    launch(two_barriers, 1, 64, 0, nullptr);
    expect_fault(FaultKind::divergent_barrier);
  }
}
TEST_F(Simt, ReturnBeforeBarrier) {
  for (const Schedule s : kSchedules) {
    schedule(s);
    launch(return_before_barrier, 2, 64, 0, nullptr, 63);
    expect_fault(FaultKind::returned_before_barrier);
  }
}
TEST_F(Simt, WholeWarpReturnsBeforeBarrier) {
  launch(return_before_barrier, 1, 64, 0, nullptr, 32);
  expect_fault(FaultKind::returned_before_barrier);
}
TEST_F(Simt, BarriersOfDifferentKinds) {
  launch(mixed_barriers, 1, 64, 0, nullptr, unwritten<int>(64));
  expect_fault(FaultKind::divergent_barrier);
}
TEST_F(Simt, MaskWithoutTheCaller) {
  launch(mask_without_caller, 1, 32, 0, nullptr, unwritten<int>(32));
  expect_fault(FaultKind::bad_mask);
}
TEST_F(Simt, MasksDiffer) {
  for (const Schedule s : kSchedules) {
    schedule(s);
    launch(masks_differ, 1, 32, 0, nullptr, unwritten<int>(32));
    expect_fault(FaultKind::bad_mask);
  }
}
TEST_F(Simt, MaskNamesLaneThatReturned) {
  launch(lane_has_returned, 1, 32, 0, nullptr, unwritten<int>(32));
  expect_fault(FaultKind::bad_lane);
}
TEST_F(Simt, MaskNamesLaneThatTheBlockLacks) {
  launch(mixed_collectives, 1, 16, 0, nullptr, unwritten<int>(32));
  expect_fault(FaultKind::bad_lane);
}
TEST_F(Simt, ShuffleFromLaneOutsideTheMask) {
  launch(source_outside_mask, 1, 32, 0, nullptr, unwritten<int>(32));
  expect_fault(FaultKind::bad_lane);
}
TEST_F(Simt, ShuffleDownFromOutsideTheMask) {
  launch(down_from_outside, 1, 32, 0, nullptr, unwritten<int>(32));
  expect_fault(FaultKind::bad_lane);
}
TEST_F(Simt, MixedCollectives) {
  launch(mixed_collectives, 1, 32, 0, nullptr, unwritten<int>(32));
  expect_fault(FaultKind::mixed_collectives);
}
TEST_F(Simt, ShuffleInBothBranches) {
  launch(same_collective_elsewhere, 1, 32, 0, nullptr, unwritten<int>(32));
  expect_fault(FaultKind::mixed_collectives);
}
TEST_F(Simt, ShuffleOfBadWidth) {
  launch(bad_width, 1, 32, 0, nullptr, unwritten<int>(32));
  expect_fault(FaultKind::bad_lane);
}
TEST_F(Simt, DeadlockWithinAWarp) {
  for (const Schedule s : kSchedules) {
    schedule(s);
    launch(warp_deadlock, 1, 32, 0, nullptr);
    expect_fault(FaultKind::deadlock);
  }
}
TEST_F(Simt, DeadlockSaysWhoWaitsWhere) {
  launch(block_deadlock, 1, 64, 0, nullptr);
  EXPECT_NE(cudaDeviceSynchronize(), cudaSuccess);
  const std::string text = fault().text;
  EXPECT_NE(text.find("48 wait at the barrier"), std::string::npos) << text;
  EXPECT_NE(text.find("16 wait at __syncwarp"), std::string::npos) << text;
  EXPECT_NE(text.find("block_deadlock"), std::string::npos) << text;
  EXPECT_NE(text.find("threads_test.cpp:"), std::string::npos) << text;
  expect_fault(FaultKind::deadlock);
}
TEST_F(Simt, Trap) {
  launch(traps, 1, 32, 0, nullptr, unwritten<int>(32), 31);
  expect_fault(FaultKind::trap);
}
TEST_F(Simt, NothingRunsAfterAFault) {
  int* const out = device(std::vector<int>(32, 7));
  launch(traps, 1, 32, 0, nullptr, unwritten<int>(32), 0);
  EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalInstruction);
  launch(set, 1, 32, 0, nullptr, out);
  int value = 0;
  EXPECT_EQ(cudaMemcpy(&value, out, 4, cudaMemcpyDeviceToHost), cudaErrorIllegalInstruction);
  EXPECT_EQ(value, 0);
  expect_fault(FaultKind::trap);
}

TEST_F(Simt, BlockTooBig) {
  launch(set, 1, 1025, 0, nullptr, unwritten<int>(2048));
  expect_refused(cudaErrorInvalidConfiguration);
  launch(set, 1, dim3(1, 1, 65), 0, nullptr, unwritten<int>(2048));
  expect_refused(cudaErrorInvalidConfiguration);
  launch(set, 1, dim3(64, 64), 0, nullptr, unwritten<int>(2048));
  expect_refused(cudaErrorInvalidConfiguration);
}
TEST_F(Simt, EmptyBlockAndGrid) {
  launch(set, 1, 0, 0, nullptr, unwritten<int>(32));
  expect_refused(cudaErrorInvalidConfiguration);
  launch(set, 0, 32, 0, nullptr, unwritten<int>(32));
  expect_refused(cudaErrorInvalidConfiguration);
}
TEST_F(Simt, GridTooBig) {
  launch(set, dim3(1, 65536), 32, 0, nullptr, unwritten<int>(32));
  expect_refused(cudaErrorInvalidConfiguration);
  launch(set, dim3(1, 1, 65536), 32, 0, nullptr, unwritten<int>(32));
  expect_refused(cudaErrorInvalidConfiguration);
  launch(set, dim3(0x80000000u), 32, 0, nullptr, unwritten<int>(32));
  expect_refused(cudaErrorInvalidConfiguration);
}
TEST_F(Simt, DynamicSharedMemoryMustBeAllowed) {
  int* const out = unwritten<int>(32);
  launch(set, 1, 32, (48 << 10) + 1, nullptr, out);
  expect_refused(cudaErrorInvalidValue);
  EXPECT_EQ(cudaFuncSetAttribute(set, cudaFuncAttributeMaxDynamicSharedMemorySize, 1 << 20),
            cudaErrorInvalidValue);
  expect_refused(cudaErrorInvalidValue);
  EXPECT_EQ(cudaFuncSetAttribute(set, cudaFuncAttributeMaxDynamicSharedMemorySize, 64 << 10), cudaSuccess);
  launch(set, 1, 32, 64 << 10, nullptr, out);
  expect_fine();
  EXPECT_EQ(host(out, 32)[31], 1);
}
TEST_F(Simt, LaunchOnADestroyedStream) {
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cudaStreamCreate(&stream), cudaSuccess);
  ASSERT_EQ(cudaStreamDestroy(stream), cudaSuccess);
  launch(set, 1, 32, 0, stream, unwritten<int>(32));
  expect_refused(cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaErrorInvalidResourceHandle);
  expect_refused(cudaErrorInvalidResourceHandle);
}

}  // namespace
}  // namespace isobit::emulator
