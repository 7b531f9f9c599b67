// The thread pool: every task once, exceptions, nesting, concurrent callers, more threads than processors.
#include "cpu/runtime/thread_pool.h"

#include <gtest/gtest.h>
#include <isobit/device.h>
#include <isobit/error.h>

#include <atomic>
#include <chrono>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "core/numerics/fp_mode.h"

namespace isobit::cpu {
namespace {

class ThreadPoolTest : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    before_ = threads();
    set_threads(GetParam());
  }
  void TearDown() override { set_threads(before_); }

 private:
  int before_ = 1;
};

TEST_P(ThreadPoolTest, RunsEveryTaskOnce) {
  for (const std::int64_t tasks : {0, 1, 2, 3, 7, 64, 1000}) {
    std::vector<std::atomic<int>> runs(static_cast<std::size_t>(tasks));
    parallel_for(tasks, [&](std::int64_t t) { ++runs[static_cast<std::size_t>(t)]; });
    for (const auto& count : runs) ASSERT_EQ(count, 1);
  }
}

TEST_P(ThreadPoolTest, ManyShortLoopsInARow) {
  std::atomic<std::int64_t> sum{0};
  for (int loop = 0; loop < 2000; ++loop)
    parallel_for(3, [&](std::int64_t t) { sum.fetch_add(t + 1, std::memory_order_relaxed); });
  EXPECT_EQ(sum, 2000 * 6);
}

TEST_P(ThreadPoolTest, WakesWorkersThatSleep) {
  for (int loop = 0; loop < 5; ++loop) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // far beyond the spin
    std::atomic<int> count{0};
    parallel_for(16, [&](std::int64_t) { ++count; });
    EXPECT_EQ(count, 16);
  }
}

TEST_P(ThreadPoolTest, UsesThatManyThreads) {
  const int n = GetParam();
  std::atomic<int> arrived{0};
  std::vector<std::atomic<bool>> seen(static_cast<std::size_t>(n));
  parallel_for(n, [&](std::int64_t) {
    seen[static_cast<std::size_t>(worker_index())] = true;
    ++arrived;
    while (arrived < n) std::this_thread::yield();  // every task needs a thread of its own
  });
  for (const auto& s : seen) EXPECT_TRUE(s);
}

TEST_P(ThreadPoolTest, CarriesTheFirstExceptionAndStaysUsable) {
  std::atomic<int> begun{0};
  try {
    parallel_for(1000, [&](std::int64_t t) {
      ++begun;
      if (t == 5) throw std::runtime_error("task five");
    });
    FAIL() << "no exception";
  } catch (const std::runtime_error& e) {
    EXPECT_STREQ(e.what(), "task five");
  }
  EXPECT_GE(begun, 6);
  std::atomic<int> count{0};
  parallel_for(10, [&](std::int64_t) { ++count; });
  EXPECT_EQ(count, 10);
}

TEST_P(ThreadPoolTest, NestedLoopsRunInline) {
  std::atomic<int> count{0}, moved{0};
  parallel_for(4, [&](std::int64_t) {
    const auto self = std::this_thread::get_id();
    parallel_for(5, [&](std::int64_t) {
      ++count;
      if (std::this_thread::get_id() != self) ++moved;
    });
  });
  EXPECT_EQ(count, 20);
  EXPECT_TRUE(GetParam() == 1 || moved == 0);
}

TEST_P(ThreadPoolTest, SeveralCallersAtATime) {
  std::atomic<std::int64_t> sum{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 3; ++c)
    callers.emplace_back([&] {
      for (int loop = 0; loop < 200; ++loop) parallel_for(8, [&](std::int64_t t) { sum += t; });
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum, 3 * 200 * 28);
}

TEST_P(ThreadPoolTest, EveryTaskRunsInTheExactMode) {
  std::atomic<int> wrong{0};
#if defined(__x86_64__)
  const unsigned before = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(before | 0x8040);  // flush to zero, denormals are zero
#endif
  parallel_for(64, [&](std::int64_t) {
    if (!numerics::FpMode::is_exact()) ++wrong;
  });
#if defined(__x86_64__)
  EXPECT_EQ(__builtin_ia32_stmxcsr() & 0x8040u, 0x8040u) << "the caller's mode is given back";
  __builtin_ia32_ldmxcsr(before);
#endif
  EXPECT_EQ(wrong, 0);
}

TEST_P(ThreadPoolTest, RangesCoverTheWholeOnce) {
  for (const std::int64_t total : {0, 1, 5, 64, 1000, 4097})
    for (const std::int64_t grain : {1, 16, 64, 5000}) {
      std::vector<std::atomic<int>> hits(static_cast<std::size_t>(total));
      parallel_ranges(total, grain, [&](std::int64_t begin, std::int64_t end) {
        EXPECT_EQ(begin % grain, 0);
        EXPECT_LT(begin, end);
        for (std::int64_t i = begin; i < end; ++i) ++hits[static_cast<std::size_t>(i)];
      });
      for (const auto& h : hits) ASSERT_EQ(h, 1);
    }
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest, testing::Values(1, 2, 3, 7));

TEST(Threads, RefusesNonsense) {
  EXPECT_THROW(set_threads(0), Error);
  EXPECT_THROW(set_threads(-3), Error);
  EXPECT_THROW(set_threads(1 << 20), Error);
  const int before = threads();
  set_threads(2);
  EXPECT_EQ(threads(), 2);
  EXPECT_THROW(parallel_for(2, [](std::int64_t) { set_threads(3); }), Error);
  EXPECT_EQ(threads(), 2);
  set_threads(before);
}

TEST(Threads, InvalidEnvironmentIsNamed) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  // A process of its own: the variable is read once.
  const auto complains = [](const char* value) {
    setenv("ISOBIT_THREADS", value, 1);
    try {
      (void)threads();
    } catch (const Error& e) {
      std::fputs(e.what(), stderr);
      std::_Exit(7);
    }
    std::_Exit(0);
  };
  EXPECT_EXIT(complains("many"), testing::ExitedWithCode(7), "ISOBIT_THREADS: 'many'");
  EXPECT_EXIT(complains("0"), testing::ExitedWithCode(7), "ISOBIT_THREADS: '0'");
  EXPECT_EXIT(complains("3x"), testing::ExitedWithCode(7), "ISOBIT_THREADS: '3x'");
  EXPECT_EXIT(complains("3"), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace isobit::cpu
