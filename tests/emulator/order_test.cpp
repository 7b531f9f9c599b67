// Faults of order: what a barrier, a wait, an event or a synchronisation would have prevented shows as wrong
// data in the schedule or mode meant for it; the right kernel is right in all.
#include "cuda/simt/async_copy.h"
#include "tests/emulator/faults.h"

namespace isobit::emulator {
namespace {

// Reverses 256 values a block through shared memory.
template <bool kBarrier>
__global__ void reverse_tile(float* data) {
  SHARED(tile, float[256]);
  float* const mine = data + blockIdx.x * 256;
  tile[threadIdx.x] = mine[threadIdx.x];
  if (kBarrier) __syncthreads();
  mine[threadIdx.x] = tile[255 - threadIdx.x];
}
// The sum of each row of a tile, tile after tile: the second barrier keeps a fast warp from writing the next
// tile.
template <bool kSecondBarrier>
__global__ void sum_tiles(const float* in, int tiles, float* out) {
  SHARED(tile, float[128]);
  float sum = 0;
  for (int t = 0; t < tiles; ++t) {
    tile[threadIdx.x] = in[t * 128 + static_cast<int>(threadIdx.x)];
    __syncthreads();
    for (int i = 0; i < 128; ++i) sum += tile[i];
    if (kSecondBarrier) __syncthreads();
  }
  out[threadIdx.x] = sum;
}
template <bool kBarrier>
__global__ void neighbour_in_warp(float* data) {
  SHARED(tile, float[64]);
  tile[threadIdx.x] = data[threadIdx.x];
  if (kBarrier) __syncwarp();
  data[threadIdx.x] = tile[threadIdx.x ^ 31u];
}
// Each block adds to what the block before it left: blocks have no order.
__global__ void chain(float* data) {
  if (threadIdx.x == 0) data[blockIdx.x + 1] = data[blockIdx.x] + 1;
}
// Tiles come by asynchronous copies, `kStages` under way at once.
template <int kStages, int kOpen, bool kBarrier>
__global__ void pipeline(const float* in, int tiles, float* out) {
  SHARED(tile, float[kStages][32]);
  const auto issue = [&](int t) {
    if (t < tiles) async_copy(&tile[t % kStages][threadIdx.x], in + t * 32 + threadIdx.x, 4, 4, "", 0);
    async_commit();
  };
  for (int t = 0; t < kStages - 1; ++t) issue(t);
  float sum = 0;
  for (int t = 0; t < tiles; ++t) {
    async_wait(kOpen);
    if (kBarrier) __syncthreads();
    sum += tile[t % kStages][31 - threadIdx.x];
    __syncthreads();
    issue(t + kStages - 1);
  }
  out[threadIdx.x] = sum;
}
__global__ void copy_misaligned(const float* in, float* out) {
  SHARED(tile, float[64]);
  async_copy(&tile[threadIdx.x], in, 8, 8, "", 0);
  out[threadIdx.x] = tile[0];
}
__global__ void copy_to_global(const float* in, float* out) {
  async_copy(out + threadIdx.x, in, 4, 4, "", 0);
}
__global__ void copy_of_odd_size(const float* in) {
  SHARED(tile, float[64]);
  async_copy(&tile[0], in, 12, 12, "", 0);
}
__global__ void times_two(float* data) {
  data[threadIdx.x] *= 2;
}

bool reverses(void (*kernel)(float*)) {
  std::vector<float> values(512);
  for (int i = 0; i < 512; ++i) values[static_cast<std::size_t>(i)] = static_cast<float>(i);
  float* data = nullptr;
  EXPECT_EQ(cudaMalloc(&data, 2048), cudaSuccess);
  EXPECT_EQ(cudaMemcpy(data, values.data(), 2048, cudaMemcpyHostToDevice), cudaSuccess);
  launch(kernel, 2, 256, 0, nullptr, data);
  std::vector<float> got(512);
  EXPECT_EQ(cudaMemcpy(got.data(), data, 2048, cudaMemcpyDeviceToHost), cudaSuccess);
  for (std::size_t i = 0; i < 512; ++i) {
    if (got[i] != values[i / 256 * 256 + 255 - i % 256]) return false;
  }
  return true;
}

TEST_F(Simt, MissingBarrier) {
  for (const Schedule s : kSchedules) {
    schedule(s, 3);
    EXPECT_FALSE(reverses(reverse_tile<false>));
    EXPECT_TRUE(reverses(reverse_tile<true>));
    expect_fine();
  }
}
TEST_F(Simt, MissingBarrierBeforeTheNextTile) {
  const float* const in = device(counting(128 * 4));
  const auto sums = [&](void (*kernel)(const float*, int, float*)) {
    float* const out = unwritten(128);
    launch(kernel, 1, 128, 0, nullptr, in, 4, out);
    int right = 0;
    for (const float v : host(out, 128)) right += v == 511.0f * 512 / 2 ? 1 : 0;
    return right;
  };
  for (const Schedule s : kSchedules) {
    schedule(s, 5);
    EXPECT_LT(sums(sum_tiles<false>), 128);
    EXPECT_EQ(sums(sum_tiles<true>), 128);
    expect_fine();
  }
}
TEST_F(Simt, MissingSyncWarp) {
  for (const Schedule s : kSchedules) {
    schedule(s, 7);
    float* const data = device(counting(64));
    launch(neighbour_in_warp<false>, 1, 64, 0, nullptr, data);
    bool wrong = false;
    const std::vector<float> values = host(data, 64);
    for (std::size_t i = 0; i < 64; ++i) wrong = wrong || !(values[i] == static_cast<float>(i ^ 31u));
    EXPECT_TRUE(wrong);
    float* const again = device(counting(64));
    launch(neighbour_in_warp<true>, 1, 64, 0, nullptr, again);
    for (std::size_t i = 0; i < 64; ++i) EXPECT_EQ(host(again, 64)[i], static_cast<float>(i ^ 31u));
    expect_fine();
  }
}
TEST_F(Simt, BlocksThatRelyOnTheirOrder) {
  std::vector<float> last;
  for (const Schedule s : {Schedule::forward, Schedule::reverse, Schedule::shuffled}) {
    schedule(s, 9);
    float* const data = device(std::vector<float>(65, 0));
    launch(chain, 64, 32, 0, nullptr, data);
    last.push_back(host(data, 65)[64]);
  }
  EXPECT_EQ(last[0], 64);
  EXPECT_NE(last[1], 64);
  EXPECT_NE(last[2], 64);
}

float pipelined(void (*kernel)(const float*, int, float*)) {
  std::vector<float> ones(32 * 9, 1);
  float *in = nullptr, *out = nullptr;
  EXPECT_EQ(cudaMalloc(&in, ones.size() * 4), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&out, 128), cudaSuccess);
  EXPECT_EQ(cudaMemcpy(in, ones.data(), ones.size() * 4, cudaMemcpyHostToDevice), cudaSuccess);
  launch(kernel, 1, 32, 0, nullptr, in, 9, out);
  float result[32];
  EXPECT_EQ(cudaMemcpy(result, out, 128, cudaMemcpyDeviceToHost), cudaSuccess);
  for (const float v : result) {
    if (!(v == result[0])) return v;
  }
  return result[0];
}
TEST_F(Simt, AsynchronousCopies) {
  for (const Schedule s : kSchedules) {
    schedule(s, 11);
    EXPECT_EQ((pipelined(pipeline<3, 1, true>)), 9);
    EXPECT_EQ((pipelined(pipeline<2, 0, true>)), 9);
    expect_fine();
  }
}
TEST_F(Simt, MissingWait) {
  for (const Schedule s : kSchedules) {
    schedule(s, 11);
    EXPECT_TRUE(std::isnan(pipelined(pipeline<3, 9, true>)));
  }
}
TEST_F(Simt, WaitForTooFewGroups) {
  EXPECT_TRUE(std::isnan(pipelined(pipeline<3, 2, true>)));
}
TEST_F(Simt, MissingBarrierAfterTheWait) {
  EXPECT_TRUE(std::isnan(pipelined(pipeline<3, 1, false>)));
}
TEST_F(Simt, MisalignedAsynchronousCopy) {
  launch(copy_misaligned, 1, 32, 0, nullptr, device(counting(64)), unwritten(32));
  expect_fault(FaultKind::misaligned);
}
TEST_F(Simt, AsynchronousCopyToGlobalMemory) {
  launch(copy_to_global, 1, 32, 0, nullptr, device(counting(64)), unwritten(32));
  expect_fault(FaultKind::bad_async_copy);
}
TEST_F(Simt, AsynchronousCopyOfOddSize) {
  launch(copy_of_odd_size, 1, 32, 0, nullptr, device(counting(64)));
  expect_fault(FaultKind::bad_async_copy);
}

struct Streams {
  cudaStream_t first = nullptr, second = nullptr;
  cudaEvent_t event = nullptr;
  Streams() {
    EXPECT_EQ(cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking), cudaSuccess);
    EXPECT_EQ(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking), cudaSuccess);
    EXPECT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
  }
};

TEST_F(Simt, MissingEventBetweenStreams) {
  lazy();
  for (const bool wait : {false, true}) {
    const Streams s;
    float* const data = device(std::vector<float>(32, 1));
    float* pinned = nullptr;
    ASSERT_EQ(cudaMallocHost(&pinned, 128), cudaSuccess);
    launch(times_two, 1, 32, 0, s.first, data);
    ASSERT_EQ(cudaEventRecord(s.event, s.first), cudaSuccess);
    if (wait) {
      ASSERT_EQ(cudaStreamWaitEvent(s.second, s.event), cudaSuccess);
    }
    ASSERT_EQ(cudaMemcpyAsync(pinned, data, 128, cudaMemcpyDeviceToHost, s.second), cudaSuccess);
    ASSERT_EQ(cudaStreamSynchronize(s.second), cudaSuccess);
    EXPECT_EQ(pinned[5], wait ? 2 : 1);
    ASSERT_EQ(cudaFreeHost(pinned), cudaSuccess);
  }
}
TEST_F(Simt, MissingSynchronisationBeforeTheHostReads) {
  lazy();
  const Streams s;
  float* const data = device(std::vector<float>(32, 3));
  float* pinned = nullptr;
  ASSERT_EQ(cudaMallocHost(&pinned, 128), cudaSuccess);
  pinned[0] = -1;
  ASSERT_EQ(cudaMemcpyAsync(pinned, data, 128, cudaMemcpyDeviceToHost, s.first), cudaSuccess);
  EXPECT_EQ(pinned[0], -1);
  ASSERT_EQ(cudaEventRecord(s.event, s.first), cudaSuccess);
  EXPECT_EQ(cudaEventQuery(s.event), cudaErrorNotReady);
  ASSERT_EQ(cudaEventSynchronize(s.event), cudaSuccess);
  EXPECT_EQ(pinned[0], 3);
  ASSERT_EQ(cudaFreeHost(pinned), cudaSuccess);
}
TEST_F(Simt, PinnedMemoryChangedBeforeItWasCopied) {
  lazy();
  const Streams s;
  float* const data = unwritten(32);
  float* pinned = nullptr;
  ASSERT_EQ(cudaMallocHost(&pinned, 128), cudaSuccess);
  std::vector<float> pageable(32, 7);
  for (int i = 0; i < 32; ++i) pinned[i] = 7;
  ASSERT_EQ(cudaMemcpyAsync(data, pinned, 64, cudaMemcpyHostToDevice, s.first), cudaSuccess);
  ASSERT_EQ(cudaMemcpyAsync(data + 16, pageable.data(), 64, cudaMemcpyHostToDevice, s.first), cudaSuccess);
  pinned[0] = pageable[0] = 8;
  ASSERT_EQ(cudaStreamSynchronize(s.first), cudaSuccess);
  EXPECT_EQ(host(data, 32)[0], 8);   // too late
  EXPECT_EQ(host(data, 32)[16], 7);  // was staged
  ASSERT_EQ(cudaFreeHost(pinned), cudaSuccess);
}
TEST_F(Simt, LegacyStreamWaitsForBlockingStreams) {
  lazy();
  cudaStream_t blocking = nullptr, free = nullptr;
  ASSERT_EQ(cudaStreamCreate(&blocking), cudaSuccess);
  ASSERT_EQ(cudaStreamCreateWithFlags(&free, cudaStreamNonBlocking), cudaSuccess);
  float* const a = device(std::vector<float>(32, 1));
  float* const b = device(std::vector<float>(32, 1));
  launch(times_two, 1, 32, 0, blocking, a);
  launch(times_two, 1, 32, 0, free, b);
  EXPECT_EQ(host(a, 32)[0], 2);
  EXPECT_EQ(host(b, 32)[0], 1);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(host(b, 32)[0], 2);
}
TEST_F(Simt, EventsWithoutTimes) {
  const Streams s;
  cudaEvent_t timed = nullptr, later = nullptr;
  float milliseconds = -1;
  ASSERT_EQ(cudaEventCreate(&timed), cudaSuccess);
  ASSERT_EQ(cudaEventCreate(&later), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, timed, later), cudaErrorInvalidResourceHandle);
  ASSERT_EQ(cudaEventRecord(timed), cudaSuccess);
  ASSERT_EQ(cudaEventRecord(s.event), cudaSuccess);
  ASSERT_EQ(cudaEventRecord(later), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, timed, s.event), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, timed, later), cudaSuccess);
  EXPECT_GE(milliseconds, 0);
}

}  // namespace
}  // namespace isobit::emulator
