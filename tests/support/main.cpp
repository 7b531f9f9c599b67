// main of every test executable: GoogleTest, but a run that executes nothing fails, and what was skipped is
// counted and listed with its reason at the end.
#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <string>

namespace {

class SkipReport : public testing::EmptyTestEventListener {
 public:
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (result.skipped()) ++reasons_[result.message()];
  }
  void print() const {
    for (const auto& [reason, count] : reasons_)
      std::printf("[ SKIPS    ] %d: %s\n", count, reason.empty() ? "no reason given" : reason.c_str());
  }

 private:
  std::map<std::string, int> reasons_;
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  auto* report = new SkipReport;  // GoogleTest deletes it
  testing::UnitTest& tests = *testing::UnitTest::GetInstance();
  tests.listeners().Append(report);
  const int status = RUN_ALL_TESTS();
  report->print();
  const int executed = tests.successful_test_count() + tests.failed_test_count();
  if (!testing::GTEST_FLAG(list_tests) && executed == 0) {
    std::printf("[  FAILED  ] no test was executed\n");
    return 1;
  }
  return status;
}
