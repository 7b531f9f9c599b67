// What does a call cost? Tiny ops without gradients, in nanoseconds of this thread's processor time a call,
// beside PyTorch: so little work that nearly all of it is the way from the call to the kernel and back.
//
//   overhead [--rounds N] [--calls N] [--json]
//
//   add    two tensors of 8 elements
//   conv   3x3 of 1x8x8x8 to 8 filters, padding same
#include <fmt/format.h>
#include <isobit/isobit.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "benchmarks/support.h"

namespace {

using namespace isobit;

struct Case {
  std::string name, text;
  double limit;  // nanoseconds that the project promises not to exceed on the machines it is developed on
  std::function<Tensor()> call;
  std::function<bool(const Tensor&)> right;
};

// The plainest loops, in double: within rounding of the op, or the op is wrong.
bool conv_is_right(const Tensor& x, const Tensor& w, const Tensor& y) {
  const auto xs = x.to_vector<float>(), ws = w.to_vector<float>(), ys = y.to_vector<float>();
  for (std::int64_t p = 0; p < 8; ++p)
    for (std::int64_t q = 0; q < 8; ++q)
      for (std::int64_t k = 0; k < 8; ++k) {
        double sum = 0;
        for (std::int64_t r = 0; r < 3; ++r)
          for (std::int64_t s = 0; s < 3; ++s)
            for (std::int64_t c = 0; c < 8; ++c) {
              const std::int64_t h = p + r - 1, v = q + s - 1;
              if (h < 0 || h >= 8 || v < 0 || v >= 8) continue;
              sum += static_cast<double>(xs[static_cast<std::size_t>((h * 8 + v) * 8 + c)]) *
                     static_cast<double>(ws[static_cast<std::size_t>(((r * 3 + s) * 8 + c) * 8 + k)]);
            }
        if (!(std::abs(sum - static_cast<double>(ys[static_cast<std::size_t>((p * 8 + q) * 8 + k)])) <= 1e-4))
          return false;
      }
  return true;
}

double nanoseconds(const std::function<Tensor()>& call, int calls) {
  for (int i = 0; i < 100; ++i) call();
  const double start = benchmarks::thread_seconds();
  for (int i = 0; i < calls; ++i) call();
  return (benchmarks::thread_seconds() - start) * 1e9 / calls;
}

int run(int argc, char** argv) {
  const int rounds = benchmarks::int_option(argc, argv, "--rounds", 11);
  const int calls = benchmarks::int_option(argc, argv, "--calls", 20000);
  const NoGrad off;
  const Tensor a = random_uniform({8}, random_key(Seed{1}, "a")),
               b = random_uniform({8}, random_key(Seed{1}, "b"));
  const Tensor x = random_uniform({1, 8, 8, 8}, random_key(Seed{1}, "x"));
  const Tensor w = random_uniform({3, 3, 8, 8}, random_key(Seed{1}, "w"));
  const ConvOptions same{.padding = Same};
  const std::vector<Case> cases{
      {"add", "add, 8 elements", 1000, [&] { return add(a, b); },
       [&](const Tensor& y) {
         const auto u = a.to_vector<float>(), v = b.to_vector<float>(), sum = y.to_vector<float>();
         for (std::size_t i = 0; i < 8; ++i)
           if (sum[i] != u[i] + v[i]) return false;
         return true;
       }},
      {"conv", "conv 3x3, 1x8x8x8 to 8 filters", 2000, [&] { return conv(x, w, {}, same); },
       [&](const Tensor& y) { return conv_is_right(x, w, y); }}};

  benchmarks::Peer peer("overhead_torch.py");
  if (!peer.available()) fmt::print("no peer: {}\n", peer.why());
  fmt::print(
      "nanoseconds a call, processor time of the calling thread, {} rounds of {} calls: median (lowest to "
      "highest)\n",
      rounds, calls);
  std::string json;
  for (const Case& c : cases) {
    if (!c.right(c.call())) fail("overhead", "{}: the result is wrong", c.name);
    std::vector<double> ours, theirs;
    for (int round = 0; round < rounds; ++round) {
      ours.push_back(nanoseconds(c.call, calls));
      if (peer.available()) theirs.push_back(peer.ask_numbers(fmt::format("{} {}", c.name, calls)).at(0));
    }
    const benchmarks::Spread our = benchmarks::spread(ours), their = benchmarks::spread(theirs);
    fmt::print("  {:<32} isobit {:6.0f} ({:.0f} to {:.0f}), aim under {:.0f}", c.text, our.median, our.low,
               our.high, c.limit);
    if (peer.available())
      fmt::print("   {} {:6.0f} ({:.0f} to {:.0f})", peer.name(), their.median, their.low, their.high);
    fmt::print("\n");
    json += fmt::format(", \"{}\": {{\"isobit\": {:.1f}, \"peer\": {}}}", c.name, our.median,
                        peer.available() ? fmt::format("{:.1f}", their.median) : "null");
  }
  if (benchmarks::has_flag(argc, argv, "--json")) {
    fmt::print("{{\"benchmark\": \"overhead\", \"unit\": \"ns\", \"peer\": {}{}}}\n",
               peer.available() ? fmt::format("\"{}\"", peer.name()) : "null", json);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 1;
  }
}
