// Algorithm lists: order of preference, refusals, forcing, traces; and the CPU device's lists as they are.
#include "core/algorithm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

#include "core/backend.h"
#include "core/trace.h"
#include "cpu/algorithms.h"

namespace isobit::cpu {
namespace {

std::vector<std::string>& runs() {
  static std::vector<std::string> list;
  return list;
}

const char* refuse_odd(std::int64_t v, View) {
  return v % 2 == 0 ? nullptr : "the number is odd";
}
const char* refuse_large(std::int64_t v, View) {
  return v < 100 ? nullptr : "the number is large";
}
void run_even(std::int64_t, View) {
  runs().push_back("even");
}
void run_small(std::int64_t, View) {
  runs().push_back("small");
}

struct Lists : AlgorithmRegistry {
  Lists() { kernel.set({{"even", refuse_odd, run_even}, {"small", refuse_large, run_small}}); }
  AlgorithmList<void(std::int64_t, View)> kernel{*this, "toy"};
};

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(AlgorithmList, WhatRunsByNameAloneIsNeverChosen) {
  Lists lists;
  lists.kernel.set({{"named", nullptr, run_even, true}, {"small", nullptr, run_small}});
  lists.kernel.set_fast({{"fast", nullptr, run_even, true}});
  runs().clear();
  lists.kernel.run(2, View{});
  const MathScope fast(Math::fast);
  lists.kernel.run(2, View{});
  EXPECT_EQ(runs(), (std::vector<std::string>{"small", "small"}));
  for (const char* name : {"named", "fast"}) {
    lists.kernel.force(name);
    lists.kernel.run(2, View{});
  }
  EXPECT_EQ(runs(), (std::vector<std::string>{"small", "small", "even", "even"}));
}

TEST(AlgorithmList, TheFirstThatAcceptsRuns) {
  Lists lists;
  runs().clear();
  lists.kernel.run(2, View{});
  lists.kernel.run(3, View{});
  lists.kernel.run(200, View{});
  EXPECT_EQ(runs(), (std::vector<std::string>{"even", "small", "even"}));
  EXPECT_EQ(lists.kernel.names(), (std::vector<std::string>{"even", "small"}));
  EXPECT_STREQ(lists.kernel.reason("even", 3, View{}), "the number is odd");
  EXPECT_EQ(lists.kernel.reason("even", 4, View{}), nullptr);
}

TEST(AlgorithmList, NoneThatAcceptsIsAnError) {
  Lists lists;
  const std::string text = message_of([&] { lists.kernel.run(201, View{}); });
  EXPECT_NE(text.find("toy: no algorithm serves 201"), std::string::npos) << text;
  EXPECT_NE(text.find("even, small"), std::string::npos) << text;
}

TEST(AlgorithmList, AForcedOneRunsOrThrowsItsReason) {
  Lists lists;
  runs().clear();
  lists.find("toy").force("small");
  lists.kernel.run(2, View{});
  EXPECT_EQ(runs().back(), "small");
  const std::string text = message_of([&] { lists.kernel.run(100, View{}); });
  EXPECT_EQ(text, "toy: the forced algorithm 'small' refuses 100 f32[0]: the number is large");
  lists.find("toy").force("");
  lists.kernel.run(2, View{});
  EXPECT_EQ(runs().back(), "even");
  EXPECT_EQ(message_of([&] { lists.kernel.force("fast"); }),
            "algorithm: toy has no algorithm 'fast', there are: even, small");
  EXPECT_EQ(message_of([&] { lists.find("tool"); }),
            "algorithm: there is no kernel 'tool', expected one of: toy");
}

TEST(Trace, CapturesCountEveryCallWhileTheyLive) {
  Lists lists;
  lists.kernel.run(2, View{});
  TraceCapture outer;
  lists.kernel.run(2, View{});
  {
    TraceCapture inner;
    lists.kernel.run(3, View{});
    std::thread([&] { lists.kernel.run(5, View{}); }).join();
    EXPECT_EQ(inner.count("toy", "even"), 0);
    EXPECT_EQ(inner.count("toy", "small"), 2);
    EXPECT_EQ(inner.count("toy"), 2);
    EXPECT_EQ(inner.count_algorithm("small"), 2);
  }
  EXPECT_EQ(outer.count("toy", "even"), 1);
  EXPECT_EQ(outer.count("toy"), 3);
  EXPECT_EQ(outer.counts().size(), 2u);
}

TEST(Trace, IsOffWithoutACapture) {
  if (std::getenv("ISOBIT_TRACE") != nullptr) GTEST_SKIP() << "ISOBIT_TRACE is set";
  EXPECT_FALSE(tracing::on());
  {
    TraceCapture capture;
    EXPECT_TRUE(tracing::on());
  }
  EXPECT_FALSE(tracing::on());
}

TEST(Trace, PrintsALineWhenTheEnvironmentAsks) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  setenv("ISOBIT_TRACE", "1", 1);
  EXPECT_EXIT(
      {
        Lists lists;
        lists.kernel.run(4, View{nullptr, DType::f16, 9});
        std::_Exit(0);
      },
      testing::ExitedWithCode(0), "isobit trace: toy <- even 4 f16\\[9\\]\n");
  unsetenv("ISOBIT_TRACE");
}

TEST(CpuAlgorithms, EveryKernelEndsInTheReference) {
  AlgorithmLists lists;
  fill_algorithms(lists);
  ASSERT_FALSE(lists.lists().empty());
  for (const AlgorithmListBase* list : lists.lists()) {
    ASSERT_FALSE(list->names().empty()) << list->kernel();
    EXPECT_EQ(list->names().back(), "reference") << list->kernel();
  }
}

TEST(CpuAlgorithms, TheDeviceAnswersByName) {
  Backend& cpu = backend(Device::cpu());
  EXPECT_EQ(cpu.name(), "cpu");
  EXPECT_TRUE(cpu.host_accessible());
  EXPECT_EQ(cpu.algorithms("conv_forward").back(), "reference");
  EXPECT_THROW(cpu.algorithms("convolution"), Error);
  EXPECT_THROW(cpu.force_algorithm("conv_forward", "winograd"), Error);
  std::vector<std::string> names;
  for (const DeviceProperty& p : cpu.properties()) {
    EXPECT_FALSE(p.value.empty()) << p.name;
    names.push_back(p.name);
  }
  for (const char* wanted : {"instruction set", "threads", "memory"})
    EXPECT_NE(std::find(names.begin(), names.end(), wanted), names.end()) << wanted;
}

}  // namespace
}  // namespace isobit::cpu
