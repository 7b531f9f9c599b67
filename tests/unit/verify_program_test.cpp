// `isobit verify` as a user meets it, and the same program with a device that errs.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "tests/support/files.h"
#include "tests/support/paths.h"
#include "tests/support/program.h"

namespace isobit {
namespace {

using nlohmann::json;
using test::ProgramResult;
using Arguments = std::vector<std::string>;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

ProgramResult verify(const std::string& program, Arguments more) {
  Arguments all = {program, "verify"};
  all.insert(all.end(), more.begin(), more.end());
  return test::run_program(all);
}
ProgramResult verify(const Arguments& more) {
  return verify(test::isobit_program(), more);
}

TEST(VerifyProgram, SaysWhatWasRun) {
  const ProgramResult text = verify({"--devices", "cpu", "--only", "conv_forward f32 basic"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_TRUE(contains(text.out, "conv_forward") && contains(text.out, "0 different")) << text.out;
  EXPECT_TRUE(contains(text.err, "100%")) << text.err;
  EXPECT_FALSE(contains(text.err, "\r"));  // no bar where no terminal is
  const ProgramResult result =
      verify({"--devices", "cpu", "--only", "conv_forward f32 basic", "--json", "--full"});
  EXPECT_EQ(result.code, 0) << result.err;
  const json j = json::parse(result.last_line());
  EXPECT_EQ(j["ok"], true);
  EXPECT_GT(j["cases"], 100);
  EXPECT_EQ(j["equal"], j["cases"]);
  EXPECT_EQ(j["different"], 0);
  EXPECT_EQ(j["devices"], json::array({"cpu"}));
  EXPECT_GT(j["seconds"].get<double>(), 0);
  ASSERT_FALSE(j["skipped"].empty());
  const std::set<std::string> choosy{"small",        "linear",    "depthwise", "depthwise_strips",
                                     "group_strips", "over_space"};
  for (const json& s : j["skipped"]) {
    EXPECT_TRUE(choosy.contains(s["algorithm"])) << s;
    EXPECT_FALSE(s["reason"].get<std::string>().empty());
    EXPECT_GT(s["problems"], 0);
  }
  EXPECT_TRUE(contains(verify({"--help"}).out, "Examples:"));
}

TEST(VerifyProgram, PartsAndProcessesAreTheWhole) {
  const Arguments what = {"--devices", "cpu,broken", "--only", "f32 basic", "--json"};
  const auto run = [&](const Arguments& more) {
    Arguments all = what;
    all.insert(all.end(), more.begin(), more.end());
    const ProgramResult result = verify(test::broken_program(), all);
    EXPECT_EQ(result.code, 1) << result.err;
    return json::parse(result.last_line(), nullptr, false);
  };
  const json whole = run({});
  ASSERT_GT(whole["different"], 1);
  json sums{{"problems", 0}, {"equal", 0}, {"different", 0}};
  for (const char* part : {"1/3", "2/3", "3/3"}) {
    const json one = run({"--part", part});
    for (auto& [name, sum] : sums.items()) {
      sum = sum.get<int>() + one[name].get<int>();
      EXPECT_LT(one[name], whole[name]) << part << name;
    }
  }
  const json joined = run({"--jobs", "3"});
  for (const auto& [name, sum] : sums.items()) {
    EXPECT_EQ(sum, whole[name]) << name;
    EXPECT_EQ(joined[name], whole[name]) << name;
  }
  const auto sorted = [](const json& list) {
    std::vector<std::string> lines;
    for (const json& one : list) lines.push_back(one.dump());
    std::sort(lines.begin(), lines.end());
    return lines;
  };
  EXPECT_EQ(sorted(joined["algorithms"]), sorted(whole["algorithms"]));
  EXPECT_EQ(sorted(joined["skipped"]), sorted(whole["skipped"]));
  std::vector<std::string> found = sorted(joined["differences"]);
  for (const std::string& one : sorted(whole["differences"]))
    EXPECT_TRUE(std::find(found.begin(), found.end(), one) != found.end()) << one;
  // A part without a problem is an error that says so, and nothing is left behind.
  const ProgramResult empty =
      verify({"--devices", "cpu", "--only", "conv_forward f32 basic.txt:4", "--jobs", "64"});
  EXPECT_EQ(empty.code, 1);
  EXPECT_TRUE(contains(empty.err, "nothing to do")) << empty.err;
}

TEST(VerifyProgram, TheSeedDecides) {
  const auto run = [](const char* seed) {
    return verify(test::broken_program(), {"--devices", "broken", "--only",
                                           "conv_backward_input f32 basic.txt:4", "--seed", seed, "--json"});
  };
  const json one = json::parse(run("7").last_line()), again = json::parse(run("7").last_line()),
             other = json::parse(run("8").last_line());
  EXPECT_EQ(one["differences"], again["differences"]);
  EXPECT_NE(one["differences"], other["differences"]);
}

TEST(VerifyProgram, NamesWhatDiffersAndHowToRepeatIt) {
  const ProgramResult text =
      verify(test::broken_program(), {"--devices", "cpu,broken", "--only", "ten_filters"});
  EXPECT_EQ(text.code, 1);
  EXPECT_TRUE(contains(text.out, "DIFFERENT") && contains(text.out, "on broken by")) << text.out;
  const ProgramResult result =
      verify(test::broken_program(), {"--devices", "cpu,broken", "--only", "ten_filters", "--json"});
  EXPECT_EQ(result.code, 1);
  const json j = json::parse(result.last_line());
  EXPECT_EQ(j["ok"], false);
  EXPECT_GT(j["different"], 0);
  EXPECT_GT(j["equal"], j["different"]);
  EXPECT_EQ(j["equal"].get<int>() + j["different"].get<int>(), j["cases"].get<int>());
  ASSERT_FALSE(j["differences"].empty());
  const json d = j["differences"][0];
  EXPECT_EQ(d["device"], "broken");
  EXPECT_TRUE(contains(d["problem"], "conv_backward_input f32")) << d;
  EXPECT_EQ(d["index"], 32 * 32 * 3 / 2);
  EXPECT_EQ(d["count"], 1);
  EXPECT_TRUE(contains(d["got"], "(0x") && contains(d["expected"], "(0x")) << d;
  // The command, as a shell runs it, shows the same again.
  std::string command = d["command"];
  ASSERT_EQ(command.find("isobit verify "), 0u) << command;
  command = test::broken_program() + command.substr(6) + " --json";
  const ProgramResult repeated = test::run_program({"/bin/sh", "-c", command});
  EXPECT_EQ(repeated.code, 1) << command << repeated.err;
  const json again = json::parse(repeated.last_line());
  EXPECT_EQ(again["problems"], 1);
  EXPECT_EQ(again["differences"][0]["got"], d["got"]);
  EXPECT_EQ(again["differences"][0]["index"], d["index"]);
}

TEST(VerifyProgram, RefusesBadUsage) {
  const test::TemporaryFolder folder;
  const std::string bad = folder / "bad.txt", good = folder / "good.txt";
  test::write_text(bad, "mb1ic1ih3oc1kh3\n\nmb1ic1ih3oc1kh9\n");
  test::write_text(good, "mb1ic1ih3oc1kh3\n");
  struct Usage {
    Arguments arguments;
    std::string says;
  };
  for (const Usage& usage :
       {Usage{{"--devices", "tpu"}, "there is no device \"tpu\""},
        Usage{{"--devices", "cpu,"}, "there is no device \"\""},
        Usage{{"--devices", "cpu,cpu"}, "named twice"},
        Usage{{"--shapes", folder / "absent.txt"}, "absent.txt"}, Usage{{"--shapes", bad}, "bad.txt:3"},
        Usage{{"--seed", "one"}, "--seed is 'one'"}, Usage{{"--seed", "-1"}, "--seed"},
        Usage{{"--part", "0/2"}, "--part is '0/2'"}, Usage{{"--part", "3/2"}, "--part is '3/2'"},
        Usage{{"--part", "1"}, "--part is '1'"}, Usage{{"--part", "1/2x"}, "--part is '1/2x'"},
        Usage{{"--jobs", "0"}, "--jobs"}, Usage{{"--jobs", "2", "--part", "1/2"}, "--part"},
        Usage{{"--quick", "--full"}, "--quick"}, Usage{{"--only", "nothing has this name"}, "nothing to do"},
        Usage{{"--fast"}, "--fast"}, Usage{{"extra"}, "extra"}}) {
    const ProgramResult result = verify(usage.arguments);
    EXPECT_EQ(result.code, 1) << usage.says;
    EXPECT_EQ(result.out, "") << usage.says;
    EXPECT_TRUE(contains(result.err, usage.says)) << usage.says << "\n" << result.err;
  }
  const ProgramResult fine = verify({"--shapes", good, "--devices", "cpu", "--json"});
  EXPECT_EQ(fine.code, 0) << fine.err;
  EXPECT_GT(json::parse(fine.last_line())["cases"], 0);
}

}  // namespace
}  // namespace isobit
