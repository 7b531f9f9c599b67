// The device "simt" behind the seam and the public headers: memory, streams, clocks, foreign memory, batches.
#include <gtest/gtest.h>
#include <isobit/isobit.h>

#include <numeric>
#include <thread>

#include "core/backend.h"
#include "cuda/simt/emulator.h"
#include "cuda/simt/runtime_api.h"

namespace isobit {
namespace {

Backend& simt() {
  return backend(Device::simt());
}

// While one lives, queued work runs only when somebody waits for it: what lacks an order gives wrong data.
class Lazy {
 public:
  Lazy() : outer_(emulator::settings()) {
    emulator::Settings lazy = outer_;
    lazy.lazy = true;
    emulator::configure(lazy);
  }
  ~Lazy() { emulator::configure(outer_); }

 private:
  emulator::Settings outer_;
};

TEST(SimtDevice, IsListedBesideTheCpu) {
  EXPECT_EQ(Device::simt().name(), "simt");
  EXPECT_TRUE(Device::parse("simt") == Device::simt());
  EXPECT_FALSE(simt().host_accessible());
  EXPECT_FALSE(simt().properties().empty());
}

TEST(SimtDevice, CountsItsMemory) {
  empty_cache(Device::simt());
  const MemoryStats before = memory_stats(Device::simt());
  void* data = simt().allocate(1000);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % 256, 0u);
  MemoryStats now = memory_stats(Device::simt());
  EXPECT_EQ(now.current - before.current, 1024);
  EXPECT_EQ(now.allocations - before.allocations, 1);
  EXPECT_GE(now.peak, now.current);
  void* more = simt().allocate(1 << 20);
  simt().deallocate(more, 1 << 20);
  EXPECT_GE(memory_stats(Device::simt()).peak - before.current, (1 << 20) + 1024);
  reset_peak_memory(Device::simt());
  simt().deallocate(data, 1000);
  now = memory_stats(Device::simt());
  EXPECT_EQ(now.current, before.current);
  EXPECT_EQ(now.peak, before.current + 1024);
  EXPECT_EQ(simt().allocate(0), nullptr);
  simt().deallocate(nullptr, 0);
  EXPECT_THROW(simt().allocate(-1), Error);
}

TEST(SimtDevice, CopiesBytesOfAnySize) {
  for (const std::int64_t size : {1, 1000, (1 << 20) + 7}) {
    std::vector<std::uint8_t> from(static_cast<std::size_t>(size)), back(from.size());
    std::iota(from.begin(), from.end(), std::uint8_t{3});
    const Tensor there = from_vector(from, {size}).to(Device::simt());
    EXPECT_EQ(there.to_vector<std::uint8_t>(), from);
    EXPECT_EQ(there.clone().to_vector<std::uint8_t>(), from);
  }
}

TEST(SimtDevice, OrdersTheCallersStreamWithItsOwn) {
  const Lazy lazy;
  emulator::cudaStream_t mine = nullptr;
  ASSERT_EQ(emulator::cudaStreamCreateWithFlags(&mine, emulator::cudaStreamNonBlocking),
            emulator::cudaSuccess);
  void* const own = stream_of(Device::simt());
  EXPECT_NE(own, nullptr);
  EXPECT_EQ(stream_of(Device::cpu()), nullptr);
  const std::vector<float> values{1, -2, 3.5f};
  Tensor x = from_vector(values, {3}).to(Device::simt());
  Tensor a = add_scalar(x, 1), c;
  {
    const UseStream use(Device::simt(), mine);
    EXPECT_EQ(stream_of(Device::simt()), mine);
    c = mul_scalar(a, 2);  // reads what the other stream was told to write
    std::thread([&] { EXPECT_EQ(stream_of(Device::simt()), own); }).join();
    {
      const UseStream inner(Device::simt(), own);
      EXPECT_EQ(stream_of(Device::simt()), own);
    }
    EXPECT_EQ(stream_of(Device::simt()), mine);
  }
  EXPECT_EQ(stream_of(Device::simt()), own);
  EXPECT_EQ(add_scalar(c, 1).to_vector<float>(), (std::vector<float>{5, -1, 10}));
  synchronize(Device::simt());
  emulator::cudaStreamDestroy(mine);
  EXPECT_THROW(UseStream(Device::cpu(), nullptr), Error);
}

TEST(SimtDevice, WrapsForeignMemoryWithoutACopy) {
  void* memory = nullptr;
  ASSERT_EQ(emulator::cudaMalloc(&memory, 4 * sizeof(float)), emulator::cudaSuccess);
  int released = 0;
  {
    Tensor x = from_memory(memory, {2, 2}, {.device = Device::simt()}, [&] { ++released; });
    EXPECT_EQ(x.raw(), memory);
    x.fill(3);
    const Tensor row = x.slice(1, 2);
    x = Tensor();
    EXPECT_EQ(released, 0);
    EXPECT_EQ(row.to_vector<float>(), (std::vector<float>{3, 3}));
  }
  EXPECT_EQ(released, 1);
  float host[4] = {};
  ASSERT_EQ(emulator::cudaMemcpy(host, memory, sizeof host, emulator::cudaMemcpyDeviceToHost),
            emulator::cudaSuccess);
  EXPECT_EQ(host[0], 3);
  emulator::cudaFree(memory);
  EXPECT_THROW(from_memory(nullptr, {2}, {.device = Device::simt()}), Error);
  alignas(8) char bytes[16];
  EXPECT_THROW(from_memory(bytes + 1, {2}), Error);
  EXPECT_EQ(from_memory(nullptr, {0}).numel(), 0);
}

TEST(SimtDevice, TellsTheTimeOfAStretch) {
  for (const Device device : {Device::cpu(), Device::simt()}) {
    Timer timer(device);
    timer.start();
    const Tensor x = ones({1000}, {.device = device});
    timer.stop();
    EXPECT_GE(timer.seconds(), 0);
    EXPECT_LT(timer.seconds(), 60);
  }
}

TEST(SimtDevice, BatchesArriveAsOnTheCpu) {
  const Lazy lazy;
  std::vector<std::uint8_t> pixels(10 * 4 * 5 * 2);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 37);
  std::vector<std::int64_t> labels(10);
  std::iota(labels.begin(), labels.end(), 0);
  std::vector<std::string> classes(10, "kind");
  for (std::size_t i = 0; i < classes.size(); ++i) classes[i] += std::to_string(i);
  const data::Dataset set{from_vector(pixels, {10, 4, 5, 2}), from_vector(labels, {10}), classes, "numbered"};
  for (const int prefetch : {0, 2}) {
    const data::BatchOptions options{.augment = {.shift = 1}, .prefetch = prefetch};
    std::vector<std::string> here, there;
    for (const auto& [x, y] : data::Batches(set, 4, Seed{3}, Device::cpu(), options)) {
      here.push_back(x.digest());
      here.push_back(y.digest());
    }
    for (const auto& [x, y] : data::Batches(set, 4, Seed{3}, Device::simt(), options)) {
      EXPECT_TRUE(x.device() == Device::simt());
      there.push_back(x.digest());
      there.push_back(y.digest());
    }
    EXPECT_EQ(here.size(), 6u);
    EXPECT_EQ(there, here);
  }
}

}  // namespace
}  // namespace isobit
