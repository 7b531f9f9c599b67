// isobit bench and isobit devices, on every device of this build.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <isobit/device.h>
#include <isobit/device_limits.h>
#include <isobit/io.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/files.h"
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
    EXPECT_EQ(j["cache"], "warm");
    EXPECT_GT(j["peaks"]["f32"].get<double>(), 0) << "measured in the same process";
    EXPECT_EQ(j["peaks"]["f32"], j["peak_gflops"]);
    EXPECT_GT(j["bandwidth_gbs"].get<double>(), 0);
    EXPECT_EQ(j["emulated"].get<bool>(), info.name == "simt");
    ASSERT_EQ(j["rows"].size(), 3u);
    for (const json& r : j["rows"]) {
      EXPECT_TRUE(r["verified"].get<bool>()) << r;
      EXPECT_GT(r["gflops"].get<double>(), 0) << r;
      EXPECT_GT(r["percent_of_peak"].get<double>(), 0) << r;
      EXPECT_GT(r["first_milliseconds"].get<double>(), 0) << r;
      EXPECT_LE(r["best"].get<double>(), r["worst"].get<double>()) << r;
    }
  }
}

// Units, and caches that calls find empty, on every device that has them.
TEST(CliBench, TimesCallsThatFindNothingInTheCache) {
  int devices_seen = 0;
  for (const DeviceInfo& info : devices()) {
    if (device_cache_bytes(info.device) == 0) continue;
    ++devices_seen;
    for (const auto& [dtype, math, unit] : {std::tuple{"f32", "exact", "f32"},
                                            {"f64", "exact", "f64"},
                                            {"f32", "fast", "tf32"},
                                            {"f32", "fast-f16", "f16"},
                                            {"bf16", "fast", "bf16"}}) {
      const test::ProgramResult result =
          run({"bench", "matmul", "--device", info.name, "--sizes", "24", "--dtype", dtype, "--math", math,
               "--cache", "cold", "--repeat", "1", "--json"});
      ASSERT_EQ(result.code, 0) << result.err;
      const json j = json::parse(result.last_line());
      EXPECT_EQ(j["cache"], "cold");
      EXPECT_EQ(j["cache_bytes"].get<std::int64_t>(), device_cache_bytes(info.device));
      EXPECT_EQ(j["rows"][0]["peak_unit"], unit);
      EXPECT_TRUE(j["rows"][0]["verified"].get<bool>());
      for (const char* known : {"f32", "f64", "tf32", "f16", "bf16"})
        EXPECT_GT(j["peaks"][known].get<double>(), 0) << known;
      EXPECT_THAT(result.err, HasSubstr("overwritten before every call"));
    }
  }
  if (devices_seen == 0) GTEST_SKIP() << "no device of this build has a cache of its own";
}

TEST(CliBench, SaysWhereFastModeHasNoSpeed) {
  for (const std::vector<std::string>& what :
       {std::vector<std::string>{"conv", "--channels", "64"}, {"matmul"}, {"train"}})
    for (const auto& [setting, why] :
         {std::pair{"ISOBIT_AMX=off", "ISOBIT_AMX=off"},
          std::pair{"ISOBIT_AMX=emulated", "an emulated tile unit has no speed"}}) {
      std::vector<std::string> command{test::isobit_program(), "bench"};
      command.insert(command.end(), what.begin(), what.end());
      command.insert(command.end(), {"--math", "fast-bf16", "--json"});
      const test::ProgramResult result = test::run_program(command, {setting});
      ASSERT_EQ(result.code, 0) << result.err;
      EXPECT_THAT(result.err, HasSubstr(std::string("cpu, arithmetic fast-bf16: not measured: ") + why));
      const json j = json::parse(result.last_line());
      EXPECT_EQ(j["not_measured"], why);
      EXPECT_TRUE(j["rows"].empty());
    }
  const test::ProgramResult unknown =
      test::run_program({test::isobit_program(), "devices"}, {"ISOBIT_AMX=perhaps"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_THAT(unknown.err, HasSubstr("'perhaps' is unknown; expected on, off or emulated"));
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
    EXPECT_GT(j["first_milliseconds"].get<double>(), 0);
    EXPECT_GT(j["peaks"]["f32"].get<double>(), 0);
  }
}

// Every row has what docs/benchmarks.md promises.
void expect_rows(const json& j, std::size_t count) {
  ASSERT_EQ(j["rows"].size(), count);
  for (const char* key : {"peak_gflops", "peaks", "bandwidth_gbs", "cache", "cache_bytes", "emulated",
                          "threads", "clock", "geomean_ratio", "worst_ratio"})
    EXPECT_TRUE(j.contains(key)) << key;
  for (const json& row : j["rows"]) {
    for (const char* key : {"name", "batch", "dir", "milliseconds", "best", "worst", "rounds",
                            "first_milliseconds", "gflops", "percent_of_peak", "peak_unit", "gbs",
                            "percent_of_bandwidth", "peak_memory", "peers", "ratio", "algorithm"})
      EXPECT_TRUE(row.contains(key)) << key;
    EXPECT_TRUE(row["verified"].get<bool>()) << row;
    EXPECT_GT(row["verified_elements"].get<int>(), 0) << row;
    EXPECT_FALSE(row["algorithm"].get<std::string>().empty()) << row;
  }
}

json last_object(std::vector<std::string> arguments) {
  for (const char* more : {"--threads", "1", "--repeat", "1", "--json"}) arguments.emplace_back(more);
  const test::ProgramResult result = run(arguments);
  EXPECT_EQ(result.code, 0) << result.err;
  return json::parse(result.last_line());
}

// A peer that has our bits to the last: the definition, in a process of its own.
TEST(CliBench, TakesTurnsWithThePlainLoops) {
  const test::ProgramResult result =
      run({"bench",   "conv",      "--batch",   "2",        "--size",   "5",        "--channels",
           "3",       "--filters", "6",         "--groups", "3",        "--stride", "2",
           "--peers", "plain",     "--threads", "1",        "--repeat", "1",        "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  if (result.err.find("this build has no peer for plain") != std::string::npos)
    GTEST_SKIP() << "this build has no peers (ISOBIT_BENCHMARKS)";
  const json j = json::parse(result.last_line());
  expect_rows(j, 3);
  for (const json& row : j["rows"]) {
    ASSERT_EQ(row["peers"].size(), 1u) << row << result.err;
    const json& peer = row["peers"][0];
    EXPECT_EQ(peer["implementation"], "reference") << row;
    EXPECT_EQ(peer["error"].get<double>(), 0) << row;
    EXPECT_GT(row["ratio"].get<double>(), 0) << row;
  }
}

// Libraries that this build found have our results, matrices stored transposed among them.
TEST(CliBench, TakesTurnsWithLibraries) {
  const auto rows = [](const char* peer, const char* dtype) {
    return last_object(
        {"bench", "matmul", "--sizes", "5x7x9,20x30x40:tn,33:nt,8:tt", "--dtype", dtype, "--peers", peer});
  };
  int compared = 0;
  for (const char* peer : {"onednn", "openblas"}) {
    const json single = rows(peer, "f32");
    expect_rows(single, 4);
    for (const json& row : single["rows"])
      for (const json& theirs : row["peers"]) {
        EXPECT_TRUE(theirs.contains("milliseconds")) << row;
        ++compared;
      }
  }
  const json wide = rows("onednn", "f64");
  for (const json& row : wide["rows"])
    for (const json& theirs : row["peers"]) EXPECT_EQ(theirs["why"], "oneDNN has no f64") << row;
  if (compared == 0) GTEST_SKIP() << "neither oneDNN nor OpenBLAS was found when this was configured";
}

TEST(CliBench, TimesTheConvolutionsOfAFile) {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "mine.txt") << "mb2ic3ih6oc4kh3ph1n\"a:1\"\nmb2ic3ih6oc5kh3ph1n\"a:2\"\n"
                                        "transposed mb1ic2ih6oc3kh2sh2n\"up\"\n";
  const std::string file = folder / "mine.txt";
  json j = last_object({"bench", "conv", "--shapes", file, "--cached", "--plot", folder / "rows.png"});
  expect_rows(j, 9);
  EXPECT_EQ(j["cliffs"].size(), 3u) << "one for each direction";
  EXPECT_TRUE(j["rows"][0].contains("cached"));
  EXPECT_EQ(io::read_png(folder / "rows.png").rank(), 3);
  j = last_object(
      {"bench", "conv", "--shapes", file, "--only", "up", "--dir", "bwd_w,fwd", "--algorithm", "reference"});
  expect_rows(j, 2);
  EXPECT_EQ(j["rows"][0]["dir"], "bwd_w");
  EXPECT_EQ(j["rows"][0]["algorithm"], "reference");
  EXPECT_THAT(run({"bench", "conv", "--shapes", file, "--only", "nothing"}).err, HasSubstr("no row has"));
  EXPECT_THAT(run({"bench", "conv", "--shapes", file, "--algorithm", "magic"}).err,
              HasSubstr("has no algorithm 'magic'"));
}

TEST(CliBench, TimesEverythingElse) {
  expect_rows(last_object({"bench", "pool", "--elements", "4000", "--dtype", "f64"}), 10);
  expect_rows(last_object({"bench", "memory", "--elements", "4000", "--dir", "fwd"}), 20);
  expect_rows(last_object({"bench", "memory", "--elements", "4000", "--only", "norm", "--dtype", "bf16"}), 7);
  expect_rows(last_object({"bench", "matmul", "--sizes", "17,5x6x7:tn,33:nt"}), 3);
  expect_rows(last_object({"bench", "overhead"}), 7);
}

TEST(CliBench, PoolsByAnotherLibraryRunBesideOursInTheSameProcess) {
  const std::vector<DeviceInfo> all = devices();
  if (std::none_of(all.begin(), all.end(), [](const DeviceInfo& d) { return d.name == "simt"; }))
    GTEST_SKIP() << "this build has no simt";
  for (const char* math : {"exact", "fast"}) {
    const json j = last_object({"bench", "pool", "--device", "simt", "--peers", "cudnn", "--elements", "4000",
                                "--only", "2x2", "--math", math});
    expect_rows(j, 4);
    for (const json& row : j["rows"]) {
      EXPECT_FALSE(row["peers"][0].contains("why")) << row.dump();
      EXPECT_GT(row["ratio"].get<double>(), 0) << row.dump();
    }
  }
  EXPECT_THAT(run({"bench", "pool", "--device", "simt", "--peers", "cudnn", "--elements", "4000", "--only",
                   "global", "--repeat", "3"})
                  .out,
              HasSubstr("no cudnn: "));  // a mean, which several kernels may serve
}

TEST(CliBench, RefusesWhatItCannotTime) {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "bad.txt") << "mb1ic1ih4oc1kh3\nmb1ic1ih4oc1kh9\n";
  EXPECT_THAT(run({"bench", "conv", "--shapes", folder / "bad.txt"}).err, HasSubstr("bad.txt:2: "));
  EXPECT_THAT(run({"bench", "conv", "--dir", "up"}).err, HasSubstr("there is no direction \"up\""));
  EXPECT_THAT(run({"bench", "conv", "--peers", "eigen"}).err, HasSubstr("there is no peer \"eigen\""));
  EXPECT_THAT(run({"bench", "conv", "--peers", "cudnn", "--channels", "4", "--size", "6"}).out,
              HasSubstr("no cudnn: "));  // the CPU has none, and the rows say so
  EXPECT_THAT(run({"bench", "conv", "--cache", "cold"}).err,
              HasSubstr("cold caches on cpu: only a GPU's second-level cache can be flushed"));
  EXPECT_THAT(run({"bench", "conv", "--cache", "hot"}).err, HasSubstr("hot not in {warm,cold}"));
  EXPECT_THAT(run({"bench", "matmul", "--sizes", "5x5"}).err, HasSubstr("'5x5' is no matrix product"));
  EXPECT_THAT(run({"bench", "train", "--model", "alexnet"}).err, HasSubstr("there is no model \"alexnet\""));
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
