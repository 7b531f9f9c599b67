// Fast mode against its bound (isobit/verify_fast.h).
#include <isobit/algorithms.h>
#include <isobit/error.h>
#include <isobit/verify_fast.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <tuple>

#include "core/numerics/casts.h"
#include "core/numerics/philox.h"
#include "core/refused.h"
#include "core/typed.h"
#include "core/verify/device_array.h"
#include "core/verify/families.h"
#include "core/verify/fast_problem.h"

namespace isobit::verify {
namespace {

/// Emulated matrix units are slow; a full run takes more.
constexpr double kQuickWork = 1.5e6, kFullWork = 4e7;

HostArray small_integers(DType dtype, std::int64_t numel, std::uint64_t key) {
  HostArray array(dtype, numel);
  with_dtype(dtype, [&](auto type) {
    using S = decltype(type);
    if constexpr (!std::is_same_v<S, bool>)
      for (std::int64_t i = 0; i < numel; ++i)
        array.as<S>()[i] = numerics::cast<S>(
            static_cast<std::int64_t>(numerics::mix64(key + static_cast<std::uint64_t>(i)) % 7) - 3);
  });
  return array;
}

/// What `v` becomes when it is stored.
double stored(double v, DType dtype) {
  if (dtype == DType::f16) return numerics::f16_to_f64(numerics::f64_to_f16(v));
  if (dtype == DType::bf16) return numerics::bf16_to_f64(numerics::f64_to_bf16(v));
  return static_cast<double>(static_cast<float>(v));
}

struct Way {
  Math math;
  DType dtype;
};

/// The fast ones. "norm" is a kernel of devices that have an algorithm for it, and no others.
std::vector<std::string> algorithms_of(Device device, const std::string& kernel) {
  try {
    return fast_algorithms(device, kernel);
  } catch (const Error&) {
    return {};
  }
}

class FastRun {
 public:
  FastRun(const Options& options, std::vector<Math> maths) : options_(options) {
    if (maths.empty()) maths = {Math::fast, Math::fast_f16, Math::fast_bf16};
    for (const Math math : maths) {
      if (math == Math::exact) fail("verify", "exact arithmetic has no bound: verify::run compares its bits");
      ways_.push_back({math, DType::f32});
    }
    ways_.push_back({maths.front(), DType::f16});
    ways_.push_back({maths.front(), DType::bf16});
    devices_ = options.devices;
    if (devices_.empty())
      for (const DeviceInfo& info : devices()) devices_.push_back(info.device);
    for (const Device device : devices_) {
      report_.devices.push_back(device.name());
      constexpr const char* kKernels[] = {"matmul",
                                          "conv_forward",
                                          "conv_backward_input",
                                          "conv_backward_filter",
                                          "max_pool",
                                          "max_pool_backward",
                                          "avg_pool",
                                          "avg_pool_backward",
                                          "norm",
                                          "norm_backward"};
      if (std::all_of(std::begin(kKernels), std::end(kKernels),
                      [&](const char* kernel) { return algorithms_of(device, kernel).empty(); }))
        report_.without.push_back(device.name());
    }
  }

  FastReport run() {
    const std::vector<ConvShape> shapes =
        options_.shapes.empty() ? builtin_conv_shapes() : read_conv_shapes(options_.shapes);
    std::vector<FastProblem> problems = fast_problems(shapes, options_.shapes.empty());
    std::erase_if(problems, [&](const FastProblem& p) { return !wanted(p); });
    if (problems.empty())
      fail("verify", "nothing to do: no problem of fast mode has '{}' in its name", options_.only);
    std::int64_t done = 0;
    for (const FastProblem& p : problems) {
      if (options_.stop && options_.stop()) {
        report_.stopped = true;
        break;
      }
      const std::uint64_t hash = numerics::mix64(numerics::fnv1a(p.kernel + p.name));
      const std::vector<Way> ways = ways_of(p);
      for (std::size_t i = 0; i < ways.size(); ++i)
        if (options_.full || hash % ways.size() == i) judge(p, ways[i], hash);
      ++done;
      if (options_.progress)
        options_.progress({done, static_cast<std::int64_t>(problems.size()), good_,
                           report_.beyond + report_.integer_different, seconds(), p.kernel + " " + p.name});
    }
    report_.problems = done;
    for (auto& [key, book] : books_) {
      FastTally& t = book.tally;
      const auto share = [](std::int64_t of, std::int64_t all) {
        return all > 0 ? static_cast<double>(of) / static_cast<double>(all) : 0;
      };
      t.rms = t.elements > 0 ? std::sqrt(book.squares / static_cast<double>(t.elements)) : 0;
      t.zeros_refused = share(book.zeros, book.not_zero);
      t.missing_refused = share(book.missing, book.lacking);
      report_.tallies.push_back(t);
    }
    for (const auto& [key, count] : skips_)
      report_.skips.push_back(
          {std::get<0>(key), std::get<1>(key), std::get<2>(key), std::get<3>(key), count});
    report_.seconds = seconds();
    return std::move(report_);
  }

 private:
  struct Book {
    FastTally tally;
    double squares = 0;
    std::int64_t zeros = 0, not_zero = 0, missing = 0, lacking = 0;
  };

  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  bool served(const std::string& kernel) const {
    return std::any_of(devices_.begin(), devices_.end(),
                       [&](Device device) { return !algorithms_of(device, kernel).empty(); });
  }
  bool wanted(const FastProblem& p) const {
    if (!p.rounds_operands && !served(p.kernel)) return false;  // no arithmetic says anything of it
    const std::string name = p.kernel + " " + p.name;
    if (p.out == 0 || p.multiply_adds > (options_.full ? kFullWork : kQuickWork)) return false;
    if (!options_.kernels.empty() &&
        std::find(options_.kernels.begin(), options_.kernels.end(), p.kernel) == options_.kernels.end())
      return false;
    if (options_.choose && !options_.choose(name)) return false;
    return name.find(options_.only) != std::string::npos;
  }

  /// Where operands are not rounded, arithmetics do not differ.
  std::vector<Way> ways_of(const FastProblem& p) const {
    std::vector<Way> ways = ways_;
    if (!p.rounds_operands)
      std::erase_if(ways,
                    [&](const Way& w) { return w.dtype == DType::f32 && w.math != ways_.front().math; });
    return ways;
  }

  void judge(const FastProblem& p, const Way& way, std::uint64_t hash) {
    const auto key = [&](std::uint64_t n) { return random_key(options_.seed, p.kernel + p.name, n); };
    const HostArray a = random_array(way.dtype, p.a, Values::finite, key(1)),
                    b = random_array(way.dtype, p.b, Values::finite, key(2)),
                    ai = small_integers(way.dtype, p.a, hash), bi = small_integers(way.dtype, p.b, ~hash);
    const double pad = stored(p.pad_value, way.dtype);
    const FastOracle real = fast_oracle(p, pad, a, b),
                     whole = p.integers ? fast_oracle(p, pad, ai, bi) : FastOracle();
    for (const Device device : devices_) {
      Backend& d = backend(device);
      const std::vector<std::string> algorithms = algorithms_of(device, p.kernel);
      for (std::size_t i = 0; i < algorithms.size(); ++i) {
        // A quick run takes each way of aligning and each algorithm on some of the problems.
        if (!options_.full && algorithms[i] != "tensor_cores_folded" && (hash >> 8) % algorithms.size() != i)
          continue;
        const bool aligned = (hash >> 20 & 3) != 0;
        const std::optional<HostArray> got = result(d, p, way, algorithms[i], a, b, aligned);
        if (!got) continue;
        Book& book = books_[{device.name(), p.kernel, algorithms[i], name_of(way.math), name_of(way.dtype)}];
        book.tally.device = device.name(), book.tally.kernel = p.kernel, book.tally.algorithm = algorithms[i];
        book.tally.math = way.math, book.tally.dtype = way.dtype;
        book.tally.roundoff = p.rounds_operands ? operand_roundoff(device, way.math, way.dtype) : 0;
        compare(p, way, book.tally.roundoff, *got, real, book);
        if (!p.integers) continue;
        if (const auto exact = result(d, p, way, algorithms[i], ai, bi, aligned))
          compare_integers(p, *exact, whole, book);
      }
    }
  }

  /// None where the algorithm refuses, or fails: that is a failure of its own.
  std::optional<HostArray> result(Backend& d, const FastProblem& p, const Way& way,
                                  const std::string& algorithm, const HostArray& a, const HostArray& b,
                                  bool aligned) {
    d.force_algorithm(p.kernel, algorithm);
    std::optional<HostArray> got;
    try {
      const DeviceArray on_a(d, a, aligned ? 0 : 1, DeviceArray::Kind::input),
          on_b(d, b, aligned ? 0 : 2, DeviceArray::Kind::input),
          on_out(d, HostArray(way.dtype, p.out), aligned ? 0 : 3, DeviceArray::Kind::output);
      p.call(d, way.math, p.pad_value, on_a.view(), on_b.view(), on_out.view());
      got = on_out.download();
      if (!on_out.breach().empty()) {
        fail_with(d, p, way, algorithm, on_out.breach());
        got.reset();
      }
    } catch (const Refused& refused) {
      ++skips_[{d.name(), p.kernel, algorithm, refused.reason()}];
    } catch (const std::exception& error) {
      fail_with(d, p, way, algorithm, error.what());
      got.reset();
    }
    d.force_algorithm(p.kernel, "");
    return got;
  }

  Difference difference(const std::string& device, const FastProblem& p, Math math, DType dtype,
                        const std::string& algorithm) const {
    Difference one;
    one.problem = fmt::format("{} {} {}", p.kernel, dtype, p.name);
    one.device = device;
    one.algorithm = algorithm;
    one.variant = name_of(math);
    one.command = fmt::format("isobit verify --math fast {} --devices {} --only '{} {}'",
                              options_.full ? "--full" : "--quick", device, p.kernel, p.name);
    return one;
  }
  void fail_with(Backend& d, const FastProblem& p, const Way& way, const std::string& algorithm,
                 const std::string& error) {
    Difference one = difference(d.name(), p, way.math, way.dtype, algorithm);
    one.error = error;
    ++report_.beyond;
    if (report_.failures.size() < 100) report_.failures.push_back(std::move(one));
  }

  static double bound_of(const FastProblem& p, const Way& way, double u_in, const FastOracle& oracle,
                         std::size_t at) {
    if (p.exact) return 0;
    if (!oracle.bound.empty())
      return oracle.bound[at] + result_roundoff(way.dtype) * std::abs(oracle.value[at]);
    const double u_out = result_roundoff(way.dtype), magnitudes = oracle.magnitudes[at];
    const double bound =
        fast_bound(u_in, u_out, oracle.value[at], oracle.squares[at], magnitudes, oracle.terms[at]);
    return p.stored_between ? bound + u_out * magnitudes : bound;
  }
  void compare(const FastProblem& p, const Way& way, double u_in, const HostArray& got,
               const FastOracle& oracle, Book& book) {
    FastTally& t = book.tally;
    std::int64_t beyond = 0, first = -1, not_zero = 0, zeros = 0, lacking = 0, missing = 0;
    for (std::int64_t i = 0; i < p.out; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const double ref = p.exact ? stored(oracle.value[at], way.dtype) : oracle.value[at],
                   bound = bound_of(p, way, u_in, oracle, at);
      const double error = std::abs(element_value(got.view(), i) - ref),
                   share = bound > 0 ? error / bound : 0;
      if (!(error <= bound)) {
        ++beyond;
        if (first < 0) first = i;
      } else {
        t.largest = std::max(t.largest, share);
        book.squares += share * share;
      }
      if (ref != 0) ++not_zero, zeros += std::abs(ref) > bound ? 1 : 0;
      const double without = stored(oracle.lacking[at], way.dtype);
      if (oracle.lacking[at] != oracle.value[at])
        ++lacking, missing += std::abs(without - ref) > bound ? 1 : 0;
    }
    ++t.problems;
    t.elements += p.out;
    t.beyond += beyond;
    report_.beyond += beyond;
    book.not_zero += not_zero, book.zeros += zeros, book.lacking += lacking, book.missing += missing;
    // Of a few elements chance may leave none that tells.
    if ((not_zero >= 16 && zeros == 0) || (lacking >= 16 && missing == 0)) ++report_.blind;
    if (beyond == 0) {
      ++good_;
      return;
    }
    Difference one = difference(t.device, p, way.math, way.dtype, t.algorithm);
    one.index = first, one.count = beyond, one.numel = p.out;
    one.got = element_text(got.view(), first);
    const auto at = static_cast<std::size_t>(first);
    one.expected = fmt::format("{} within {}", oracle.value[at], bound_of(p, way, u_in, oracle, at));
    if (report_.failures.size() < 100) report_.failures.push_back(std::move(one));
  }

  void compare_integers(const FastProblem& p, const HostArray& got, const FastOracle& oracle, Book& book) {
    FastTally& t = book.tally;
    std::int64_t different = 0, first = -1;
    for (std::int64_t i = 0; i < p.out; ++i) {
      if (element_value(got.view(), i) == stored(oracle.value[static_cast<std::size_t>(i)], t.dtype))
        continue;
      // Parts that are stored before they are added are whole numbers only as far as the type has all of
      // them.
      if (p.stored_between && oracle.magnitudes[static_cast<std::size_t>(i)] > 1 / result_roundoff(t.dtype))
        continue;
      ++different;
      if (first < 0) first = i;
    }
    ++t.integer_problems;
    t.integer_different += different;
    report_.integer_different += different;
    if (different == 0) return;
    Difference one = difference(t.device, p, t.math, t.dtype, t.algorithm);
    one.variant += ", small integers";
    one.index = first, one.count = different, one.numel = p.out;
    one.got = element_text(got.view(), first);
    one.expected = fmt::format("{}", oracle.value[static_cast<std::size_t>(first)]);
    if (report_.failures.size() < 100) report_.failures.push_back(std::move(one));
  }

  const Options& options_;
  std::vector<Way> ways_;
  std::vector<Device> devices_;
  FastReport report_;
  std::int64_t good_ = 0;
  std::map<std::tuple<std::string, std::string, std::string, std::string_view, std::string_view>, Book>
      books_;
  std::map<std::tuple<std::string, std::string, std::string, std::string>, std::int64_t> skips_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

bool FastReport::ok() const {
  if (beyond != 0 || integer_different != 0 || blind != 0 || stopped) return false;
  for (const std::string& device : devices) {
    if (std::find(without.begin(), without.end(), device) != without.end()) continue;
    if (std::none_of(tallies.begin(), tallies.end(), [&](const FastTally& t) { return t.device == device; }))
      return false;
  }
  return without.size() < devices.size();
}

FastReport run_fast(const Options& options, std::vector<Math> maths) {
  for (const std::string& kernel : options.kernels) backend(Device::cpu()).algorithms(kernel);  // throws
  return FastRun(options, std::move(maths)).run();
}

}  // namespace isobit::verify
