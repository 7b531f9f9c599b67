// isobit explain conv: every tap of one output of a convolution, or every output that one input feeds.
#include <fmt/format.h>
#include <isobit/error.h>
#include <isobit/explain.h>
#include <isobit/io.h>

#include <cstdio>
#include <memory>

#include "cli/commands.h"
#include "cli/explain_picture.h"

namespace isobit::cli {
namespace {

struct ExplainArguments {
  std::string shape, out;
  std::vector<std::int64_t> at, input;
  bool flip = false;
};

/// An image x[n, h, w, c] as rows of characters: a place that is read carries how many times.
void draw(const Shape& x, const std::vector<std::array<std::int64_t, 3>>& marked) {
  constexpr std::int64_t kMost = 100;
  if (x.rank() != 4 || x[1] > kMost || x[2] > kMost) return;
  const std::int64_t rows = x[1], columns = x[2];
  std::vector<int> count(static_cast<std::size_t>(rows * columns));
  for (const auto& place : marked) ++count[static_cast<std::size_t>(place[1] * columns + place[2])];
  fmt::print("how often each place of the input is read:\n");
  for (std::int64_t h = 0; h < rows; ++h) {
    fmt::print("  ");
    for (std::int64_t w = 0; w < columns; ++w) {
      const int n = count[static_cast<std::size_t>(h * columns + w)];
      fmt::print("{} ", n == 0 ? "." : n < 10 ? fmt::format("{}", n) : "+");
    }
    fmt::print("\n");
  }
}

int explain_conv(const ExplainArguments& a) {
  const ConvProblem problem = parse_conv_problem(a.shape);
  ConvOptions options = problem.options;
  options.flip = a.flip;
  // Whole numbers that name their places: 1, 2, 3, ...
  const Tensor x = arange(problem.x.numel(), 1).reshape(problem.x);
  const Tensor w = arange(problem.w.numel(), 1).reshape(problem.w);
  if (!a.input.empty()) {
    fmt::print("x {} at {}: the taps that read it\n{}", problem.x, fmt::join(a.input, ","),
               to_text(uses(problem.x, problem.w, a.input, options)));
    return 0;
  }
  if (a.at.size() != static_cast<std::size_t>(problem.x.rank()))
    fail("explain", "--at has {} numbers, expected {}: n, the position, k", a.at.size(), problem.x.rank());
  const std::vector<std::int64_t> position(a.at.begin() + 1, a.at.end() - 1);
  const ConvTrace result = trace(x, w, a.at.front(), position, a.at.back(), options);
  if (!a.out.empty()) io::write_png(a.out, explain_picture(result, x, w));
  fmt::print("{}", to_text(result));
  std::vector<std::array<std::int64_t, 3>> read;
  for (const ConvTap& tap : result.taps)
    if (!tap.outside && tap.channel == result.taps.front().channel) read.push_back(tap.source);
  draw(problem.x, read);
  fmt::print("sum {}\n", result.sum);
  if (!a.out.empty()) fmt::print("{}\n", a.out);
  return 0;
}

}  // namespace

void add_explain(CLI::App& app, Run& chosen) {
  CLI::App* explain = app.add_subcommand("explain", "What an op does, step by step");
  explain->require_subcommand(1);
  CLI::App* conv = explain->add_subcommand("conv", "Every tap of one output of a convolution");
  auto a = std::make_shared<ExplainArguments>();
  conv->footer(
      "The input holds 1, 2, 3, ... and so do the filters. The grammar of shapes is that of docs/verify.md.\n"
      "\n"
      "Examples:\n"
      "  isobit explain conv 'ic1ih5oc1kh3ph1@reflect' --at 0,0,0,0     the first output's nine taps\n"
      "  isobit explain conv 'ic1ih5oc1kh3ph1@reflect' --at 0,0,0,0 --out taps.png       the same, drawn\n"
      "  isobit explain conv 'ic1ih5oc1kh3ph1@reflect' --input 1,1      the outputs that read pixel 1,1");
  conv->add_option("shape", a->shape, "A line of the shape files")->required();
  auto* at = conv->add_option("--at", a->at, "n, the position in the output, k")->delimiter(',');
  auto* out = conv->add_option("--out", a->out, "Draw the taps into this PNG file");
  conv->add_option("--input", a->input, "A position of the input instead: who reads it")
      ->delimiter(',')
      ->excludes(at)
      ->excludes(out);
  conv->add_flag("--flip", a->flip, "True convolution: reversed filters");
  conv->callback([&chosen, a] { chosen = [a] { return explain_conv(*a); }; });
}

}  // namespace isobit::cli
