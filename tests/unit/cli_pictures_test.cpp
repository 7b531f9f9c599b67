// isobit filters, explain --out and viz: what they draw, and what they say to wrong input.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <isobit/io.h>
#include <isobit/nn.h>
#include <isobit/ops.h>
#include <isobit/saved_model.h>

#include "tests/support/files.h"
#include "tests/support/idx_files.h"
#include "tests/support/paths.h"
#include "tests/support/pictures.h"
#include "tests/support/program.h"

namespace isobit {
namespace {

using ::testing::HasSubstr;
using Arguments = std::vector<std::string>;

test::ProgramResult run(Arguments arguments, const Arguments& environment = {}) {
  arguments.insert(arguments.begin(), test::isobit_program());
  return test::run_program(arguments, environment);
}

// The line of the table that begins with `name`.
std::string line_of(const test::ProgramResult& result, const std::string& name) {
  const std::size_t at = result.out.find("\n" + name);
  return at == std::string::npos ? "" : result.out.substr(at + 1, result.out.find('\n', at + 1) - at - 1);
}

class CliPictures : public ::testing::Test {
 protected:
  CliPictures() {
    io::write_png(photo_, random_uniform({20, 30, 3}, random_key(Seed{1}, "photo"), 0, 256).to(DType::u8));
  }
  // Refused with code 1 and these words, leaving no file.
  void refused(const Arguments& arguments, const std::string& words) {
    Arguments all = arguments;
    all.insert(all.end(), {"--out", out_});
    const test::ProgramResult result = run(all);
    EXPECT_EQ(result.code, 1) << result.out;
    EXPECT_THAT(result.err + result.out, HasSubstr(words));
    EXPECT_THAT(folder_.listing(), ::testing::Not(HasSubstr("out.png")));
  }
  void refused_bank(const std::string& text, const std::string& words) {
    test::write_text(folder_ / "bank.txt", text);
    refused({"filters", photo_, "--bank", folder_ / "bank.txt"}, words);
  }
  test::TemporaryFolder folder_;
  std::string photo_ = folder_ / "photo.png", out_ = folder_ / "out.png";
};

TEST_F(CliPictures, FiltersGiveTheNumbersOfTheConvolution) {
  test::write_text(folder_ / "bank.txt",
                   "# a tent\n1/16 2/16 1/16\n2/16, 4/16, 2/16\n1/16 2/16 1/16\n\n-1 0 1\n\n+1\n-1\n");
  const test::ProgramResult result =
      run({"filters", photo_, "--bank", "identity," + (folder_ / "bank.txt"), "--padding", "symmetric",
           "--out", out_, "--tile", "60", "--columns", "4"});
  ASSERT_EQ(result.code, 0) << result.err;
  const Tensor image = io::read_png(photo_);
  const Tensor x = (image.to(DType::f32) / 255).reshape({1, 20, 30, 3});
  EXPECT_THAT(line_of(result, "identity"), HasSubstr(x.digest().substr(0, 16)));  // nothing has changed
  // The tent keeps the brightness, so each channel goes through it.
  const Tensor line = from_vector(std::vector<float>{1, 2, 1}, {3});
  const Tensor w = line.reshape({3, 1, 1, 1}) * line.reshape({1, 3, 1, 1}) / 16;
  ConvOptions options;
  options.padding = 1;
  options.mode = PadMode::symmetric;
  options.groups = 3;
  const Tensor y = conv(x, broadcast_to(w, {3, 3, 1, 3}), {}, options);
  EXPECT_THAT(line_of(result, "a tent"), HasSubstr(y.digest().substr(0, 16)));
  EXPECT_THAT(line_of(result, "matrix 2"), HasSubstr("1x3"));
  EXPECT_THAT(line_of(result, "matrix 3"), HasSubstr("2x1"));
  EXPECT_EQ(io::read_png(out_).shape(2), 3);
  EXPECT_GE(io::read_png(out_).shape(1), 4 * 60);
}

TEST_F(CliPictures, FiltersDrawTheSamePictureWhateverComputes) {
  const Arguments arguments{"filters", photo_, "--bank", "edges,sharpen,blur,emboss,gabor", "--out", out_};
  ASSERT_EQ(run(arguments).code, 0);
  const test::Bytes first = test::read_bytes(out_);
  ASSERT_EQ(run(arguments, {"ISOBIT_ISA=scalar", "ISOBIT_THREADS=3"}).code, 0);
  EXPECT_EQ(test::read_bytes(out_), first);
  for (const char* padding : {"constant", "replicate", "circular", "none"}) {
    Arguments other = arguments;
    other.insert(other.end(), {"--padding", padding});
    ASSERT_EQ(run(other).code, 0) << padding;
    EXPECT_NE(test::read_bytes(out_), first) << padding;
  }
}

TEST_F(CliPictures, FiltersTakeThoseOfAModel) {
  io::write_safetensors(folder_ / "w.safetensors",
                        {{"0.weight", random_normal({3, 3, 3, 2}, random_key(Seed{1}, "w"))},
                         {"0.bias", zeros({2})},
                         {"2.weight", zeros({3, 3, 32, 4})}});
  const test::ProgramResult result =
      run({"filters", photo_, "--bank", folder_ / "w.safetensors", "--out", out_});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("0.weight filter 1"));
  EXPECT_THAT(result.out, ::testing::Not(HasSubstr("2.weight")));
  std::filesystem::remove(out_);
  io::write_safetensors(folder_ / "none.safetensors", {{"b", zeros({2})}});
  refused({"filters", photo_, "--bank", folder_ / "none.safetensors"}, "holds no filters");
}

TEST_F(CliPictures, FiltersSayWhatIsWrong) {
  std::filesystem::remove(out_);
  refused({"filters", folder_ / "none.png"}, "none.png");
  refused({"filters", photo_, "--bank", "edge"}, "there is no bank 'edge'");
  refused({"filters", photo_, "--bank", folder_.path()}, "there is no bank");
  refused({"filters", photo_, "--bank", ""}, "no bank is named");
  refused({"filters", photo_, "--padding", "mirror"}, "mirror");
  refused({"filters", photo_, "--tile", "3"}, "3");
  refused({"filters", photo_, "--device", "tpu"}, "tpu");
  refused_bank("", "no matrix in it");
  refused_bank("# only a name\n", "no matrix in it");
  refused_bank("\n\v\n\f\n", "no matrix in it");
  refused_bank("1 2\n3\n", "line 2: a row of 1 numbers in a matrix of 2 columns");
  refused_bank("1 2x\n", "line 1: '2x' is not a number");
  refused_bank("1 1/0\n", "divides by zero");
  refused_bank("1 nan\n", "'nan' is not a number");
  refused_bank("1e99\n", "'1e99' is not a number");
  std::string wide, many;
  for (int i = 0; i < 129; ++i) wide += "1 ";
  for (int i = 0; i < 257; ++i) many += "1\n\n";
  refused_bank(wide, "more than 128");
  refused_bank(many, "more than 256 matrices");
  refused_bank(std::string(2 << 20, ' '), "not a file of matrices");
  test::write_text(folder_ / "big.txt", "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n");
  refused({"filters", photo_, "--bank", folder_ / "big.txt", "--padding", "none"},
          "conv");  // wider than the photo
  test::write_text(folder_ / "photo.png", "\x89PNG and then nothing");
  refused({"filters", photo_}, "photo.png");
}

TEST_F(CliPictures, ExplainDrawsWhatItPrints) {
  const std::string shape = "ic1ih5oc1kh3ph1@reflect";
  const test::ProgramResult plain = run({"explain", "conv", shape, "--at", "0,0,0,0"});
  const test::ProgramResult drawn = run({"explain", "conv", shape, "--at", "0,0,0,0", "--out", out_});
  ASSERT_EQ(drawn.code, 0) << drawn.err;
  EXPECT_EQ(drawn.out, plain.out + out_ + "\n");
  const Tensor first = io::read_png(out_);
  ASSERT_EQ(run({"explain", "conv", shape, "--at", "0,2,2,0", "--out", out_}).code, 0);
  EXPECT_EQ(io::read_png(out_).shape(), first.shape());
  EXPECT_FALSE(equal_bits(io::read_png(out_), first));
  // Large inputs are cut to the window's surroundings, many channels to three.
  ASSERT_EQ(
      run({"explain", "conv", "ic8ih200oc2kh3ph1sh2dh2@circular", "--at", "0,90,3,1", "--out", out_}).code,
      0);
  EXPECT_LT(io::read_png(out_).numel(), 3 * 1500 * 2500);
  ASSERT_EQ(run({"explain", "conv", "g2ic4ih6oc4kh2@replicate", "--at", "0,0,0,3", "--out", out_}).code, 0);
  std::filesystem::remove(out_);
  refused({"explain", "conv", "ic1id5ih5oc1kd3kh3", "--at", "0,0,0,0,0"}, "two spatial axes");
  refused({"explain", "conv", "ic1ih99oc1kh13", "--at", "0,0,0,0"}, "13 x 13");
  refused({"explain", "conv", shape, "--at", "0,5,0,0"}, "expected from 0 to below 5");
}

TEST_F(CliPictures, VizTakesAMeanWithoutADeviation) {
  nn::Sequential net{nn::Conv2D(4, 3), nn::Flatten(), nn::Linear(3)};
  net.build({8, 8, 3}, {}, Seed{3});
  const std::string model = folder_ / "model.safetensors";
  nn::ModelInfo info;
  info.normalise.mean = {0.5};
  nn::save_model(model, net, info);
  const test::ProgramResult result =
      run({"viz", model, photo_, "--filter", "0:1", "--steps", "2", "--out", folder_ / "page.html"});
  EXPECT_EQ(result.code, 0) << result.err;
  info.normalise.deviation = {0.5, 0.5};
  nn::save_model(model, net, info);
  refused({"viz", model, photo_}, "normalise");
}

class CliViz : public CliPictures {
 protected:
  CliViz() {
    test::write_idx(folder_.path(), "train", test::bars(64));
    test::write_idx(folder_.path(), "t10k", test::bars(24, 4, 8, 2));
    const test::ProgramResult trained = run({"train", "--data", folder_.path(), "--batch", "32", "--epochs",
                                             "1", "--model", "resnet-small", "--out", model_});
    EXPECT_EQ(trained.code, 0) << trained.err;
  }
  std::string model_ = folder_ / "model.safetensors", page_ = folder_ / "page.html";
};

TEST_F(CliViz, ThePageHoldsEveryView) {
  const Arguments arguments{"viz",      model_,    photo_,   "--filter",     "3.body.0:5",
                            "--filter", "10:2",    "--data", folder_.path(), "--top",
                            "3",        "--steps", "5",      "--out",        page_};
  const test::ProgramResult result = run(arguments);
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("RGB to gray, resized to 8 x 8"));
  const test::Bytes bytes = test::read_bytes(page_);
  const std::string html(bytes.begin(), bytes.end());
  for (const char* part : {"<meta name=\"viewport\"", "Saliency", "Layer 0: Conv2D",
                           "Layer 5.projection.0: Conv2D", "Layer 3: Residual", "Filter 3.body.0:5",
                           "Filter 10:2", "synthesised", "deconvolution", "excite it most", "(no. "})
    EXPECT_THAT(html, HasSubstr(part));
  for (const char* outside : {"http:", "https:", "<script", "<link"})
    EXPECT_THAT(html, ::testing::Not(HasSubstr(outside)));
  // Every picture can be read.
  int pictures = 0;
  for (std::size_t at = html.find("<img"); at != std::string::npos;
       at = html.find("<img", at + 1), ++pictures)
    EXPECT_EQ(html.compare(html.find("src=", at) + 5, 21, "data:image/png;base64"), 0);
  EXPECT_GT(pictures, 500);
  ASSERT_EQ(run(arguments, {"ISOBIT_THREADS=1", "ISOBIT_ISA=scalar"}).code, 0);
  EXPECT_EQ(test::read_bytes(page_), bytes);
}

TEST_F(CliViz, SaysWhatIsWrong) {
  refused({"viz", model_, photo_, "--filter", "0"}, "layer:channel");
  refused({"viz", model_, photo_, "--filter", "11:0"}, "there is no layer \"11\"");
  refused({"viz", model_, photo_, "--filter", "0:32"}, "channel 32");
  refused({"viz", photo_, photo_}, "photo.png");
  refused({"viz", model_, model_}, "neither as a PNG");
  refused({"viz", model_, photo_, "--data", folder_ / "none"}, "none");
  test::write_idx(folder_.folder("other"), "train", test::bars(8, 4, 6));
  test::write_idx(folder_.folder("other"), "t10k", test::bars(8, 4, 6));
  refused({"viz", model_, photo_, "--data", folder_ / "other"}, "[6,6,1]");
}

}  // namespace
}  // namespace isobit
