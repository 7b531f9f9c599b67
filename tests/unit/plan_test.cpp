// Plans: what their text may be, what a scope chooses, times, keeps and writes.
#include <gtest/gtest.h>
#include <isobit/algorithms.h>
#include <isobit/error.h>
#include <isobit/ops.h>
#include <isobit/plan.h>
#include <isobit/random.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "core/plan_file.h"

namespace isobit {
namespace {

std::string path_of(const char* name) {
  return (std::filesystem::path(testing::TempDir()) / fmt::format("{}_{}.plan", name, getpid())).string();
}
void write(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}
std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A convolution that at least two algorithms serve on the CPU: few filters.
Tensor few_filters() {
  const Tensor x = random_normal({1, 20, 20, 16}, random_key(Seed{1}, "x"), 0, 1),
               w = random_normal({3, 3, 16, 6}, random_key(Seed{1}, "w"), 0, 1);
  return conv(x, w, {}, {.padding = Same});
}
std::string server_of(const char* kernel, const ServedCalls& calls) {
  std::string name;
  for (const auto& [key, count] : calls.counts())
    if (key.first == kernel) name += (name.empty() ? "" : "+") + key.second;
  return name;
}
std::string served(const char* kernel = "conv_forward") {
  const ServedCalls calls;
  few_filters();
  return server_of(kernel, calls);
}

class PlanTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path); }
  const std::string path = path_of(testing::UnitTest::GetInstance()->current_test_info()->name());
};

void expect_error(std::string_view text, std::string_view words) {
  try {
    plans::parse(text, "'p'");
    ADD_FAILURE() << "no error: " << text;
  } catch (const Error& e) {
    EXPECT_NE(std::string_view(e.what()).find(words), std::string_view::npos) << e.what();
  }
}

TEST(PlanText, SurvivesARoundTrip) {
  const std::string text =
      "isobit plan 1\n"
      "\n[cpu: A, avx512, 2 threads]\n"
      "exact conv_forward mb1 f32[8] | over_space 41.2, implicit_gemm 96.0\n"
      "exact matmul 2x2 | small 0.1\n"
      "fast-bf16 matmul 2x2 | amx 0.1\n"
      "\n[simt]\n"
      "fast conv_forward mb1 | tensor_core 7.5, implicit_gemm 9.0\n";
  EXPECT_EQ(plans::format(plans::parse(text, "'p'")), text);
}

TEST(PlanText, MayHaveCommentsBlanksAndCarriageReturns) {
  const plans::Lines lines =
      plans::parse("isobit plan 1\r\n# mine\r\n[d]\r\n\r\nexact matmul 2x2 | small 1\r\n", "'p'");
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines.begin()->second.front().algorithm, "small");
}

TEST(PlanText, IsRefusedByLine) {
  expect_error("", "line 0");
  expect_error("isobit plan 2\n", "line 1: got 'isobit plan 2', expected 'isobit plan 1'");
  const std::string head = "isobit plan 1\n[d]\n";
  expect_error("isobit plan 1\nexact matmul 2 | small 1\n", "line 2");
  expect_error("isobit plan 1\n[]\n", "a device in brackets");
  expect_error("isobit plan 1\n[d\n", "a device in brackets");
  expect_error(head + "exact\n", "line 3");
  expect_error(head + "exact matmul\n", "line 3");
  expect_error(head + "exact matmul 2x2\n", "line 3");
  expect_error(head + "exact matmul 2x2 |\n", "line 3");
  expect_error(head + "exact matmul 2x2 | \n", "<microseconds>");
  expect_error(head + "exact matmul 2x2 | small\n", "<microseconds>");
  expect_error(head + "exact matmul 2x2 | small -1\n", "<microseconds>");
  expect_error(head + "exact matmul 2x2 | small nan\n", "<microseconds>");
  expect_error(head + "exact matmul 2x2 | small 1e999\n", "<microseconds>");
  expect_error(head + "exact matmul 2x2 | small 1x\n", "<microseconds>");
  expect_error(head + "exact matmul 2x2 | small 1,\n", "<microseconds>");
  expect_error(head + "exact matmul 2x2 | sm/all 1\n", "<microseconds>");
  expect_error(head + "rough matmul 2x2 | small 1\n", "exact, fast");
  expect_error(head + "exact matmul 2x2 | small 1\nexact matmul 2x2 | packed 1\n", "each problem once");
  expect_error(head + std::string(100000, 'x') + "\n", "...");
  expect_error(head + std::string("exact \0\x80 2x2 | small 1\n", 23), "line 3");
}

TEST_F(PlanTest, TimesWhatItLacksOnceAndKeepsTheBits) {
  const std::string before = few_filters().digest();
  std::int64_t timed = 0;
  {
    const PlanScope plan(path, PlanUse::time);
    EXPECT_EQ(few_filters().digest(), before);
    timed = plan.timed();
    EXPECT_GE(timed, 1);
    EXPECT_EQ(few_filters().digest(), before);
    EXPECT_EQ(plan.timed(), timed);
    EXPECT_FALSE(std::filesystem::exists(path));
  }
  const std::vector<PlanLine> lines = read_plan(path);
  ASSERT_EQ(static_cast<std::int64_t>(lines.size()), timed);
  for (const PlanLine& line : lines) {
    EXPECT_EQ(line.math, "exact");
    EXPECT_EQ(line.device.rfind("cpu: ", 0), 0U) << line.device;
    ASSERT_GE(line.timings.size(), 2U);
    for (const PlanLine::Timing& t : line.timings) EXPECT_GT(t.microseconds, 0) << t.algorithm;
  }
  EXPECT_EQ(to_text(lines), read(path));
}

TEST_F(PlanTest, ObeysALineEditedByHand) {
  const std::string before = few_filters().digest();
  {
    const PlanScope plan(path, PlanUse::time);
    few_filters();
  }
  std::vector<PlanLine> lines = read_plan(path);
  ASSERT_EQ(lines.size(), 1U);
  for (const PlanLine::Timing& choice : std::vector(lines[0].timings)) {
    lines[0].timings = {choice};
    write(path, to_text(lines));
    const PlanScope plan(path);
    EXPECT_EQ(served(), choice.algorithm);
    EXPECT_EQ(few_filters().digest(), before);
  }
}

TEST_F(PlanTest, AnAlgorithmThatIsGoneIsAnErrorOrTimedAnew) {
  {
    const PlanScope plan(path, PlanUse::time);
    few_filters();
  }
  std::vector<PlanLine> lines = read_plan(path);
  lines.at(0).timings.insert(lines.at(0).timings.begin(), {"winograd", 0.5});
  write(path, to_text(lines));
  {
    const PlanScope plan(path);
    try {
      few_filters();
      ADD_FAILURE() << "no error";
    } catch (const Error& e) {
      EXPECT_NE(std::string_view(e.what()).find("winograd"), std::string_view::npos) << e.what();
      EXPECT_NE(std::string_view(e.what()).find("PlanUse::time"), std::string_view::npos) << e.what();
    }
  }
  EXPECT_NO_THROW(few_filters());
  {
    const PlanScope plan(path, PlanUse::time);
    EXPECT_NO_THROW(few_filters());
    EXPECT_EQ(plan.timed(), 1);
  }
  EXPECT_EQ(read(path).find("winograd"), std::string::npos);
}

TEST_F(PlanTest, ReadingNeitherTimesNorWrites) {
  write(path, "isobit plan 1\n");
  const std::string without = served();
  const PlanScope plan(path);
  EXPECT_EQ(served(), without);
  EXPECT_EQ(plan.timed(), 0);
  EXPECT_TRUE(plan.lines().empty());
  EXPECT_EQ(read(path), "isobit plan 1\n");
}

TEST_F(PlanTest, AMissingOrBrokenFileIsAnError) {
  EXPECT_THROW(PlanScope plan(path), Error);
  write(path, "nonsense\n");
  EXPECT_THROW(PlanScope plan(path), Error);
  EXPECT_THROW(PlanScope plan(path, PlanUse::time), Error);
  EXPECT_EQ(read(path), "nonsense\n");
  EXPECT_NO_THROW(few_filters());
}

TEST_F(PlanTest, LinesOfOtherMachinesStay) {
  const std::string other = "\n[another machine]\nexact conv_forward mb1 | winograd 1.0\n";
  write(path, "isobit plan 1\n" + other);
  {
    PlanScope plan(path, PlanUse::time);
    few_filters();
    // Another process writes meanwhile.
    write(path, "isobit plan 1\n" + other + "\n[third]\nexact matmul 2x2 | small 1.0\n");
    plan.save();
  }
  const std::vector<PlanLine> lines = read_plan(path);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0].device, "another machine");
  EXPECT_EQ(lines[2].device, "third");
}

TEST_F(PlanTest, ThreadsTimeAProblemOnce) {
  PlanScope plan(path, PlanUse::time);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([] { few_filters(); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(plan.timed(), 1);
}

TEST_F(PlanTest, TheInnermostCounts) {
  write(path, "isobit plan 1\n");
  const std::string inner_path = path + ".inner";
  const PlanScope outer(path);
  {
    PlanScope inner(inner_path, PlanUse::time);
    few_filters();
    EXPECT_EQ(inner.timed(), 1);
  }
  few_filters();
  EXPECT_EQ(outer.timed(), 0);
  EXPECT_TRUE(std::filesystem::remove(inner_path));
}

TEST_F(PlanTest, ForcedAlgorithmsGoFirst) {
  PlanScope plan(path, PlanUse::time);
  const ForcedAlgorithm forced(Device::cpu(), "conv_forward", "reference");
  EXPECT_EQ(served(), "reference");
  EXPECT_EQ(plan.timed(), 0);
}

TEST_F(PlanTest, OtherNumbersOfThreadsAreTimedForThemselves) {
  const int before = threads();
  PlanScope plan(path, PlanUse::time);
  for (const int count : {1, 2}) {
    set_threads(count);
    few_filters();
  }
  set_threads(before);
  EXPECT_EQ(plan.timed(), 2);
}

TEST_F(PlanTest, AFailureToWriteSaysSo) {
  testing::internal::CaptureStderr();
  {
    const PlanScope plan("/nonexistent/folder/a.plan", PlanUse::time);
    few_filters();
  }
  EXPECT_NE(testing::internal::GetCapturedStderr().find("the plan was not written"), std::string::npos);
}

TEST_F(PlanTest, TheEnvironmentMayNameOne) {
  // The variable is read once: by a process of its own.
  const pid_t child = fork();
  if (child == 0) {
    setenv("ISOBIT_PLAN", path.c_str(), 1);
    execl("/proc/self/exe", "unit_tests", "--gtest_filter=PlanTest.AMissingOrBrokenFileIsAnError",
          "--gtest_brief=1", nullptr);
    _exit(127);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_GE(read_plan(path).size(), 1U);  // what ran outside of its scopes
}

}  // namespace
}  // namespace isobit
