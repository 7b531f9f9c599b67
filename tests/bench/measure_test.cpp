// What `isobit bench` measures with: shape files, statistics, verification, cliffs, pictures. No time is
// asserted anywhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <isobit/error.h>
#include <isobit/io.h>
#include <isobit/ops.h>

#include <bit>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include "benchmarks/conv.h"
#include "benchmarks/matmul.h"
#include "benchmarks/plot.h"
#include "benchmarks/report.h"
#include "benchmarks/sweep.h"
#include "tests/support/files.h"

namespace isobit::bench {
namespace {

using ::testing::DoubleNear;
using ::testing::HasSubstr;

template <class Body>
std::string error_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string write_file(const test::TemporaryFolder& folder, const std::string& name,
                       const std::string& text) {
  std::ofstream(folder / name) << text;
  return folder / name;
}

TEST(BenchShapes, ReadsNamesBatchesAndTransposedConvolutions) {
  const test::TemporaryFolder folder;
  const auto cases = read_cases(write_file(folder, "mine.txt",
                                           "# a comment\n\nmb2ic3ih8oc4kh3ph1n\"small\"  # and another\n"
                                           "  transposed mb1ic3ih64oc64kh4sh2ph1\n"));
  ASSERT_EQ(cases.size(), 2u);
  EXPECT_EQ(cases[0].name, "small");
  EXPECT_EQ(cases[0].place, "mine.txt:3");
  EXPECT_FALSE(cases[0].transposed);
  EXPECT_EQ(cases[0].batch(), 2);
  EXPECT_EQ(cases[0].y(), (Shape{2, 8, 8, 4}));
  EXPECT_EQ(cases[0].flops(), 2.0 * 2 * 8 * 8 * 4 * 9 * 3);
  EXPECT_EQ(cases[1].name, "mb1ic3ih64oc64kh4sh2ph1");
  EXPECT_TRUE(cases[1].transposed);
  EXPECT_EQ(cases[1].y(), (Shape{1, 32, 32, 64}));
}

TEST(BenchShapes, NamesTheLineThatIsWrong) {
  const test::TemporaryFolder folder;
  const auto error = [&](const std::string& text) {
    return error_of([&] { read_cases(write_file(folder, "mine.txt", text)); });
  };
  EXPECT_THAT(error("mb1ic1ih4oc1kh3\nmb1ic1ih4oc1kq3\n"), HasSubstr("mine.txt:2: 'mb1ic1ih4oc1kq3'"));
  EXPECT_THAT(error("\nmb1g2ic3ih4oc2kh3\n"), HasSubstr("mine.txt:2: "));
  EXPECT_THAT(error("mb0ic1ih4oc1kh3\n"), HasSubstr("mine.txt:1: 'mb0ic1ih4oc1kh3': an extent is 0"));
  EXPECT_THAT(error("# nothing\n"), HasSubstr("holds no shape"));
  EXPECT_THAT(error_of([] { read_cases("/nowhere/at/all.txt"); }), HasSubstr("cannot be read"));
  EXPECT_THAT(error_of([] { read_cases("ancor"); }),
              HasSubstr("'ancor' cannot be read: expected a file, or the name of one that comes with isobit "
                        "(anchor, sweep)"));
}

TEST(BenchShapes, AnchorHasEveryLayerAloneAndInABatch) {
  std::map<std::string, std::set<std::int64_t>> batches;
  for (const ConvCase& c : read_cases("anchor")) batches[c.name].insert(c.batch());
  EXPECT_EQ(batches.size(), 21u);
  for (const auto& [name, sizes] : batches)
    EXPECT_TRUE(sizes == (std::set<std::int64_t>{1, 16}) || sizes == (std::set<std::int64_t>{1, 64})) << name;
}

TEST(BenchShapes, SweepHasSeries) {
  std::map<std::string, int> series;
  for (const ConvCase& c : read_cases("sweep.txt")) {
    ASSERT_NE(c.name.find(':'), std::string::npos) << c.name;
    ++series[c.name.substr(0, c.name.find(':'))];
  }
  EXPECT_EQ(series.size(), 7u);
  for (const auto& [name, members] : series) EXPECT_GE(members, 6) << name;
}

TEST(BenchMatmul, ReadsSizesAndLayouts) {
  const auto cases = parse_matmuls("512,6x7x8:nt,9:tt");
  ASSERT_EQ(cases.size(), 3u);
  EXPECT_EQ(cases[0].k, 512);
  EXPECT_EQ(cases[1].m, 6);
  EXPECT_EQ(cases[1].n, 7);
  EXPECT_EQ(cases[1].k, 8);
  EXPECT_FALSE(cases[1].transpose_a);
  EXPECT_TRUE(cases[1].transpose_b);
  EXPECT_TRUE(cases[2].transpose_a);
  for (const char* wrong : {"", "0", "5x6", "5x6x7x8", "5x6x", "x5", "a", "5:", "5:tq", "5:t", "5,,6", "-5"})
    EXPECT_THAT(error_of([&] { parse_matmuls(wrong); }), HasSubstr("is no matrix product")) << wrong;
}

TEST(BenchStatistics, MedianLowHighAndRatios) {
  EXPECT_EQ(spread({3, 1, 2}).median, 2);
  EXPECT_EQ(spread({4, 1, 2, 3}).median, 2.5);
  EXPECT_EQ(spread({4, 1, 2, 3}).low, 1);
  EXPECT_EQ(spread({4, 1, 2, 3}).high, 4);
  EXPECT_EQ(spread({4, 2, 3}).percent(), 100 * 2.0 / 3);
  EXPECT_EQ(spread({}).median, 0);
  EXPECT_THAT(geometric_mean({1, 4, 16}), DoubleNear(4, 1e-12));
  EXPECT_EQ(geometric_mean({}), 0);
  EXPECT_EQ(median_ratio({2, 9, 8}, {1, 3, 2}), 3);  // pair by pair: 2, 3, 4
  EXPECT_THROW(median_ratio({1}, {1, 2}), Error);
}

TEST(BenchStatistics, DirectionsByName) {
  EXPECT_EQ(parse_directions("bwd_w,fwd"), (std::vector{Direction::backward_weights, Direction::forward}));
  EXPECT_THAT(error_of([] { parse_directions("fwd,up"); }), HasSubstr("there is no direction \"up\""));
}

TEST(BenchOperands, TellsRoundingFromAnotherResult) {
  const Tensor ours = from_vector(std::vector<float>{1, -1, 1, -1}, {4});
  EXPECT_EQ(relative_error(ours, ours), 0);
  EXPECT_THAT(relative_error(from_vector(std::vector<float>{1.5f, -1, 1, -1}, {4}), ours),
              DoubleNear(0.5, 1e-6));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(relative_error(from_vector(std::vector<float>{1, nan, 1, -1}, {4}), ours) <=
               tolerance(DType::f32));
  const Tensor zeros4 = zeros({4});
  EXPECT_FALSE(relative_error(ours, zeros4) <= tolerance(DType::f32));
  EXPECT_EQ(relative_error(zeros4, zeros4), 0);
}

// One element of the result off by one bit, somewhere.
Tensor flipped(const Tensor& t, std::int64_t at) {
  auto values = t.to_vector<float>();
  auto bits = std::bit_cast<std::uint32_t>(values[static_cast<std::size_t>(at)]);
  values[static_cast<std::size_t>(at)] = std::bit_cast<float>(bits ^ 1u);
  return from_vector(values, t.shape());
}

TEST(BenchVerification, FindsAWrongBitInEveryKernel) {
  for (const char* line : {"mb3ic5ih7oc6kh3ph1", "mb2g4ic8ih6oc8kh3sh2ph1", "mb2g6ic6ih5oc6kh3ph1dh1",
                           "transposed mb2ic3ih8oc5kh4sh2ph1", "mb2ic2id3ih4iw5oc3kd2kh2kw2"}) {
    const ConvTensors tensors(parse_case(line, "test"), DType::f32, Device::cpu());
    for (const Direction direction :
         {Direction::forward, Direction::backward_data, Direction::backward_weights}) {
      const Problem problem = conv_problem(tensors, direction);
      const Tensor result = problem.call();
      const Verdict verdict = problem.verify(result);
      EXPECT_TRUE(verdict.equal) << line << " " << problem.kernel;
      EXPECT_EQ(verdict.elements, result.numel()) << "small enough to be computed as a whole";
      for (const std::int64_t at : {std::int64_t{0}, result.numel() / 2, result.numel() - 1})
        EXPECT_FALSE(problem.verify(flipped(result, at)).equal) << line << " " << problem.kernel << " " << at;
    }
  }
}

TEST(BenchVerification, DrawsPartsOfWhatIsLarge) {
  const ConvTensors tensors(parse_case("mb8ic64ih28oc80kh3ph1", "test"), DType::f32, Device::cpu());
  for (const Direction direction :
       {Direction::forward, Direction::backward_data, Direction::backward_weights}) {
    const Problem problem = conv_problem(tensors, direction);
    const Tensor result = problem.call();
    const Verdict verdict = problem.verify(result);
    EXPECT_TRUE(verdict.equal) << problem.kernel;
    EXPECT_GT(verdict.elements, 0);
    EXPECT_LT(verdict.elements, result.numel());
    // The last sample, filter and channel are always drawn.
    EXPECT_FALSE(problem.verify(flipped(result, result.numel() - 1)).equal) << problem.kernel;
  }
}

Row row_of(const std::string& name, double flops, double seconds) {
  Row row;
  row.name = name;
  row.direction = "fwd";
  row.flops = flops;
  row.bytes = flops / 10;
  row.seconds = {seconds, seconds, seconds};
  row.verdict = {true, 1};
  return row;
}

TEST(BenchSweep, ACliffIsWhereAnOperationCostsMoreThanBesideIt) {
  // A small problem may cost more an operation; a larger one may not, nor one nearly as large.
  const auto found = cliffs({row_of("a:1", 100, 50), row_of("a:2", 200, 60), row_of("a:4", 400, 120),
                             row_of("a:5", 440, 264), row_of("a:8", 800, 240), row_of("b:1", 1, 1),
                             row_of("no series", 1, 9)});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].series, "a");
  EXPECT_EQ(found[0].at, "a:5");
  EXPECT_EQ(found[0].beside, "a:4");
  EXPECT_THAT(found[0].factor, DoubleNear(2, 1e-12));
  EXPECT_GT(found[0].factor, kCliff);
  // One below a tile's extent: the row after is the neighbour.
  const auto below = cliffs({row_of("a:15", 150, 45), row_of("a:16", 160, 16)});
  ASSERT_EQ(below.size(), 1u);
  EXPECT_EQ(below[0].at, "a:15");
}

TEST(BenchReport, SaysWhatARunCameTo) {
  std::vector<Row> rows{row_of("one", 2e9, 0.5), row_of("two", 2e9, 1), row_of("alone", 2e9, 1)};
  rows[0].peers.push_back({"slow", "Slow 1", "", "way", "impl", {2, 2, 2}, 4, 0, {}, 0});
  rows[0].peers.push_back({"fast", "Fast 1", "", "way", "impl", {1, 1, 1}, 2, 0, {}, 0});
  rows[1].peers.push_back({"slow", "Slow 1", "", "way", "impl", {0.5, 0.5, 0.5}, 0.5, 0, {}, 0});
  rows[2].peers.push_back({"slow", "Slow 1", "a wrong result", "", "", {}, 0, 0, {}, 0});
  Machine machine;
  machine.peak_gflops = 8;
  machine.bandwidth_gbs = 2;
  const auto j = to_json("conv", rows, Settings{}, machine);
  EXPECT_EQ(j["bench"], "conv");
  EXPECT_EQ(j["clock"], "processor");
  EXPECT_EQ(j["peak_gflops"], 8);
  ASSERT_EQ(j["rows"].size(), 3u);
  EXPECT_THAT(j["rows"][0]["gflops"].get<double>(), DoubleNear(4, 1e-9));
  EXPECT_THAT(j["rows"][0]["percent_of_peak"].get<double>(), DoubleNear(50, 1e-9));
  EXPECT_THAT(j["rows"][0]["percent_of_bandwidth"].get<double>(), DoubleNear(20, 1e-9));
  EXPECT_EQ(j["rows"][0]["ratio"], 2) << "of the fastest peer";
  EXPECT_TRUE(j["rows"][2]["ratio"].is_null());
  EXPECT_EQ(j["rows"][2]["peers"][0]["why"], "a wrong result");
  EXPECT_THAT(j["geomean_ratio"].get<double>(), DoubleNear(1, 1e-12));
  EXPECT_EQ(j["worst_ratio"], 0.5);
  EXPECT_EQ(ratios(rows, false).worst_row, "two batch 0 fwd");
  EXPECT_TRUE(all_verified(rows));
  rows[1].verdict.equal = false;
  EXPECT_FALSE(all_verified(rows));
}

TEST(BenchMachine, HoldsARowAgainstTheUnitThatComputesIt) {
  Machine gpu;
  gpu.units = {{"f32", 8}, {"f64", 4}, {"tf32", 40}, {"f16", 80}};
  gpu.peak_gflops = 8;
  const auto unit = [&](DType dtype, Math math) { return gpu.unit_of(dtype, math); };
  EXPECT_EQ(unit(DType::f32, Math::exact), "f32");
  EXPECT_EQ(unit(DType::f16, Math::exact), "f32") << "exact f16 is computed in f32";
  EXPECT_EQ(unit(DType::f64, Math::exact), "f64");
  EXPECT_EQ(unit(DType::f64, Math::fast), "f64") << "f64 stays exact";
  EXPECT_EQ(unit(DType::f32, Math::fast), "tf32");
  EXPECT_EQ(unit(DType::f32, Math::fast_f16), "f16");
  EXPECT_EQ(unit(DType::f16, Math::fast_bf16), "f16") << "as it is";
  EXPECT_EQ(unit(DType::bf16, Math::fast), "f32") << "this device has no such unit";
  Row row = row_of("one", 2e9, 0.5);
  EXPECT_THAT(row.percent_of_peak(gpu), DoubleNear(50, 1e-9));
  row.math = Math::fast;
  EXPECT_THAT(row.percent_of_peak(gpu), DoubleNear(10, 1e-9));
  Machine cpu;
  cpu.peak_gflops = 8;
  EXPECT_EQ(cpu.unit_of(DType::f64, Math::exact), "f32") << "of the CPU one peak is measured";
  EXPECT_EQ(cpu.unit_of(DType::f32, Math::fast), "f32");
}

TEST(BenchMachine, FlushesTheCacheBeforeEveryColdCall) {
  const auto device = [&]() -> std::optional<Device> {
    try {
      return Device::simt();
    } catch (const Error&) {
      return std::nullopt;
    }
  }();
  if (!device) GTEST_SKIP() << "this build has no simt";
  Settings settings;
  settings.device = *device;
  settings.rounds = 1;
  settings.turn_seconds = 1e-9;  // one call a turn
  const ConvTensors tensors(parse_case("mb1ic8ih6oc8kh3", "test"), DType::f32, *device);
  const Problem problem = conv_problem(tensors, Direction::forward);
  // What a flush writes is the most that is in use: no tensor here is as large as the cache.
  const auto most_in_use = [&] {
    const Row row = measure(problem, settings, {});
    EXPECT_TRUE(row.verdict.equal);
    EXPECT_GT(row.seconds.median, 0);
    EXPECT_LT(row.peak_memory, device_cache_bytes(*device)) << "a flush is no memory of the call";
    return memory_stats(*device).peak;
  };
  EXPECT_LT(most_in_use(), device_cache_bytes(*device));
  settings.cold = true;
  EXPECT_GE(most_in_use(), 2 * device_cache_bytes(*device));
  Machine machine;
  machine.measure(settings, 1, 1);
  EXPECT_TRUE(machine.emulated);
  EXPECT_EQ(machine.cache_bytes, device_cache_bytes(*device));
  EXPECT_EQ(machine.units.size(), 5u);
  EXPECT_GT(machine.bandwidth_gbs, 0);
  EXPECT_GT(machine.update_gbs, 0);
}

TEST(BenchPlot, WritesAPictureOfTheRows) {
  const test::TemporaryFolder folder;
  std::vector<Row> rows{row_of("one", 2e9, 0.5), row_of("two %/()", 2e9, 1)};
  rows[0].peers.push_back({"fast", "Fast 1", "", "way", "impl", {1, 1, 1}, 2, 0, {}, 0});
  Machine machine;
  machine.peak_gflops = 8;
  plot(folder / "rows.png", rows, machine);
  const Tensor picture = io::read_png(folder / "rows.png");
  plot(folder / "unknown.png", rows, Machine{});  // shares of the best row
  EXPECT_EQ(picture.shape(2), 3);
  EXPECT_FALSE(equal_bits(picture, io::read_png(folder / "unknown.png")));
  EXPECT_THROW(plot("/nowhere/at/all.png", rows, machine), Error);
}

TEST(BenchRivals, AreNamedAmongThePeers) {
  std::string list = "torch,cudnn,onednn,cublaslt";
  EXPECT_EQ(take_rivals(list), (std::vector<std::string>{"cudnn", "cublaslt"}));
  EXPECT_EQ(list, "torch,onednn");
  list = "cudnn";
  EXPECT_EQ(take_rivals(list), std::vector<std::string>{"cudnn"});
  EXPECT_EQ(list, "");
}

TEST(BenchRivals, RunBesideOursAndAreJudgedAsOursIs) {
  std::string missing;
  const auto device = [&]() -> std::optional<Device> {
    missing = error_of([] { Device::simt(); });
    return missing == "no error" ? std::optional(Device::simt()) : std::nullopt;
  }();
  if (!device) GTEST_SKIP() << missing;
  Settings settings;
  settings.device = *device;
  settings.algorithm = "direct";  // ours: it must be forced again after each turn of the others
  settings.rounds = 3;
  settings.turn_seconds = 1e-5;
  settings.rivals = {"cudnn", "cublaslt"};
  const ConvTensors tensors(parse_case("mb1ic8ih6oc8kh3", "test"), DType::f32, *device);
  const Row row = measure(conv_problem(tensors, Direction::forward), settings, {});
  EXPECT_EQ(row.algorithm, "direct");
  EXPECT_TRUE(row.verdict.equal);
  ASSERT_EQ(row.peers.size(), 2u);
  const PeerRow &cudnn = row.peers[0], &cublaslt = row.peers[1];
  EXPECT_EQ(cudnn.label + " " + cudnn.variant, "cudnn fast");
  EXPECT_EQ(cudnn.why, "");
  EXPECT_GT(cudnn.error, 0) << "tf32 rounds";
  EXPECT_LT(cudnn.error, 1e-2);
  EXPECT_GT(cudnn.ratio, 0);
  EXPECT_EQ(row.best(), &cudnn);
  EXPECT_THAT(cublaslt.why, HasSubstr("cublaslt")) << "it multiplies matrices";
}

}  // namespace
}  // namespace isobit::bench
