// Scratch: alignment, nesting, reuse, bounded retention.
#include "cpu/runtime/scratch.h"

#include <gtest/gtest.h>
#include <isobit/error.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <thread>

#include "cpu/runtime/thread_pool.h"

namespace isobit::cpu {
namespace {

TEST(Scratch, IsAlignedAndItsOwn) {
  Scratch<float> a(3);
  Scratch<double> b(1000);
  Scratch<char> c(1);
  for (const void* p :
       {static_cast<void*>(a.data()), static_cast<void*>(b.data()), static_cast<void*>(c.data())})
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(p) % 64, 0u);
  std::fill(a.begin(), a.end(), 1.0f);
  std::fill(b.begin(), b.end(), 2.0);
  c[0] = 3;
  EXPECT_EQ(std::count(a.begin(), a.end(), 1.0f), 3);
  EXPECT_EQ(std::count(b.begin(), b.end(), 2.0), 1000);
  EXPECT_EQ(b.size(), 1000);
  EXPECT_EQ(b.span().size(), 1000u);
}

TEST(Scratch, NestedUsesDoNotClash) {
  for (int round = 0; round < 3; ++round) {
    Scratch<int> outer(5000);
    std::fill(outer.begin(), outer.end(), 7);
    for (const std::int64_t size :
         {10, 100000, 3000000, 20}) {  // grows beyond the first chunk and comes back
      Scratch<int> inner(size);
      std::fill(inner.begin(), inner.end(), 9);
      Scratch<int> innermost(size / 2);
      std::fill(innermost.begin(), innermost.end(), 11);
      ASSERT_EQ(std::count(inner.begin(), inner.end(), 9), size);
    }
    ASSERT_EQ(std::count(outer.begin(), outer.end(), 7), 5000);
  }
}

TEST(Scratch, SettlesInOneChunkAndIsReused) {
  const auto use = [] {
    Scratch<char> a(100000);
    Scratch<char> b(1000000);
    return std::pair(a.data(), b.data());
  };
  use();
  const auto first = use();
  const std::size_t held = detail::scratch_held();
  const auto second = use();
  EXPECT_EQ(first, second);
  EXPECT_EQ(detail::scratch_held(), held);
}

TEST(Scratch, SettlesBehindAnEmptyObject) {
  const auto use = [] {
    Scratch<char> none(0);
    Scratch<char> a(100000);
    Scratch<char> b(1000000);
    return std::pair(a.data(), b.data());
  };
  detail::release_scratch();
  use();
  const auto first = use();
  const std::size_t held = detail::scratch_held();
  EXPECT_GE(held, 1100000u);  // nobody gave it back while `none` lived
  EXPECT_EQ(use(), first);
  EXPECT_EQ(detail::scratch_held(), held);
}

TEST(Scratch, KeepsABoundedAmount) {
  { Scratch<char> large(std::int64_t{100} << 20); }
  EXPECT_LE(detail::scratch_held(), std::size_t{64} << 20);
  { Scratch<char> small(10); }
  EXPECT_LE(detail::scratch_held(), std::size_t{64} << 20);
}

TEST(Scratch, EmptyAndAbsurdSizes) {
  Scratch<float> none(0);
  EXPECT_EQ(none.size(), 0);
  EXPECT_EQ(none.begin(), none.end());
  EXPECT_THROW(Scratch<float>{-1}, Error);
  EXPECT_THROW(Scratch<double>{std::numeric_limits<std::int64_t>::max()}, Error);
}

TEST(Scratch, EveryThreadHasItsOwn) {
  parallel_for(32, [](std::int64_t task) {
    Scratch<std::int64_t> mine(2000);
    std::fill(mine.begin(), mine.end(), task);
    std::this_thread::yield();
    if (std::count(mine.begin(), mine.end(), task) != 2000) throw Error("scratch", "shared between tasks");
  });
}

}  // namespace
}  // namespace isobit::cpu
