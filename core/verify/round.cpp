// One problem through all devices, algorithms and variants.
#include <isobit/error.h>

#include <algorithm>
#include <cstring>

#include "core/refused.h"
#include "core/verify/device_array.h"
#include "core/verify/suite.h"
#include "core/variants.h"

namespace isobit::verify {

namespace {

/// The forced algorithm for a scope.
class Forced {
 public:
  Forced(Backend& backend, const std::string& kernel, const std::string& algorithm)
      : backend_(backend), kernel_(kernel) {
    backend_.force_algorithm(kernel_, algorithm);
  }
  ~Forced() { backend_.force_algorithm(kernel_, ""); }
  Forced(const Forced&) = delete;
  Forced& operator=(const Forced&) = delete;

 private:
  Backend& backend_;
  const std::string& kernel_;
};

/// The variant for a scope.
class Varied {
 public:
  Varied(HasVariants* device, const std::string& variant) : device_(device) {
    if (device_ != nullptr) device_->set_variant(variant);
  }
  ~Varied() {
    try {
      if (device_ != nullptr) device_->set_variant("");
    } catch (...) {  // the user's own choice was good before; nothing better can be done here
    }
  }
  Varied(const Varied&) = delete;
  Varied& operator=(const Varied&) = delete;

 private:
  HasVariants* device_;
};

/// A problem's operands in a device's memory; all aligned, or none (each off by another number of elements).
class Placed {
 public:
  Placed(Backend& backend, const std::vector<HostArray>& in, const std::vector<HostArray>& out,
         bool aligned) {
    std::int64_t at = 0;
    const auto skip = [&] { return aligned ? std::int64_t{0} : 1 + at++ % 3; };
    for (const HostArray& array : in) in_.emplace_back(backend, array, skip(), DeviceArray::Kind::input);
    for (const HostArray& array : out) out_.emplace_back(backend, array, skip(), DeviceArray::Kind::output);
  }
  /// Ready for a run.
  Operands operands() {
    Operands operands;
    for (DeviceArray& array : in_) operands.in.push_back(array.view());
    for (DeviceArray& array : out_) {
      array.reset();
      operands.out.push_back(array.view());
    }
    return operands;
  }
  std::vector<DeviceArray>& in() { return in_; }
  const std::vector<DeviceArray>& out() const { return out_; }

 private:
  std::vector<DeviceArray> in_, out_;
};

}  // namespace

/// A problem on one device.
class Round {
 public:
  Round(Suite& suite, const Case& one, Device device, const std::vector<HostArray>& expected)
      : suite_(suite), case_(one), backend_(backend(device)), name_(device.name()), expected_(expected) {}

  void run(const Call& call) {
    const std::vector<std::string> variants =
        varied_ != nullptr ? varied_->variants() : std::vector<std::string>{"as it is"};
    bool served = false, only_judge = true;
    for (const std::string& algorithm : backend_.algorithms(case_.kernel_)) {
      // The definition on its own device is the judge.
      if (&backend_ == &backend(Device::cpu()) && algorithm == "reference") continue;
      only_judge = false;
      // A quick run takes one variant, a full one as many as the device calls enough. Places alternate, and
      // both are seen in a full run even where there is but one variant.
      const std::size_t enough = varied_ != nullptr ? varied_->enough() : 1;
      const std::size_t runs = suite_.full() ? std::max<std::size_t>(enough, 2) : 1;
      for (std::size_t i = 0; i < runs; ++i) {
        const std::size_t turn = i + case_.hash() % 1024;
        const bool aligned = (i + (case_.hash() >> 32)) % 2 == 0;
        if (!run_once(call, algorithm, variants[turn % variants.size()], aligned)) break;
        served = true;
      }
    }
    if (served) return;
    ++suite_.report_.unserved;
    suite_.skip(name_, case_.kernel_, "any",
                only_judge ? "there is nothing but the definition" : "every algorithm refuses");
  }

 private:
  Placed& placed(bool aligned) {
    std::optional<Placed>& place = places_[aligned ? 1 : 0];
    if (!place) place.emplace(backend_, case_.in_, case_.out_, aligned);
    return *place;
  }

  /// False when the algorithm refuses.
  bool run_once(const Call& call, const std::string& algorithm, const std::string& variant, bool aligned) {
    const std::string how = fmt::format("{}, {}", variant, aligned ? "aligned" : "not aligned");
    std::optional<Difference> difference;
    try {
      const Forced forced(backend_, case_.kernel_, algorithm);
      const Varied varied(varied_, variant);
      Placed& place = placed(aligned);
      call(backend_, place.operands());
      difference = judge(place, algorithm, how);
    } catch (const Refused& refused) {
      suite_.skip(name_, case_.kernel_, algorithm, refused.reason());
      return false;
    } catch (const std::exception& error) {
      difference = failure(algorithm, how, error.what());
    }
    suite_.add(suite_.tally(name_, case_.kernel_, algorithm), std::move(difference));
    return true;
  }

  std::optional<Difference> judge(Placed& place, const std::string& algorithm, const std::string& how) {
    // Kernels only read their inputs.
    for (std::size_t i = 0; i < place.in().size(); ++i) {
      DeviceArray& input = place.in()[i];
      const HostArray now = input.download();
      const auto bytes = static_cast<std::size_t>(now.bytes());
      const bool same = bytes == 0 || std::memcmp(now.data(), case_.in_[i].data(), bytes) == 0;
      if (same && input.breach().empty()) continue;
      input.reset();
      return failure(algorithm, how, fmt::format("input {} was written to", i));
    }
    for (std::size_t i = 0; i < place.out().size(); ++i) {
      const HostArray got = place.out()[i].download();
      if (!place.out()[i].breach().empty())
        return failure(algorithm, how, fmt::format("output {}: {}", i, place.out()[i].breach()));
      const auto mismatch = compare(got.view(), expected_[i].view());
      if (!mismatch) continue;
      Difference d = failure(algorithm, how, "");
      d.output = static_cast<int>(i);
      d.index = mismatch->first;
      d.count = mismatch->count;
      d.numel = got.numel();
      d.got = element_text(got.view(), d.index);
      d.expected = element_text(expected_[i].view(), d.index);
      return d;
    }
    return std::nullopt;
  }

  Difference failure(const std::string& algorithm, const std::string& how, const std::string& error) const {
    Difference d;
    d.problem = case_.name();
    d.device = name_;
    d.algorithm = algorithm;
    d.variant = how;
    d.error = error;
    d.command = suite_.command(case_, name_);
    return d;
  }

  Suite& suite_;
  const Case& case_;
  Backend& backend_;
  HasVariants* varied_ = dynamic_cast<HasVariants*>(&backend_);  // null: the device has one way
  std::string name_;
  const std::vector<HostArray>& expected_;
  std::optional<Placed> places_[2];
};

void Case::run(const Call& call) {
  std::vector<HostArray> expected = out_;
  {
    Backend& cpu = backend(Device::cpu());
    const Forced forced(cpu, kernel_, "reference");
    Operands operands;
    for (const HostArray& array : in_) operands.in.push_back(array.view());
    for (HostArray& array : expected) operands.out.push_back(array.view());
    call(cpu, operands);
  }
  for (const Device device : suite_.devices_) {
    if (suite_.failures_[device.id()].given_up) {
      suite_.skip(device.name(), kernel_, "any", "the device failed ten times in a row and was given up");
      continue;
    }
    Round(suite_, *this, device, expected).run(call);
  }
  suite_.tell(*this);
}

}  // namespace isobit::verify
