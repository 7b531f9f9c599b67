// isobit bench and isobit devices, on every device of this build.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <isobit/device.h>

#include <nlohmann/json.hpp>

#include "tests/support/paths.h"
#include "tests/support/program.h"

namespace isobit {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

test::ProgramResult run(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), test::isobit_program());
  return test::run_program(arguments);
}

TEST(CliBench, TimesConvolutionsBesideTheirBits) {
  for (const DeviceInfo& info : devices()) {
    if (info.name == "counting") continue;  // of another test in this process, not of the program
    const test::ProgramResult result =
        run({"bench", "conv", "--device", info.name, "--batch", "2", "--channels", "4", "--size", "6",
             "--filters", "4", "--groups", "2", "--stride", "2", "--repeat", "3", "--json"});
    ASSERT_EQ(result.code, 0) << result.err;
    const json j = json::parse(result.last_line());
    EXPECT_EQ(j["device"], info.name);
    ASSERT_EQ(j["rows"].size(), 3u);
    for (const json& r : j["rows"]) {
      EXPECT_TRUE(r["verified"].get<bool>()) << r;
      EXPECT_GT(r["gflops"].get<double>(), 0) << r;
      EXPECT_LE(r["best"].get<double>(), r["worst"].get<double>()) << r;
    }
  }
}

TEST(CliBench, TimesTrainingBesideItsDigest) {
  for (const DeviceInfo& info : devices()) {
    if (info.name == "counting") continue;
    const test::ProgramResult result =
        run({"bench", "train", "--device", info.name, "--batch", "2", "--steps", "1", "--json"});
    ASSERT_EQ(result.code, 0) << result.err;
    const json j = json::parse(result.last_line());
    EXPECT_TRUE(j["equal"].get<bool>());
    EXPECT_EQ(j["digest"].get<std::string>().size(), 64u);
    EXPECT_GT(j["samples_per_second"].get<double>(), 0);
  }
}

TEST(CliBench, RefusesWhatItCannotTime) {
  EXPECT_EQ(run({"bench"}).code, 1);
  EXPECT_THAT(run({"bench", "conv", "--dtype", "i32"}).err, HasSubstr("f32, f64, f16 or bf16"));
  EXPECT_THAT(run({"bench", "conv", "--groups", "3"}).err,
              HasSubstr("64 channels do not divide into 3 groups"));
  EXPECT_THAT(run({"bench", "conv", "--padding", "full"}).err, HasSubstr("expected same or valid"));
  EXPECT_THAT(run({"bench", "train", "--device", "tpu"}).err, HasSubstr("there is no device \"tpu\""));
}

TEST(CliDevices, SaysWhatIsMissingAndWhy) {
  const json j = json::parse(run({"devices", "--json"}).last_line());
  const std::string text = run({"devices"}).out;
  ASSERT_EQ(j["missing"].size(), missing_devices().size());
  for (const json& missing : j["missing"]) {
    EXPECT_THAT(text, HasSubstr("not here: " + missing["name"].get<std::string>()));
    EXPECT_THAT(text, HasSubstr(missing["reason"].get<std::string>()));
    EXPECT_THAT(run({"bench", "train", "--device", missing["name"]}).err,
                HasSubstr(missing["reason"].get<std::string>()));
  }
}

}  // namespace
}  // namespace isobit
