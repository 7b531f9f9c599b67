// Faults that only the access tracer notices, and at the access itself; and kernels that it must not blame.
// This file is compiled with -fsanitize=thread and linked with cuda/simt/tracer/ (CMakeLists.txt here).
#include "cuda/simt/async_copy.h"
#include "cuda/simt/tracer/tracer.h"
#include "tests/emulator/faults.h"

namespace isobit::emulator {
namespace {

volatile int host_variable = 0;
constexpr float kTable[32] = {1, 2, 3, 4};

struct Indirect {
  const float* data;
};

__global__ void one_past(float* data, int past) {
  data[static_cast<int>(threadIdx.x) + past] = 1;
}
__global__ void shared_past(float* out, int past) {
  SHARED(tile, float[32]);
  SHARED(other, float[32]);
  tile[static_cast<int>(threadIdx.x) + past] = 1;
  other[threadIdx.x] = 1;
  out[threadIdx.x] = other[threadIdx.x];
}
__global__ void dynamic_past(float* out, int past) {
  DYN_SHARED(tile, float);
  tile[threadIdx.x] = 1;
  out[threadIdx.x] = tile[static_cast<int>(threadIdx.x) + past];
}
__global__ void add(const float* a, float* out) {
  out[threadIdx.x] = a[threadIdx.x] + kTable[threadIdx.x];
}
__global__ void through(const Indirect* p, float* out) {
  out[threadIdx.x] = p->data[threadIdx.x];
}
__global__ void write_host_variable() {
  host_variable = 1;
}
__global__ void vectors(const float* in, float4* out, int offset) {
  out[threadIdx.x] = *reinterpret_cast<const float4*>(in + 4 * threadIdx.x + offset);
}
__global__ void shared_unwritten(float* out) {
  SHARED(tile, float[64]);
  tile[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x + 1];
}
__global__ void half_output(float* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = 1;
}
template <bool kBarrier>
__global__ void write_then_read(float* out) {
  SHARED(tile, float[64]);
  tile[threadIdx.x] = 1;
  if (kBarrier) __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x ^ 32u];
}
template <bool kBarrier>
__global__ void read_then_write(float* out) {
  SHARED(tile, float[64]);
  tile[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x ^ 32u];
  if (kBarrier) __syncthreads();
  tile[threadIdx.x] = 2;
}
__global__ void all_write_one(float* out) {
  SHARED(tile, float[1]);
  tile[0] = 1;
  __syncthreads();
  out[threadIdx.x] = tile[0];
}
// mask 0: no meeting at all.
__global__ void within_warp(float* out, unsigned mask) {
  SHARED(tile, float[32]);
  tile[threadIdx.x] = 1;
  if ((mask >> threadIdx.x & 1) != 0) __syncwarp(mask);
  out[threadIdx.x] = tile[threadIdx.x ^ 1u];
}
__global__ void shuffle_is_no_barrier(float* out) {
  SHARED(tile, float[32]);
  tile[threadIdx.x] = 1;
  const float v = __shfl_xor_sync(kAll, 1.0f, 1);
  out[threadIdx.x] = tile[threadIdx.x ^ 1u] + v;
}
__global__ void blocks_write_one(float* out) {
  out[threadIdx.x] = 1;
}
__global__ void blocks_read_the_next(float* data) {
  const float v = data[blockIdx.x + 1];
  data[blockIdx.x] = v;
}
__global__ void count(int* out) {
  atomicAdd(out, 1);
}
__global__ void count_and_look(int* out, int* seen) {
  atomicAdd(out, 1);
  seen[blockIdx.x] = *out;
}
// The last block to take a ticket adds up what all have left.
template <bool kTicket>
__global__ void ticket(float* parts, unsigned* tickets, float* sum) {
  SHARED(last, bool);
  if (threadIdx.x == 0) {
    parts[blockIdx.x] = 1;
    __threadfence();
    last = kTicket ? atomicAdd(tickets, 1u) == gridDim.x - 1 : blockIdx.x == gridDim.x - 1;
  }
  __syncthreads();
  if (!last || threadIdx.x != 0) return;
  float s = 0;
  for (unsigned b = 0; b < gridDim.x; ++b) s += parts[b];
  *sum = s;
}
template <bool kWait, bool kBarrier>
__global__ void asynchronous(const float* in, float* out) {
  SHARED(tile, float[32]);
  async_copy(&tile[threadIdx.x], in + threadIdx.x, 4, 4, "traced_faults", 1);
  async_commit();
  if (kWait) async_wait(0);
  if (kBarrier) __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x ^ 1u];
}
__global__ void transpose(const float* in, float* out, int pitch) {
  DYN_SHARED(tile, float);
  const int lane = static_cast<int>(threadIdx.x % 32), row = static_cast<int>(threadIdx.x / 32);
  tile[row * pitch + lane] = in[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = tile[lane * pitch + row];
}
__global__ void strided(const float* in, float* out, int stride) {
  out[threadIdx.x] = in[threadIdx.x * static_cast<unsigned>(stride)];
}

TEST_F(Simt, OneElementPastTheEnd) {
  launch(one_past, 1, 32, 0, nullptr, unwritten(32), 1);
  EXPECT_NE(fault().text.find("traced_faults.cpp:"), std::string::npos) << fault().text;
  expect_fault(FaultKind::out_of_bounds);
}
TEST_F(Simt, OneElementBefore) {
  launch(one_past, 1, 32, 0, nullptr, unwritten(32), -1);
  expect_fault(FaultKind::out_of_bounds);
}
TEST_F(Simt, OneElementPastASharedVariable) {
  launch(shared_past, 1, 32, 0, nullptr, unwritten(32), 1);
  expect_fault(FaultKind::out_of_bounds);
}
TEST_F(Simt, OneElementPastDynamicSharedMemory) {
  launch(dynamic_past, 1, 32, 128, nullptr, unwritten(32), 32);
  expect_fault(FaultKind::out_of_bounds);
}
TEST_F(Simt, HostPointer) {
  const std::vector<float> values = counting(32);
  launch(add, 1, 32, 0, nullptr, values.data(), unwritten(32));
  expect_fault(FaultKind::host_pointer);
}
TEST_F(Simt, PointerToTheHostsStack) {
  float values[32] = {};
  launch(add, 1, 32, 0, nullptr, values, unwritten(32));
  expect_fault(FaultKind::host_pointer);
}
TEST_F(Simt, HostPointerBehindADevicePointer) {
  const std::vector<float> values = counting(32);
  launch(through, 1, 32, 0, nullptr, device(std::vector<Indirect>{{values.data()}}), unwritten(32));
  expect_fault(FaultKind::host_pointer);
}
TEST_F(Simt, WriteToAHostVariable) {
  launch(write_host_variable, 1, 32, 0, nullptr);
  expect_fault(FaultKind::host_pointer);
}
TEST_F(Simt, MisalignedVector) {
  launch(vectors, 1, 8, 0, nullptr, device(counting(64)), unwritten<float4>(8), 1);
  expect_fault(FaultKind::misaligned);
}
TEST_F(Simt, ReadOfUnwrittenGlobalMemory) {
  launch(add, 1, 32, 0, nullptr, unwritten(32), unwritten(32));
  expect_fault(FaultKind::uninitialised);
}
TEST_F(Simt, ReadOfUnwrittenSharedMemory) {
  launch(shared_unwritten, 1, 32, 0, nullptr, unwritten(32));
  expect_fault(FaultKind::uninitialised);
}
TEST_F(Simt, UnwrittenOutputCopiedToTheHost) {
  float* const out = unwritten(32);
  launch(half_output, 1, 32, 0, nullptr, out);
  expect_fine();
  float values[32];
  EXPECT_NE(cudaMemcpy(values, out, 128, cudaMemcpyDeviceToHost), cudaSuccess);
  expect_fault(FaultKind::uninitialised);
}
TEST_F(Simt, UnwrittenBytesCopiedOnTheDevice) {
  float* const copy = unwritten(32);
  EXPECT_EQ(cudaMemcpy(copy, unwritten(32), 128, cudaMemcpyDeviceToDevice), cudaSuccess);
  launch(add, 1, 32, 0, nullptr, copy, unwritten(32));
  expect_fault(FaultKind::uninitialised);
}
TEST_F(Simt, UseOfFreedMemory) {
  float* const memory = device(counting(32));
  ASSERT_EQ(cudaFree(memory), cudaSuccess);
  launch(add, 1, 32, 0, nullptr, memory, unwritten(32));
  expect_fault(FaultKind::use_after_free);
}
TEST_F(Simt, SharedRaceReadAfterWrite) {
  for (const Schedule s : kSchedules) {
    schedule(s);
    launch(write_then_read<true>, 1, 64, 0, nullptr, unwritten(64));
    expect_fine();
    launch(write_then_read<false>, 1, 64, 0, nullptr, unwritten(64));
    // Whoever comes first finds what nobody has written.
    EXPECT_TRUE(fault().kind == FaultKind::shared_race || fault().kind == FaultKind::uninitialised)
        << fault().text;
    expect_fault(fault().kind);
  }
}
TEST_F(Simt, SharedRaceWriteAfterRead) {
  for (const Schedule s : kSchedules) {
    schedule(s);
    launch(read_then_write<true>, 1, 64, 0, nullptr, unwritten(64));
    expect_fine();
    launch(read_then_write<false>, 1, 64, 0, nullptr, unwritten(64));
    expect_fault(FaultKind::shared_race);
  }
}
TEST_F(Simt, SharedRaceWriteAfterWrite) {
  launch(all_write_one, 1, 64, 0, nullptr, unwritten(64));
  expect_fault(FaultKind::shared_race);
}
TEST_F(Simt, SyncWarpOrdersItsLanes) {
  launch(within_warp, 1, 32, 0, nullptr, unwritten(32), kAll);
  expect_fine();
  launch(within_warp, 1, 32, 0, nullptr, unwritten(32), 0u);
  EXPECT_NE(fault().kind, FaultKind::none);
  expect_fault(fault().kind);
}
TEST_F(Simt, SyncWarpThatLeavesLanesOut) {
  launch(within_warp, 1, 32, 0, nullptr, unwritten(32), 0x55555555u);
  EXPECT_NE(fault().kind, FaultKind::none);
  expect_fault(fault().kind);
}
TEST_F(Simt, AShuffleOrdersNoMemory) {
  launch(shuffle_is_no_barrier, 1, 32, 0, nullptr, unwritten(32));
  expect_fault(FaultKind::shared_race);
}
TEST_F(Simt, BlocksThatWriteTheSame) {
  launch(blocks_write_one, 2, 32, 0, nullptr, unwritten(32));
  expect_fault(FaultKind::global_race);
}
TEST_F(Simt, BlocksThatReadWhatOthersWrite) {
  for (const Schedule s : {Schedule::forward, Schedule::reverse}) {
    schedule(s);
    launch(blocks_read_the_next, 2, 1, 0, nullptr, device(counting(3)));
    expect_fault(FaultKind::global_race);
  }
}
TEST_F(Simt, AtomicsDoNotRaceWithThemselves) {
  int* const out = device(std::vector<int>{0});
  launch(count, 4, 32, 0, nullptr, out);
  expect_fine();
  EXPECT_EQ(host(out, 1)[0], 128);
}
TEST_F(Simt, PlainReadOfAnAtomicCounter) {
  launch(count_and_look, 4, 1, 0, nullptr, device(std::vector<int>{0}), unwritten<int>(4));
  // Every block updated it before it looked: the later ones come after the earlier, not the other way round.
  expect_fault(FaultKind::global_race);
}
TEST_F(Simt, ATicketOrdersBlocks) {
  for (const Schedule s : kSchedules) {
    schedule(s, 2);
    float* const sum = unwritten(1);
    launch(ticket<true>, 8, 32, 0, nullptr, unwritten(8), device(std::vector<unsigned>{0}), sum);
    expect_fine();
    EXPECT_EQ(host(sum, 1)[0], 8);
  }
  launch(ticket<false>, 8, 32, 0, nullptr, unwritten(8), device(std::vector<unsigned>{0}), unwritten(1));
  expect_fault(FaultKind::global_race);
}
TEST_F(Simt, ReadBeforeTheCopyLanded) {
  launch(asynchronous<false, true>, 1, 32, 0, nullptr, device(counting(32)), unwritten(32));
  expect_fault(FaultKind::pending_copy);
}
TEST_F(Simt, NoBarrierAfterTheCopyLanded) {
  launch(asynchronous<true, false>, 1, 32, 0, nullptr, device(counting(32)), unwritten(32));
  EXPECT_NE(fault().kind, FaultKind::none);
  expect_fault(fault().kind);
  launch(asynchronous<true, true>, 1, 32, 0, nullptr, device(counting(32)), unwritten(32));
  expect_fine();
}
TEST_F(Simt, AsynchronousCopyFromBeyondTheEnd) {
  launch(asynchronous<true, true>, 1, 32, 0, nullptr, device(counting(31)), unwritten(32));
  expect_fault(FaultKind::out_of_bounds);
}

TEST_F(Simt, RightKernelsAreNotBlamed) {
  const std::uint64_t before = accesses_traced();
  for (const Schedule s : kSchedules) {
    schedule(s, 4);
    float* const out = unwritten(1024);
    launch(transpose, 1, 1024, 33 * 32 * 4, nullptr, device(counting(1024)), out, 33);
    launch(vectors, 1, 8, 0, nullptr, device(counting(32)), unwritten<float4>(8), 0);
    launch(add, 1, 32, 0, nullptr, device(counting(32)), unwritten(32));
    expect_fine();
    EXPECT_EQ(host(out, 1024)[33], 32 + 1);
  }
  EXPECT_GT(accesses_traced(), before + 4 * 4096);
}

// The counts of the one line that does so.
AccessCount only(bool shared, bool write) {
  AccessCount found;
  int lines = 0;
  for (const AccessCount& c : access_counts()) {
    if (c.shared != shared || c.write != write) continue;
    found = c;
    ++lines;
  }
  EXPECT_EQ(lines, 1);
  return found;
}
TEST_F(Simt, SectorsOfARequest) {
  const float* const in = device(counting(1024));
  for (const int stride : {1, 2, 8, 32}) {
    count_accesses(true);
    launch(strided, 1, 32, 0, nullptr, in, unwritten(32), stride);
    expect_fine();
    const AccessCount read = only(false, false);
    EXPECT_EQ(read.requests, 1u);
    EXPECT_EQ(read.bytes, 128u);
    EXPECT_EQ(read.ideal, 4u);
    EXPECT_EQ(read.cost, static_cast<unsigned>(stride < 8 ? 4 * stride : 32));
    EXPECT_EQ(only(false, true).cost, 4u);
  }
  count_accesses(false);
}
TEST_F(Simt, BankConflicts) {
  for (const int pitch : {32, 33}) {
    count_accesses(true);
    launch(transpose, 1, 1024, 33 * 32 * 4, nullptr, device(counting(1024)), unwritten(1024), pitch);
    expect_fine();
    EXPECT_EQ(only(true, true).cost, 32u);
    EXPECT_EQ(only(true, false).requests, 32u);
    EXPECT_EQ(only(true, false).cost, pitch == 32 ? 32u * 32u : 32u);
  }
  count_accesses(false);
}

}  // namespace
}  // namespace isobit::emulator
