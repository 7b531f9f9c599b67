// How fast does LeNet train, beside PyTorch? Full steps (forward, loss, backward, SGD) of batch 64, at one
// thread and at two; ours and the peer's rounds alternate, so that both see the same machine at the same
// time.
//
//   train_lenet [--rounds N] [--steps N] [--json]
//
// One thread is timed by processor time, two by wall time. No time is printed before the results are
// verified: our loss falls, our weights end in one digest for one thread and two, and the peer's losses over
// the first steps, from the same weights and data, agree with ours. Where there is no PyTorch it says so and
// prints our figures alone.
#include <fmt/format.h>
#include <isobit/isobit.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "benchmarks/peak.h"
#include "benchmarks/support.h"

namespace {

using namespace isobit;
using benchmarks::Spread;

constexpr std::int64_t kBatch = 64;
constexpr int kBatches = 8;
constexpr int kCheckedSteps = 20;
constexpr double kRate = 0.02;

struct Batch {
  Tensor pictures, labels;
};

// Noise with a bright square whose place is the label: easy to learn, no file needed.
std::vector<Batch> make_batches() {
  std::vector<Batch> batches;
  for (int i = 0; i < kBatches; ++i) {
    const Shape shape{kBatch, 28, 28, 1};
    auto pixels = random_uniform(shape, random_key(Seed{7}, "pictures", static_cast<std::uint64_t>(i)))
                      .to_vector<float>();
    std::vector<std::int64_t> labels;
    for (std::int64_t n = 0; n < kBatch; ++n) {
      const std::int64_t label = (n * 7 + i) % 10;
      labels.push_back(label);
      const std::int64_t top = 2 + 12 * (label / 5), left = 1 + 5 * (label % 5);
      for (std::int64_t h = top; h < top + 5; ++h)
        for (std::int64_t w = left; w < left + 5; ++w)
          pixels[static_cast<std::size_t>((n * 28 + h) * 28 + w)] += 1.0f;
    }
    batches.push_back({from_vector(pixels, shape), from_vector(labels, {kBatch})});
  }
  return batches;
}

// The network, from the same seed each time, and its training.
class Training {
 public:
  explicit Training(const std::vector<Batch>& batches)
      : batches_(batches), net_(make_net()), sgd_(make_sgd(net_)) {}

  static nn::Sequential make_net() {
    nn::Sequential net{nn::Conv2D(32, 5, {.padding = Same}),
                       nn::ReLU(),
                       nn::MaxPool2D(2),
                       nn::Conv2D(64, 5, {.padding = Same}),
                       nn::ReLU(),
                       nn::MaxPool2D(2),
                       nn::Flatten(),
                       nn::Linear(512),
                       nn::ReLU(),
                       nn::Linear(10)};
    net.build({28, 28, 1}, Device::cpu(), Seed{1});
    return net;
  }
  static optim::SGD make_sgd(const nn::Sequential& net) {
    return optim::SGD(net.parameters(), {.lr = kRate});
  }

  Tensor step() {
    const Batch& batch = batches_[at_++ % batches_.size()];
    Tensor loss = cross_entropy(net_(batch.pictures), batch.labels);
    loss.backward();
    sgd_.step();
    return loss;
  }
  const nn::Sequential& net() const { return net_; }

 private:
  const std::vector<Batch>& batches_;
  nn::Sequential net_;
  optim::SGD sgd_;
  std::size_t at_ = 0;
};

// Samples a second over `steps` steps, by wall or processor time, after a few steps that warm up.
double measure(Training& training, int threads, int steps) {
  set_threads(threads);
  for (int i = 0; i < 3; ++i) training.step();
  const double wall = benchmarks::wall_seconds(), processor = benchmarks::process_seconds();
  for (int i = 0; i < steps; ++i) training.step();
  const double seconds =
      threads == 1 ? benchmarks::process_seconds() - processor : benchmarks::wall_seconds() - wall;
  return static_cast<double>(steps * kBatch) / seconds;
}
double measure(benchmarks::Peer& peer, int threads, int steps) {
  const std::vector<double> seconds = peer.ask_numbers(fmt::format("run {} {}", threads, steps));
  if (seconds.size() != 2) fail("train_lenet", "the peer answered {} numbers, expected 2", seconds.size());
  return static_cast<double>(steps * kBatch) / seconds[threads == 1 ? 1 : 0];
}

// The losses of the first steps, and the digest after them.
std::vector<double> first_losses(const std::vector<Batch>& batches, int threads, std::string& digest_after) {
  set_threads(threads);
  Training training(batches);
  std::vector<double> losses;
  for (int i = 0; i < kCheckedSteps; ++i) losses.push_back(training.step().item());
  digest_after = digest(training.net());
  return losses;
}

// Weights in the order of the network, then the batches, for the peer.
std::vector<float> for_peer(const std::vector<Batch>& batches) {
  std::vector<float> values;
  for (const Tensor& parameter : Training::make_net().parameters()) {
    const auto part = parameter.to_vector<float>();
    values.insert(values.end(), part.begin(), part.end());
  }
  for (const Batch& batch : batches) {
    const auto pixels = batch.pictures.to_vector<float>();
    values.insert(values.end(), pixels.begin(), pixels.end());
    for (const std::int64_t label : batch.labels.to_vector<std::int64_t>())
      values.push_back(static_cast<float>(label));
  }
  return values;
}

// Two correct libraries differ by rounding, which training amplifies: 1e-3 relative over the first steps is
// generous for that, and no wrong gradient passes it.
void verify_peer(benchmarks::Peer& peer, const std::vector<double>& ours) {
  const auto theirs = peer.ask_numbers(fmt::format("losses {}", ours.size()));
  if (theirs.size() != ours.size()) fail("train_lenet", "the peer answered {} losses", theirs.size());
  double worst = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const double error = std::abs(ours[i] - theirs[i]) / ours[i];
    if (!(error <= 1e-3)) {
      fail("train_lenet", "step {}: loss {} here, {} in {}: not the same computation", i, ours[i], theirs[i],
           peer.name());
    }
    worst = error > worst ? error : worst;
  }
  fmt::print("{}: the losses of {} steps agree within {:.1e}\n", peer.name(), ours.size(), worst);
}

// Multiply-adds of a step's three convolution kernels and matrix products, per sample. The first convolution
// has no gradient of its input.
double flops_per_sample(const nn::Sequential& net) {
  const nn::Summary summary = net.summarize({28, 28, 1});
  std::int64_t first = 0;
  for (const nn::SummaryRow& row : summary.rows) {
    if (first == 0) first = row.multiply_adds;
  }
  return 2.0 * static_cast<double>(3 * summary.multiply_adds - first);
}

std::string describe(const std::string& name, const Spread& rate, double flops, double peak) {
  const double gflops = rate.median * flops * 1e-9;
  return fmt::format("  {:<20} {:8.0f} samples/s  ({:.0f} to {:.0f})  {:6.1f} GFLOP/s  {:5.1f} % of peak",
                     name, rate.median, rate.low, rate.high, gflops, 100 * gflops / peak);
}

int run(int argc, char** argv) {
  const int rounds = benchmarks::int_option(argc, argv, "--rounds", 7);
  const int steps = benchmarks::int_option(argc, argv, "--steps", 30);
  const std::vector<Batch> batches = make_batches();

  std::string one, two;
  const std::vector<double> losses = first_losses(batches, 1, one);
  first_losses(batches, 2, two);
  if (one != two) fail("train_lenet", "the digests of one and two threads differ: {} and {}", one, two);
  if (!(losses.back() < 0.9 * losses.front()))
    fail("train_lenet", "the loss did not fall: {} to {}", losses.front(), losses.back());
  fmt::print("isobit: loss {:.4f} -> {:.4f} in {} steps, digest {}\n", losses.front(), losses.back(),
             losses.size(), one);

  benchmarks::Peer peer("train_lenet_torch.py");
  if (peer.available()) {
    const benchmarks::TemporaryFile file(for_peer(batches));
    peer.ask(fmt::format("load {} {} {} {}", file.path(), kBatch, kBatches, kRate));
    verify_peer(peer, losses);
  } else {
    fmt::print("no peer: {}\n", peer.why());
  }

  std::string json;
  Training training(batches);
  const double flops = flops_per_sample(training.net());
  for (const int threads : {1, 2}) {
    const double peak = isobit::bench::peak_gflops(threads);
    std::vector<double> ours, theirs, ratios;
    for (int round = 0; round < rounds; ++round) {
      ours.push_back(measure(training, threads, steps));
      if (!peer.available()) continue;
      theirs.push_back(measure(peer, threads, steps));
      ratios.push_back(ours.back() / theirs.back());
    }
    const Spread our = benchmarks::spread(ours), their = benchmarks::spread(theirs);
    const Spread ratio = benchmarks::spread(ratios);
    fmt::print(
        "\n{} thread{}, {} time, {} rounds of {} steps, median (lowest to highest); peak {:.0f} GFLOP/s "
        "f32\n",
        threads, threads == 1 ? "" : "s", threads == 1 ? "processor" : "wall", rounds, steps, peak);
    fmt::print("{}\n", describe("isobit", our, flops, peak));
    if (peer.available()) {
      fmt::print("{}\n", describe(peer.name(), their, flops, peak));
      fmt::print("  ratio {:.3f} ({:.3f} to {:.3f})\n", ratio.median, ratio.low, ratio.high);
    }
    if (!json.empty()) json += ", ";
    json += fmt::format("\"{}\": {{\"isobit\": {:.1f}, \"isobit_low\": {:.1f}, \"isobit_high\": {:.1f}, ",
                        threads, our.median, our.low, our.high);
    if (peer.available()) {
      json +=
          fmt::format("\"peer\": {:.1f}, \"peer_low\": {:.1f}, \"peer_high\": {:.1f}, \"ratio\": {:.4f}, ",
                      their.median, their.low, their.high, ratio.median);
    } else {
      json += "\"peer\": null, \"ratio\": null, ";
    }
    json += fmt::format("\"peak_gflops\": {:.1f}}}", peak);
  }
  if (benchmarks::has_flag(argc, argv, "--json")) {
    fmt::print(
        "{{\"benchmark\": \"train_lenet\", \"unit\": \"samples/s\", \"peer\": {}, \"digest\": \"{}\", "
        "\"threads\": {{{}}}}}\n",
        peer.available() ? fmt::format("\"{}\"", peer.name()) : "null", one, json);
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
