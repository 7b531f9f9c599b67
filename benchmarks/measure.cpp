#include "benchmarks/measure.h"

#include <isobit/algorithms.h>
#include <isobit/autograd.h>
#include <isobit/error.h>
#include <isobit/timer.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <set>
#include <thread>

namespace isobit::bench {
namespace {

// How many calls make a turn, and how many untimed ones come first, when a call takes `seconds`: the caches
// were the others' meanwhile, and wide vectors take a while to come to speed.
struct Turn {
  int calls = 1, warm = 1;
  static Turn of(double seconds, double turn_seconds) {
    const double call = std::max(seconds, 1e-8);
    Turn turn;
    turn.calls = static_cast<int>(std::clamp(std::ceil(turn_seconds / call), 1.0, 1e6));
    turn.warm = call > 0.1 ? 0 : static_cast<int>(std::clamp(std::ceil(0.003 / call), 1.0, 1e5));
    return turn;
  }
};

class Ours {
 public:
  Ours(const Problem& problem, const Settings& settings) : problem_(problem), settings_(settings) {
    if (!settings.algorithm.empty() && problem.kernel.empty())
      fail("bench", "{} is served by several kernels: no algorithm can be forced", problem.name);
    if (!settings.algorithm.empty()) forced_.emplace(settings.device, problem.kernel, settings.algorithm);
  }
  /// Seconds of a call.
  double seconds(Turn turn, bool cached) const {
    for (int i = 0; i < turn.warm; ++i) once(cached);
    if (settings_.device == Device::cpu()) {
      const auto clock = settings_.by_processor_time() ? process_seconds : wall_seconds;
      const double start = clock();
      for (int i = 0; i < turn.calls; ++i) once(cached);
      return (clock() - start) / turn.calls;
    }
    Timer timer(settings_.device);
    if (settings_.cold) {
      double seconds = 0;
      for (int i = 0; i < turn.calls; ++i) {
        flush_cache(settings_.device);  // while it runs the host gives the device what follows
        timer.start();
        once(cached);
        timer.stop();
        seconds += timer.seconds();
      }
      return seconds / turn.calls;
    }
    timer.start();
    for (int i = 0; i < turn.calls; ++i) once(cached);
    timer.stop();
    return timer.seconds() / turn.calls;
  }

 private:
  void once(bool cached) const {
    if (!cached && problem_.touch) problem_.touch();
    problem_.call();
  }
  const Problem& problem_;
  const Settings& settings_;
  std::optional<ForcedAlgorithm> forced_;
};

class Theirs {
 public:
  Theirs(Peer& peer, const Problem& problem, const Settings& settings)
      : peer_(peer), problem_(problem), settings_(settings) {
    row.label = peer.label();
    row.name = peer.name();
  }
  PeerRow row;
  Turn turn;
  std::vector<double> times, cached_times;
  bool takes_part() const { return row.why.empty(); }

  // Opens the case, holds every variant's result against ours and keeps the fastest of those that agree.
  void open(const Tensor& expected) {
    guarded([&] {
      nlohmann::json question = problem_.question;
      question["do"] = "case";
      question["threads"] = settings_.threads;
      for (const auto& input : problem_.inputs) question["inputs"].push_back(input->describe());
      const TemporaryFile output;
      const auto extents = expected.shape().extents();
      question["output"] = {{"path", output.path()},
                            {"shape", std::vector<std::int64_t>(extents.begin(), extents.end())},
                            {"dtype", std::string(name_of(expected.dtype()))}};
      const nlohmann::json answer = peer_.ask(question);
      if (answer.contains("refused")) {
        row.why = answer["refused"].get<std::string>();
        return;
      }
      const auto variants = answer.at("variants").get<std::vector<std::string>>();
      std::string wrong;
      double best = 0;
      for (std::size_t i = 0; i < variants.size(); ++i) {
        const nlohmann::json checked = peer_.ask({{"do", "check"}, {"variant", i}});
        if (checked.contains("refused")) continue;
        const Tensor result = read_tensor(output.path(), expected.shape(), expected.dtype());
        const double error = relative_error(result, expected);
        if (!(error <= tolerance(expected.dtype()))) {
          wrong += fmt::format("{}{}: a wrong result (error {:.2g})", wrong.empty() ? "" : "; ", variants[i],
                               error);
          continue;
        }
        const double seconds = trial(i);
        if (best != 0 && !(seconds < best)) continue;
        best = seconds;
        variant_ = i;
        turn = Turn::of(seconds, settings_.turn_seconds);
        row.variant = variants[i];
        row.implementation = checked.value("implementation", "");
        row.error = error;
      }
      if (!wrong.empty())
        fmt::print(stderr, "{} {}: {}: {}\n", problem_.name, problem_.direction, row.name, wrong);
      if (best == 0) row.why = wrong.empty() ? "it has no way to compute this" : wrong;
    });
  }

  void take_turn(bool cached) {
    guarded([&] {
      (cached ? cached_times : times).push_back(seconds(variant_, turn, cached));
      // Threads that spin on after their work would be in our way.
      if (settings_.threads > 1) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    });
  }

 private:
  template <class Body>
  void guarded(const Body& body) {
    try {
      body();
    } catch (const Error& error) {
      row.why = error.what();
    } catch (const nlohmann::json::exception& error) {
      row.why = fmt::format("it does not keep the protocol: {}", error.what());
    }
  }
  double trial(std::size_t variant) {
    const double once = seconds(variant, {1, 0}, false);
    if (once > 0.05) return once;
    const Turn longer = Turn::of(once, settings_.turn_seconds / 2);
    return std::min(seconds(variant, longer, false), seconds(variant, longer, false));
  }
  double seconds(std::size_t variant, Turn t, bool cached) {
    const nlohmann::json answer = peer_.ask(
        {{"do", "time"}, {"variant", variant}, {"calls", t.calls}, {"warm", t.warm}, {"cached", cached}});
    const double total = answer.at(settings_.by_processor_time() ? "cpu" : "wall").get<double>();
    if (!(total > 0)) fail("peer", "{} measured {} seconds", row.label, total);
    return total / t.calls;
  }

  Peer& peer_;
  const Problem& problem_;
  const Settings& settings_;
  std::size_t variant_ = 0;
};

/// Another algorithm of the device as a peer: a library of the device's maker beside our kernels.
class Rival {
 public:
  Rival(const std::string& algorithm, const Problem& problem, const Settings& settings)
      : problem_(problem), settings_(settings) {
    settings_.algorithm = row.label = row.name = algorithm;
    if (settings.math == Math::exact) settings_.math = Math::fast;
    row.variant = name_of(settings_.math);
    row.implementation = "in this process";
  }
  PeerRow row;
  std::vector<double> times, cached_times;
  bool takes_part() const { return row.why.empty(); }

  /// Its result is judged as ours is: against the definition, within the bound of its arithmetic.
  void open(const Tensor& expected) {
    guarded([&] {
      if (problem_.kernel.empty())
        fail("peer", "no single kernel that {} could serve in place of", row.label);
      const auto there = fast_algorithms(settings_.device, problem_.kernel);
      if (std::find(there.begin(), there.end(), row.label) == there.end())
        fail("peer", "{} has no algorithm {}", problem_.kernel, row.label);
      const Ours forced(problem_, settings_);
      const ServedCalls served;
      const Tensor result = problem_.call();
      if (!served.counts().contains({problem_.kernel, row.label}))
        fail("peer", "this problem does not call {}", problem_.kernel);
      row.error = relative_error(result, expected);
      if (!problem_.verify(result).equal) fail("peer", "{}: a wrong result", row.label);
      turn_ = Turn::of(forced.seconds({1, 0}, false), settings_.turn_seconds);
    });
  }
  void take_turn(bool cached) {
    guarded(
        [&] { (cached ? cached_times : times).push_back(Ours(problem_, settings_).seconds(turn_, cached)); });
  }

 private:
  template <class Body>
  void guarded(const Body& body) {
    try {
      const MathScope arithmetic(settings_.math);
      body();
    } catch (const Error& error) {
      row.why = error.what();
    }
  }
  const Problem& problem_;
  Settings settings_;
  Turn turn_;
};

/// The row of a peer that has taken its turns.
template <class Side>
PeerRow finished(Side& side, const std::vector<double>& ours, const std::vector<double>& cached) {
  if (side.takes_part()) {
    side.row.seconds = spread(side.times);
    side.row.ratio = median_ratio(side.times, ours);
    side.row.cached_seconds = spread(side.cached_times);
    side.row.cached_ratio = median_ratio(side.cached_times, cached);
  }
  return std::move(side.row);
}

// The first call, what it needs, who served it and whether it is right.
void first_call(const Problem& problem, const Settings& settings, Row& row, Tensor& result) {
  reset_peak_memory(settings.device);
  const std::int64_t before = memory_stats(settings.device).current;
  const ServedCalls served;
  const double start = wall_seconds();
  result = problem.call();
  synchronize(settings.device);
  row.first_seconds = wall_seconds() - start;
  const MemoryStats memory = memory_stats(settings.device);
  row.peak_memory = memory.peak - before + memory.working_peak;
  std::set<std::string> names;
  for (const auto& [key, calls] : served.counts())
    if (problem.kernel.empty() || key.first == problem.kernel) names.insert(key.second);
  row.algorithm = fmt::format("{}", fmt::join(names, "+"));
}

}  // namespace

const PeerRow* Row::best() const {
  const PeerRow* best = nullptr;
  for (const PeerRow& peer : peers)
    if (peer.seconds.median > 0 && (best == nullptr || peer.seconds.median < best->seconds.median))
      best = &peer;
  return best;
}

const PeerRow* Row::best_cached() const {
  const PeerRow* best = nullptr;
  for (const PeerRow& peer : peers)
    if (peer.cached_seconds.median > 0 &&
        (best == nullptr || peer.cached_seconds.median < best->cached_seconds.median))
      best = &peer;
  return best;
}

Row measure(const Problem& problem, const Settings& settings,
            const std::vector<std::unique_ptr<Peer>>& peers) {
  const NoGrad off;
  const MathScope arithmetic(settings.math);
  Row row;
  row.name = problem.name;
  row.direction = problem.direction;
  row.batch = problem.batch;
  row.dtype = problem.dtype;
  row.math = settings.math;
  row.flops = problem.flops;
  row.bytes = problem.bytes;
  row.in_place = problem.in_place;
  std::vector<Theirs> theirs;
  std::vector<Rival> rivals;
  std::vector<double> ours, cached;
  {
    Tensor result;
    {
      const Ours forced(problem, settings);
      first_call(problem, settings, row, result);
    }
    row.verdict = problem.verify(result);
    if (!peers.empty() && problem.expected) result = problem.expected();
    for (const auto& peer : peers) {
      theirs.emplace_back(*peer, problem, settings);
      theirs.back().open(result);
    }
    for (const std::string& algorithm : settings.rivals) {
      rivals.emplace_back(algorithm, problem, settings);
      rivals.back().open(result);
    }
  }
  const auto us = [&](Turn turn, bool unchanged) {  // a forced algorithm is forced for our turns alone
    return Ours(problem, settings).seconds(turn, unchanged);
  };
  const Turn turn = Turn::of(us({1, 0}, false), settings.turn_seconds);
  const bool with_cached = settings.cached && problem.touch;
  const bool with_exact =
      settings.math != Math::exact && settings.device == Device::cpu() && settings.algorithm.empty();
  const auto exact_seconds = [&](Turn of) {
    const MathScope exact(Math::exact);
    return us(of, false);
  };
  const Turn exact_turn = with_exact ? Turn::of(exact_seconds({1, 0}), settings.turn_seconds) : Turn();
  std::vector<double> exact;
  const double start = wall_seconds();
  for (int round = 0; round < settings.rounds; ++round) {
    if (round >= 3 && wall_seconds() - start > settings.row_seconds) break;
    for (const bool unchanged : {false, true}) {
      if (unchanged && !with_cached) continue;
      (unchanged ? cached : ours).push_back(us(turn, unchanged));
      for (Theirs& their : theirs)
        if (their.takes_part()) their.take_turn(unchanged);
      for (Rival& rival : rivals)
        if (rival.takes_part()) rival.take_turn(unchanged);
    }
    if (with_exact) exact.push_back(exact_seconds(exact_turn));
  }
  row.rounds = static_cast<int>(ours.size());
  row.seconds = spread(ours);
  row.cached_seconds = spread(cached);
  if (with_exact) {
    row.exact_seconds = spread(exact);
    row.exact_ratio = median_ratio(exact, ours);
  }
  for (Theirs& their : theirs) row.peers.push_back(finished(their, ours, cached));
  for (Rival& rival : rivals) row.peers.push_back(finished(rival, ours, cached));
  return row;
}

std::vector<std::string> take_rivals(std::string& list) {
  std::vector<std::string> rivals;
  std::string others;
  for (std::size_t at = 0; at < list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    const std::string name = list.substr(at, end - at);
    at = end + 1;
    if (name == "cudnn" || name == "cublaslt")
      rivals.push_back(name);
    else
      others += (others.empty() ? "" : ",") + name;
  }
  list = others;
  return rivals;
}

std::vector<std::unique_ptr<Peer>> start_peers(const std::string& list, const Settings& settings) {
  std::vector<std::unique_ptr<Peer>> peers;
  if (list.empty()) return peers;
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    const std::string name = list.substr(at, end - at);
    at = end + 1;
    std::string why;
    const std::vector<std::string> command = peer_command(name, why);
    if (!command.empty()) {
      auto peer = std::make_unique<Peer>(name, command, settings.threads);
      if (peer->available()) {
        fmt::print(stderr, "peer: {}\n", peer->name());
        peers.push_back(std::move(peer));
        continue;
      }
      why = peer->why();
    }
    fmt::print(stderr, "no peer {}: {}\n", name, why);
  }
  return peers;
}

}  // namespace isobit::bench
