// What `isobit verify` stands on: mistakes of a device are noticed, in the right place; bad options are
// refused; inputs are what they are said to be.
#include <gtest/gtest.h>
#include <isobit/error.h>
#include <isobit/verify.h>

#include <algorithm>
#include <cmath>

#include "core/backend.h"
#include "core/variants.h"
#include "core/verify/device_array.h"
#include "core/verify/families.h"
#include "tests/support/broken.h"
#include "tests/support/files.h"

namespace isobit {
namespace {

using test::Mistake;
using verify::HostArray;
using verify::Values;

Device broken(Mistake mistake) {
  static const std::vector<Device> list = [] {
    std::vector<Device> made;
    for (int m = 0; m <= static_cast<int>(Mistake::thrown); ++m)
      made.push_back(register_backend(
          std::make_unique<test::Broken>("mistake " + std::to_string(m), static_cast<Mistake>(m))));
    return made;
  }();
  return list[static_cast<std::size_t>(mistake)];
}

verify::Options shapes_of(const std::string& path, std::vector<Device> devices) {
  verify::Options options;
  options.devices = std::move(devices);
  options.shapes = path;
  return options;
}

class Verify : public testing::Test {
 protected:
  Verify() { test::write_text(path_, "# one\nmb2ic3ih5oc4kh3ph1 n\"one\"\n"); }
  test::TemporaryFolder folder_;
  std::string path_ = folder_ / "mine.txt";
};

TEST_F(Verify, FindsNothingWhereNothingIsWrong) {
  verify::Options options = shapes_of(path_, {Device::cpu(), broken(Mistake::none)});
  options.full = true;
  std::int64_t told = 0;
  options.progress = [&](const verify::Progress& p) {
    EXPECT_EQ(p.problems, ++told);
    EXPECT_EQ(p.different, 0);
  };
  const verify::Report report = verify::run(options);
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.different, 0);
  EXPECT_EQ(report.problems, 18);  // three directions of four types, hard and tiny values
  EXPECT_EQ(told, report.problems);
  EXPECT_EQ(report.devices, (std::vector<std::string>{"cpu", "mistake 0"}));
  std::int64_t compared = 0, by_reference = 0;
  for (const verify::Tally& t : report.tallies) {
    compared += t.equal;
    if (t.algorithm == "reference") by_reference += t.equal;
    EXPECT_FALSE(t.algorithm == "reference" && t.device == "cpu");
  }
  EXPECT_EQ(compared, report.cases());
  EXPECT_GT(by_reference, 0);  // another device's own reference is judged like anything else
  EXPECT_FALSE(report.skips.empty());
}

TEST_F(Verify, NamesThePlaceOfAFlippedBit) {
  const verify::Report report = verify::run(shapes_of(path_, {Device::cpu(), broken(Mistake::flipped_bit)}));
  EXPECT_FALSE(report.ok());
  EXPECT_GT(report.different, 0);
  ASSERT_FALSE(report.differences.empty());
  for (const verify::Difference& d : report.differences) {
    EXPECT_EQ(d.device, "mistake 1");
    EXPECT_EQ(d.problem.find("conv_backward_input f32 mine.txt:2 one "), 0u) << d.problem;
    EXPECT_EQ(d.index, 2 * 5 * 5 * 3 / 2);
    EXPECT_EQ(d.count, 1);
    EXPECT_EQ(d.numel, 150);
    EXPECT_EQ(d.output, 0);
    EXPECT_EQ(d.error, "");
    EXPECT_NE(d.got, d.expected);
    EXPECT_NE(d.got.find("(0x"), std::string::npos) << d.got;
    EXPECT_NE(d.command.find("isobit verify --quick --devices 'mistake 1' --seed 1 --shapes"),
              std::string::npos)
        << d.command;
    EXPECT_NE(d.command.find(d.problem), std::string::npos) << d.command;
  }
  for (const verify::Tally& t : report.tallies) {
    EXPECT_EQ(t.different > 0, t.device == "mistake 1" && t.kernel == "conv_backward_input") << t.kernel;
    EXPECT_GT(t.equal + t.different, 0);
  }
}

TEST_F(Verify, SeesWhatElseCanGoWrong) {
  const auto first = [&](Mistake mistake) {
    verify::Options options = shapes_of(path_, {broken(mistake)});
    options.kernels = {"conv_backward_input"};
    const verify::Report report = verify::run(options);
    EXPECT_FALSE(report.ok());
    EXPECT_FALSE(report.differences.empty());
    return report.differences.empty() ? verify::Difference() : report.differences.front();
  };
  EXPECT_NE(first(Mistake::outside).error.find("wrote outside its output: byte 600 of 600"),
            std::string::npos)
      << first(Mistake::outside).error;
  EXPECT_EQ(first(Mistake::changed_input).error, "input 0 was written to");
  EXPECT_EQ(first(Mistake::thrown).error, "broken: the kernel failed");
  const verify::Difference forgotten = first(Mistake::forgotten);
  EXPECT_EQ(forgotten.count, 150);
  EXPECT_NE(forgotten.got.find("0xffffffff"), std::string::npos) << forgotten.got;
}

TEST_F(Verify, GivesUpADeviceThatOnlyFails) {
  test::write_text(path_,
                   "mb1ic1iw4oc1kw1\nmb1ic1iw5oc1kw1\nmb1ic1iw6oc1kw1\nmb1ic1iw7oc1kw1\nmb1ic1iw8oc1kw1\n");
  verify::Options options = shapes_of(path_, {broken(Mistake::thrown)});
  options.kernels = {"conv_backward_input"};
  options.full = true;
  const verify::Report report = verify::run(options);
  EXPECT_EQ(report.equal, 0);
  EXPECT_GE(report.different, 10);
  bool said = false;
  for (const verify::Skip& s : report.skips) said = said || s.reason.find("given up") != std::string::npos;
  EXPECT_TRUE(said);
}

TEST_F(Verify, TheSeedAndTheNameDecideTheInputs) {
  const auto all = [](std::uint64_t seed, std::uint64_t stream) {
    return verify::random_array(DType::f32, 500, Values::plain, {seed, stream});
  };
  EXPECT_FALSE(verify::compare(all(1, 1).view(), all(1, 1).view()));
  EXPECT_TRUE(verify::compare(all(1, 1).view(), all(2, 1).view()));
  EXPECT_TRUE(verify::compare(all(1, 1).view(), all(1, 2).view()));
}

TEST_F(Verify, RefusesWhatItCannotDo) {
  const auto refused = [](const verify::Options& options, const char* text) {
    try {
      verify::run(options);
      ADD_FAILURE() << "no error: " << text;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
    }
  };
  refused(shapes_of(folder_ / "absent.txt", {Device::cpu()}), "absent.txt");
  refused(shapes_of(folder_.path(), {Device::cpu()}), "directory");
  refused(shapes_of(path_, {Device::cpu(), Device::cpu()}), "cpu is named twice");
  test::write_text(path_, "mb1ic1ih3oc1kh3\nmb1ic1ih3oc1kh3@mirror\n");
  refused(shapes_of(path_, {Device::cpu()}),
          "mine.txt:2: 'mb1ic1ih3oc1kh3@mirror': unknown padding mode 'mirror'");
  test::write_text(path_, "# nothing\n");
  refused(shapes_of(path_, {Device::cpu()}), "holds no shape");
  test::write_text(path_, "mb900000ic900ih9000oc900kh1\n");
  refused(shapes_of(path_, {Device::cpu()}), "multiply-adds");
  verify::Options options;
  options.kernels = {"convolve"};
  refused(options, "there is no kernel 'convolve'");
  options.kernels = {};
  options.only = "nothing is called this";
  refused(options, "nothing to do");
}

TEST_F(Verify, StopsWhenAsked) {
  verify::Options options;
  options.devices = {Device::cpu()};
  int asked = 0;
  options.stop = [&] { return ++asked > 5; };
  const verify::Report report = verify::run(options);
  EXPECT_TRUE(report.stopped);
  EXPECT_FALSE(report.ok());
  EXPECT_EQ(report.problems, 5);
}

TEST_F(Verify, RunsWhatIsChosen) {
  verify::Options options;
  options.devices = {Device::cpu()};
  options.kernels = {"matmul"};
  std::string last;
  options.choose = [](const std::string& name) {
    return name.find("f64 13x31:31x33b3 ") != std::string::npos;
  };
  options.progress = [&](const verify::Progress& p) { last = p.problem; };
  const verify::Report report = verify::run(options);
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.problems, 2);  // plain and hard values
  EXPECT_EQ(last.rfind("matmul f64 13x31:31x33b3 ", 0), 0u) << last;
  options.choose = [](const std::string&) { return false; };
  EXPECT_THROW(verify::run(options), Error);  // nothing to do
}

// Parts are a whole; a full run takes every way of the CPU, and three orders of simt's four.
TEST_F(Verify, TakesEnoughWaysOfEveryPart) {
  verify::Options options;
  options.kernels = {"arange"};
  options.full = true;
  for (const char* name : {"cpu", "simt"}) {
    const bool is_there = std::any_of(devices().begin(), devices().end(),
                                      [&](const DeviceInfo& info) { return info.device.name() == name; });
    if (!is_there) continue;
    options.devices = {Device::parse(name)};
    auto* const varied = dynamic_cast<HasVariants*>(&backend(options.devices[0]));
    ASSERT_NE(varied, nullptr);
    const auto ways = static_cast<std::int64_t>(varied->enough());
    EXPECT_EQ(ways,
              options.devices[0] == Device::cpu() ? static_cast<std::int64_t>(varied->variants().size()) : 3);
    std::int64_t problems = 0;
    for (int part = 1; part <= 3; ++part) {
      options.choose = verify::part_of(part, 3);
      const verify::Report report = verify::run(options);
      EXPECT_TRUE(report.ok());
      EXPECT_GT(report.problems, 0);
      EXPECT_EQ(report.equal, report.problems * ways);  // one algorithm
      problems += report.problems;
    }
    options.choose = {};
    EXPECT_EQ(verify::run(options).problems, problems);
  }
}

TEST(VerifyValues, AreWhatTheyPromise) {
  for (const DType dtype : verify::kFloating)
    for (const Values values : {Values::plain, Values::hard, Values::finite, Values::tiny}) {
      const HostArray a = verify::random_array(dtype, 4000, values, {1, 2});
      int zeros[2] = {}, infinities = 0, nans = 0, small = 0, equal = 0;
      double largest = 0;
      for (std::int64_t i = 0; i < a.numel(); ++i) {
        const double v = verify::element_value(a.view(), i);
        if (v == 0) ++zeros[std::signbit(v) ? 1 : 0];
        if (std::isinf(v)) ++infinities;
        if (std::isnan(v)) ++nans;
        if (v != 0 && std::fabs(v) < 0x1p-14) ++small;
        if (v == 1.5) ++equal;
        if (std::isfinite(v)) largest = std::fmax(largest, std::fabs(v));
      }
      EXPECT_GT(zeros[0], 50);
      EXPECT_GT(zeros[1], 50);
      EXPECT_GT(equal, 50);
      EXPECT_EQ(infinities > 5, values == Values::hard);
      EXPECT_EQ(nans > 5, values == Values::hard);
      EXPECT_EQ(small > 20, values != Values::finite);
      EXPECT_EQ(largest <= 4, values == Values::finite);
    }
  const HostArray integers = verify::random_array(DType::i32, 4000, Values::hard, {1, 2});
  int lowest = 0, few = 0;
  for (std::int64_t i = 0; i < 4000; ++i) {
    const double v = verify::element_value(integers.view(), i);
    if (v == -2147483648.0) ++lowest;
    if (std::fabs(v) < 8) ++few;
  }
  EXPECT_GT(lowest, 20);
  EXPECT_GT(few, 3000);
}

TEST(VerifyArrays, LieWhereTheyShould) {
  Backend& cpu = backend(Device::cpu());
  const HostArray content = verify::random_array(DType::f32, 5, Values::plain, {1, 2});
  for (const auto kind : {verify::DeviceArray::Kind::input, verify::DeviceArray::Kind::output})
    for (const std::int64_t skip : {0, 1, 3}) {
      verify::DeviceArray array(cpu, content, skip, kind);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(array.view().data) % 64,
                static_cast<std::uintptr_t>(4 * skip));
      EXPECT_FALSE(verify::compare(array.download().view(), content.view()));
      EXPECT_EQ(array.breach(), "");
      array.view().as<float>()[2] = 77;
      EXPECT_EQ(array.download().view().as<float>()[2], 77);
      array.reset();
      EXPECT_FALSE(verify::compare(array.download().view(), content.view()));
      if (kind == verify::DeviceArray::Kind::input && skip == 0) continue;
      array.view().as<char>()[-1] = 0;
      array.download();
      EXPECT_EQ(array.breach(), "wrote outside its output: byte -1 of 20");
    }
  EXPECT_EQ(
      verify::DeviceArray(cpu, HostArray(DType::f32, 0), 0, verify::DeviceArray::Kind::input).view().numel,
      0);
}

}  // namespace
}  // namespace isobit
