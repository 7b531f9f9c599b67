// Threads of one loop that meet on one processor part, and keep the affinity they had.
#include "cpu/runtime/places.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <chrono>
#include <memory>
#include <thread>

namespace isobit::cpu {
namespace {

cpu_set_t affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  return set;
}

// Every test runs on a thread of its own: affinity and the rest between two moves belong to the thread.
template <class Body>
void on_a_new_thread(const Body& body) {
  std::thread(body).join();
}

cpu_set_t only(int processor) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(processor, &one);
  return one;
}

TEST(PlacesTest, AThreadLeavesATakenProcessorAndKeepsItsAffinity) {
  if (const cpu_set_t all = affinity(); CPU_COUNT(&all) < 2) GTEST_SKIP() << "one processor: nowhere to go";
  on_a_new_thread([] {
    const cpu_set_t all = affinity();
    const auto places = std::make_unique<Places>();
    const int here = sched_getcpu();
    const cpu_set_t one = only(here);
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    EXPECT_FALSE(places->take(1));  // as another thread of the loop that runs here would
    ASSERT_EQ(sched_setaffinity(0, sizeof all, &all), 0);
    // The kernel may move the thread of its own accord in between: then there is nothing to leave.
    while (sched_getcpu() != here) {
      ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
      ASSERT_EQ(sched_setaffinity(0, sizeof all, &all), 0);
    }
    EXPECT_TRUE(places->take(1));
    const cpu_set_t after = affinity();
    EXPECT_TRUE(CPU_EQUAL(&after, &all));
  });
}

TEST(PlacesTest, AThreadWithNowhereToGoStays) {
  on_a_new_thread([] {
    const auto places = std::make_unique<Places>();
    const int here = sched_getcpu();
    const cpu_set_t one = only(here);
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    EXPECT_FALSE(places->take(1));
    EXPECT_FALSE(places->take(1));
    EXPECT_EQ(sched_getcpu(), here);
    const cpu_set_t after = affinity();
    EXPECT_TRUE(CPU_EQUAL(&after, &one));
  });
}

TEST(PlacesTest, AnotherLoopTakesTheSameProcessor) {
  on_a_new_thread([] {
    const auto places = std::make_unique<Places>();
    const cpu_set_t one = only(sched_getcpu());
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    for (std::uint64_t loop = 1; loop < 100; ++loop) EXPECT_FALSE(places->take(loop));
  });
}

TEST(PlacesTest, AThreadRestsBetweenTwoMoves) {
  if (const cpu_set_t all = affinity(); CPU_COUNT(&all) < 2) GTEST_SKIP() << "one processor: nowhere to go";
  on_a_new_thread([] {
    const auto places = std::make_unique<Places>();
    const auto start = std::chrono::steady_clock::now();
    int moves = 0, loops = 0;
    while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds(200)) {
      ++loops;
      places->take(static_cast<std::uint64_t>(loops));
      moves += places->take(static_cast<std::uint64_t>(loops)) ? 1 : 0;
    }
    const auto tenths = (std::chrono::steady_clock::now() - start) / std::chrono::milliseconds(10);
    EXPECT_GT(moves, 0);
    EXPECT_LE(moves, tenths + 1);
  });
}

}  // namespace
}  // namespace isobit::cpu
