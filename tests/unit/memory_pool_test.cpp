// The caching pool: size classes, alignment, reuse, statistics, refusals, threads.
#include "cpu/runtime/memory_pool.h"

#include <gtest/gtest.h>
#include <isobit/error.h>

#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include "cpu/runtime/poison.h"

namespace isobit::cpu {
namespace {

MemoryPool& pool() {
  return MemoryPool::instance();
}

TEST(MemoryPool, SizeClassesHoldWhatIsAskedAndWasteLittle) {
  std::int64_t before = 0;
  for (std::int64_t bytes = 1; bytes < (std::int64_t{1} << 61); bytes += 1 + bytes / 7) {
    const std::int64_t size = MemoryPool::rounded(bytes);
    ASSERT_GE(size, bytes);
    ASSERT_GE(size, before) << "classes grow with the size";
    ASSERT_EQ(size % 64, 0);
    ASSERT_LE(size - bytes, std::max<std::int64_t>(63, bytes / 8)) << bytes;
    ASSERT_EQ(MemoryPool::rounded(size), size);
    before = size;
  }
  EXPECT_EQ(MemoryPool::rounded(0), 0);
  EXPECT_EQ(MemoryPool::rounded(1), 64);
  EXPECT_EQ(MemoryPool::rounded(1024), 1024);
  EXPECT_EQ(MemoryPool::rounded(1025), 1152);
  EXPECT_EQ(MemoryPool::rounded((1 << 20) + 1), (1 << 20) + (1 << 17));
}

TEST(MemoryPool, BlocksAreAlignedAndWritable) {
  for (const std::int64_t bytes : {1, 63, 64, 1000, 5000, 40000, 1 << 20, (4 << 20) + 12, 9 << 20}) {
    void* data = pool().allocate(bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % 64, 0u);
    EXPECT_TRUE(bytes < 4 << 20 || reinterpret_cast<std::uintptr_t>(data) % (2 << 20) == 0);
    std::memset(data, 0x5a, static_cast<std::size_t>(bytes));
    pool().deallocate(data, bytes);
  }
  EXPECT_EQ(pool().allocate(0), nullptr);
  pool().deallocate(nullptr, 0);
}

TEST(MemoryPool, GivesABlockBackToTheNextRequestOfItsClass) {
  for (const std::int64_t bytes : {256, 20000, 100000, 3 << 20, 6 << 20}) {
    void* first = pool().allocate(bytes);
    pool().deallocate(first, bytes);
    const std::int64_t before = pool().stats().from_system;
    void* second = pool().allocate(bytes - 1);
    EXPECT_EQ(first, second) << bytes;
    EXPECT_EQ(pool().stats().from_system, before);
    pool().deallocate(second, bytes - 1);
  }
}

TEST(MemoryPool, CountsUsePeakAndCache) {
  pool().empty_cache();
  const MemoryStats start = pool().stats();
  pool().reset_peak();
  void* a = pool().allocate(1 << 20);
  void* b = pool().allocate(100);
  MemoryStats now = pool().stats();
  EXPECT_EQ(now.current - start.current, (1 << 20) + 128);
  EXPECT_EQ(now.allocations - start.allocations, 2);
  EXPECT_EQ(now.from_system - start.from_system, 2);
  pool().deallocate(a, 1 << 20);
  pool().deallocate(b, 100);
  now = pool().stats();
  EXPECT_EQ(now.current, start.current);
  EXPECT_EQ(now.peak - start.current, (1 << 20) + 128);
  EXPECT_EQ(now.cached - start.cached, (1 << 20) + 128);
  pool().empty_cache();
  EXPECT_EQ(pool().stats().cached, start.cached);
  pool().reset_peak();
  EXPECT_EQ(pool().stats().peak, start.current);
}

TEST(MemoryPool, RefusesAbsurdSizesAndNamesThem) {
  for (const std::int64_t bytes : {std::int64_t{1} << 50, std::numeric_limits<std::int64_t>::max()}) {
    try {
      pool().allocate(bytes);
      FAIL() << "served " << bytes;
    } catch (const OutOfMemory& e) {
      EXPECT_NE(std::string(e.what()).find(std::to_string(bytes)), std::string::npos) << e.what();
      EXPECT_NE(std::string(e.what()).find("in use"), std::string::npos) << e.what();
    }
  }
  EXPECT_THROW(pool().allocate(-1), Error);
  void* data = pool().allocate(64);
  EXPECT_NE(data, nullptr);
  pool().deallocate(data, 64);
}

TEST(MemoryPool, BlocksTravelBetweenThreads) {
  const MemoryStats start = pool().stats();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      for (int round = 0; round < 200; ++round) {
        std::vector<std::pair<unsigned char*, std::int64_t>> blocks;
        for (int i = 0; i < 20; ++i) {
          const std::int64_t bytes = 1 + (round * 131 + i * 977 + t * 31) % 50000;
          auto* data = static_cast<unsigned char*>(MemoryPool::instance().allocate(bytes));
          data[0] = static_cast<unsigned char>(t);
          data[bytes - 1] = static_cast<unsigned char>(t);
          blocks.emplace_back(data, bytes);
        }
        for (auto [data, bytes] : blocks) {
          ASSERT_EQ(data[bytes - 1], t);
          MemoryPool::instance().deallocate(data, bytes);
        }
        if (round == 100) MemoryPool::instance().empty_cache();
      }
    });
  for (std::thread& thread : threads) thread.join();
  void* data = pool().allocate(300);  // freed by another thread than the one that asked
  std::thread([&] { pool().deallocate(data, 300); }).join();
  const MemoryStats now = pool().stats();
  EXPECT_EQ(now.current, start.current);
  EXPECT_EQ(now.allocations - start.allocations, 4 * 200 * 20 + 1);
}

TEST(MemoryPool, TailAndCachedBlocksArePoisonedUnderTheSanitizer) {
  if (!kPoisons) GTEST_SKIP() << "needs AddressSanitizer";
#ifdef ASAN_POISON_MEMORY_REGION
  if constexpr (kPoisons) {
    for (const std::int64_t bytes : {100, 128, 5000, 2 << 20}) {
      char* data = static_cast<char*>(pool().allocate(bytes));
      EXPECT_FALSE(__asan_address_is_poisoned(data + bytes - 1));
      EXPECT_TRUE(__asan_address_is_poisoned(data + bytes));
      pool().deallocate(data, bytes);
      EXPECT_TRUE(__asan_address_is_poisoned(data));
    }
  }
#endif
}

}  // namespace
}  // namespace isobit::cpu
