// The program as a user meets it: training, resuming, Ctrl-C, prediction, and what it says to wrong input.
#include <gtest/gtest.h>
#include <isobit/io.h>

#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/files.h"
#include "tests/support/idx_files.h"
#include "tests/support/paths.h"
#include "tests/support/pictures.h"
#include "tests/support/program.h"

namespace isobit {
namespace {

using nlohmann::json;
using test::ProgramResult;
using Arguments = std::vector<std::string>;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class Cli : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new test::TemporaryFolder;
    test::write_idx(folder_->path(), "train", test::bars(96));
    test::write_idx(folder_->path(), "t10k", test::bars(24, 4, 8, 2));
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }
  static std::string data() { return folder_->path(); }
  static Arguments command(Arguments arguments) {
    arguments.insert(arguments.begin(), test::isobit_program());
    return arguments;
  }
  static ProgramResult run(const Arguments& arguments, const Arguments& environment = {}) {
    return test::run_program(command(arguments), environment);
  }
  static Arguments training(const Arguments& more) {
    Arguments a = {"train", "--data", data(), "--batch", "32", "--epochs", "2"};
    a.insert(a.end(), more.begin(), more.end());
    return a;
  }
  static json train(const Arguments& more, const Arguments& environment = {}) {
    Arguments a = training(more);
    a.push_back("--json");
    const ProgramResult result = run(a, environment);
    EXPECT_EQ(result.code, 0) << result.err;
    return json::parse(result.last_line(), nullptr, false);
  }
  static test::TemporaryFolder* folder_;
};
test::TemporaryFolder* Cli::folder_ = nullptr;

TEST_F(Cli, TrainsAndReports) {
  const ProgramResult result = run(training({"--threads", "2"}));
  EXPECT_EQ(result.code, 0) << result.err;
  for (const char* part : {"Conv2D(32, 5x5, same)", "multiply-adds", "epoch 2/2", "samples/s", "left"})
    EXPECT_TRUE(contains(result.err, part)) << part << "\n" << result.err;
  for (const char* part : {"accuracy", "recognised", "digest "})
    EXPECT_TRUE(contains(result.out, part)) << part << "\n" << result.out;
  EXPECT_FALSE(contains(result.err, "\r"));  // no bar where no terminal is

  const json j = train({"--threads", "2"});
  ASSERT_TRUE(j.is_object());
  EXPECT_EQ(j["epochs"], 2);
  EXPECT_EQ(j["device"], "cpu");
  EXPECT_EQ(j["threads"], 2);
  EXPECT_EQ(j["step"], 6);
  EXPECT_GT(j["samples_per_second"].get<double>(), 0);
  EXPECT_GT(j["loss"].get<double>(), 0);
  EXPECT_GE(j["accuracy"].get<double>(), 0);
  EXPECT_TRUE(contains(result.out, "digest " + j["digest"].get<std::string>()));
}

TEST_F(Cli, OneDigestForThreadsPartsInstructionSetsAndAResumedRun) {
  const std::string expected = train({"--threads", "1"})["digest"];
  EXPECT_EQ(train({"--threads", "3"})["digest"], expected);
  EXPECT_EQ(train({"--micro-batch", "16"})["digest"], expected);
  EXPECT_EQ(train({"--graph"})["digest"], expected);
  EXPECT_EQ(train({}, {"ISOBIT_ISA=scalar"})["digest"], expected);
  EXPECT_NE(train({"--seed", "2"})["digest"], expected);
  EXPECT_NE(train({"--limit", "95"})["digest"], expected);

  const test::TemporaryFolder out;
  const std::string file = out / "model.safetensors";
  const json half = train({"--steps", "4", "--out", file});
  EXPECT_EQ(half["finished"], false);
  EXPECT_EQ(half["step"], 4);
  const ProgramResult rest = run({"train", "--resume", file, "--out", file, "--data", data(), "--json"});
  EXPECT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(json::parse(rest.last_line())["digest"], expected);
  EXPECT_EQ(out.listing(), "model.safetensors");
}

TEST_F(Cli, CtrlCSavesAndTheResumedRunEndsInTheSameDigest) {
  const test::TemporaryFolder out;
  const std::string file = out / "m.safetensors";
  const Arguments run_options = {"--epochs", "5000", "--schedule", "constant"};
  Arguments long_run = {"train", "--data", data(), "--batch", "32", "--out", file};
  long_run.insert(long_run.end(), run_options.begin(), run_options.end());
  test::Program program(command(long_run));
  ASSERT_TRUE(program.wait_for("epoch 1/5000 batch 2/3", 120));
  program.signal(SIGINT);
  const ProgramResult stopped = program.wait();
  EXPECT_EQ(stopped.code, 130) << stopped.err;
  EXPECT_TRUE(contains(stopped.err, "isobit train --resume " + file)) << stopped.err;
  const std::size_t at = stopped.err.find("interrupted after step ");
  ASSERT_NE(at, std::string::npos) << stopped.err;
  const int step = std::stoi(stopped.err.substr(at + 23));
  const std::string last = std::to_string(step + 3);

  const ProgramResult rest = run({"train", "--resume", file, "--data", data(), "--steps", last, "--json"});
  EXPECT_EQ(rest.code, 0) << rest.err;
  Arguments whole = run_options;
  whole.insert(whole.end(), {"--steps", last});
  EXPECT_EQ(json::parse(rest.last_line())["digest"], train(whole)["digest"]);
}

TEST_F(Cli, ASecondCtrlCQuitsAtOnce) {
  // One batch that takes scalar code many seconds: the first Ctrl-C finds it at work, the second ends it.
  const test::TemporaryFolder large;
  test::write_idx(large.path(), "train", test::bars(3000));
  test::write_idx(large.path(), "t10k", test::bars(8));
  for (const int milliseconds : {300, 1000, 3000}) {  // a busy machine may need long to begin the batch
    test::Program program(
        command({"train", "--data", large.path(), "--batch", "3000", "--out", large / "m"}),
        {"ISOBIT_ISA=scalar", "TSAN_OPTIONS=report_thread_leaks=0"});  // who quits joins nobody
    ASSERT_TRUE(program.wait_for("lenet on cpu", 120));
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    program.signal(SIGINT);
    ASSERT_TRUE(program.wait_for("press Ctrl-C again", 60));
    program.signal(SIGINT);
    const ProgramResult result = program.wait();
    EXPECT_EQ(result.code, 130) << result.err;
    if (contains(result.err, "interrupted after step")) continue;  // it had not begun
    EXPECT_FALSE(std::filesystem::exists(large / "m"));
    return;
  }
  FAIL() << "no batch was ever at work";
}

TEST_F(Cli, WrongTrainingInputIsRefusedBeforeAnythingIsTrained) {
  const test::TemporaryFolder out;
  const std::string broken = out / "broken.safetensors", alien = out / "alien.safetensors";
  test::write_text(broken, "not a checkpoint");
  io::write_safetensors(alien, {{"w", zeros({2})}});
  const std::string fine = out / "fine.safetensors";
  train({"--steps", "1", "--out", fine});
  const test::Bytes bytes = test::read_bytes(fine);
  test::write_bytes(out / "short", std::span(bytes).first(bytes.size() - 5));
  const std::string before = out.listing();

  const struct {
    Arguments arguments;
    std::vector<std::string> parts;
  } cases[] = {
      {{"--lr", "nan"}, {"lr", "nan"}},
      {{"--lr", "-0.1"}, {"lr", "-0.1"}},
      {{"--lr", "fast"}, {"--lr", "fast"}},
      {{"--batch", "0"}, {"batch", "0", "at least 1"}},
      {{"--batch", "99999999999999999999"}, {"--batch", "whole number"}},
      {{"--batch", "6.5"}, {"--batch", "whole number"}},
      {{"--seed", "-1"}, {"--seed"}},
      {{"--micro-batch", "24"}, {"micro-batch", "24", "power of two"}},
      {{"--micro-batch", "0"}, {"--micro-batch"}},
      {{"--graph", "--micro-batch", "16"}, {"graph", "parts of 16"}},
      {{"--epochs", "-1"}, {"epochs"}},
      {{"--limit", "-3"}, {"limit"}},
      {{"--steps", "0"}, {"--steps"}},
      {{"--threads", "0"}, {"thread"}},
      {{"--model", "alexnet"}, {"alexnet", "lenet", "vgg-small"}},
      {{"--optimizer", "adagrad"}, {"adagrad", "rmsprop"}},
      {{"--schedule", "random"}, {"random", "cosine"}},
      {{"--device", "abacus"}, {"abacus", "cpu"}},
      {{"--speed", "9"}, {"--speed"}},
      {{"--data", out / "nowhere"}, {"nowhere"}},
      {{"--data", out.path()}, {out.path()}},
      {{"--out", out / "no/such/folder/m"}, {"no/such/folder", "nothing was trained"}},
      {{"--out", out.path()}, {"is a folder"}},
      {{"--out", "/dev/full"}, {"/dev/full", "not a regular file"}},
      {{"--momentum", "1"}, {"momentum"}},
  };
  for (const auto& c : cases) {
    Arguments a = {"train"};
    if (c.arguments[0] != "--data") a.insert(a.end(), {"--data", data()});
    a.insert(a.end(), c.arguments.begin(), c.arguments.end());
    const ProgramResult result = run(a);
    EXPECT_EQ(result.code, 1) << c.arguments[0] << " " << c.arguments[1];
    EXPECT_EQ(result.out, "") << c.arguments[0];
    for (const std::string& part : c.parts)
      EXPECT_TRUE(contains(result.err, part)) << part << "\n" << result.err;
    EXPECT_FALSE(contains(result.err, "epoch 1")) << result.err;
  }
  const struct {
    std::string file, part;
  } resumes[] = {
      {broken, "broken"}, {alien, "not a checkpoint"}, {out / "short", "short"}, {out / "absent", "absent"}};
  for (const auto& c : resumes) {
    const ProgramResult result = run({"train", "--data", data(), "--resume", c.file});
    EXPECT_EQ(result.code, 1) << c.file;
    EXPECT_TRUE(contains(result.err, c.part)) << result.err;
  }
  const ProgramResult both = run({"train", "--data", data(), "--resume", fine, "--lr", "0.1"});
  EXPECT_EQ(both.code, 1);
  EXPECT_TRUE(contains(both.err, "--lr") && contains(both.err, "--resume")) << both.err;
  const ProgramResult limited =
      run({"train", "--resume", fine, "--data", "/usr/share/datasets/fashion-mnist"});
  EXPECT_EQ(limited.code, 1) << limited.err;
  EXPECT_EQ(out.listing(), before);
}

TEST_F(Cli, PredictsAndSaysWhatItDidToThePicture) {
  const test::TemporaryFolder out;
  const std::string file = out / "m.safetensors", picture = out / "p.png";
  train({"--out", file, "--epochs", "1"});
  io::write_png(picture, full({20, 30, 3}, std::int64_t{90}, {DType::u8}));
  const ProgramResult text = run({"predict", file, picture, "--top", "3"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_EQ(std::count(text.out.begin(), text.out.end(), '\n'), 3);
  EXPECT_TRUE(contains(text.err, "20 x 30") && contains(text.err, "RGB to gray") &&
              contains(text.err, "8 x 8"))
      << text.err;
  const ProgramResult result = run({"predict", file, picture, "--json", "--top", "10"});
  const json j = json::parse(result.last_line());
  double sum = 0, last = 1;
  for (const auto& entry : j["top"]) {
    sum += entry["probability"].get<double>();
    EXPECT_LE(entry["probability"].get<double>(), last);
    last = entry["probability"];
  }
  EXPECT_EQ(j["top"].size(), 4u);
  EXPECT_NEAR(sum, 1, 1e-5);
  EXPECT_NE(run({"predict", file, picture, "--json", "--invert"}).out, result.out);

  test::write_text(out / "bad.png", "\x89PNG\r\n\x1a\nrubbish");
  for (const Arguments& a : {Arguments{"predict", file, out / "bad.png"},
                             {"predict", file, out / "absent.png"},
                             {"predict", picture, picture},
                             {"predict", file},
                             {"predict", file, picture, "--top", "0"}}) {
    const ProgramResult bad = run(a);
    EXPECT_EQ(bad.code, 1) << a.back();
    EXPECT_EQ(bad.out, "");
    EXPECT_FALSE(bad.err.empty());
  }
}

TEST_F(Cli, ListsDevicesAndTeaches) {
  const json j = json::parse(run({"devices", "--json"}).last_line());
  EXPECT_EQ(j["devices"][0]["name"], "cpu");
  EXPECT_FALSE(j["devices"][0]["properties"].empty());
  EXPECT_TRUE(contains(run({"devices"}).out, "cpu"));
  for (const char* command : {"train", "predict", "devices"}) {
    const ProgramResult help = run({command, "--help"});
    EXPECT_EQ(help.code, 0);
    EXPECT_TRUE(contains(help.out, "Examples:")) << help.out;
  }
  EXPECT_EQ(run({"--help"}).code, 0);
  EXPECT_TRUE(contains(run({"--version"}).out, "isobit "));
  EXPECT_EQ(run({}).code, 1);
  EXPECT_EQ(run({"fly"}).code, 1);
  EXPECT_EQ(run({"devices"}, {"ISOBIT_ISA=mmx"}).code, 1);
}

}  // namespace
}  // namespace isobit
