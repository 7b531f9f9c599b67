// The ordered list of algorithms of one kernel. An algorithm says why it cannot serve a problem, or serves
// it; the first that accepts runs. Nothing falls through silently: the pick is traced (core/trace.h), a
// forced algorithm that refuses is an error, and the parity tests force each in turn.
#pragma once
#include <isobit/arithmetic.h>
#include <isobit/error.h>

#include <atomic>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "core/describe.h"
#include "core/plan.h"
#include "core/trace.h"

namespace isobit {

template <class... Args>
struct Algorithm {
  const char* name;
  /// Null: serves everything. Else called before run; a null result accepts, any other is the reason.
  const char* (*refuse)(Args...);
  void (*run)(Args...);
  /// Runs only where it is forced.
  bool by_name = false;
  bool accepts(Args... args) const { return !by_name && (refuse == nullptr || refuse(args...) == nullptr); }
};

/// What does not depend on a kernel's arguments.
class AlgorithmListBase {
 public:
  explicit AlgorithmListBase(const char* kernel) : kernel_(kernel) {}
  virtual ~AlgorithmListBase() = default;
  AlgorithmListBase(const AlgorithmListBase&) = delete;
  AlgorithmListBase& operator=(const AlgorithmListBase&) = delete;

  const char* kernel() const { return kernel_; }
  /// In order of preference.
  virtual std::vector<std::string> names() const = 0;
  /// Those of fast mode, in order of preference.
  virtual std::vector<std::string> fast_names() const = 0;
  /// From now on only `name` runs; "" gives the choice back. Throws Error that lists the names there are.
  virtual void force(std::string_view name) = 0;

 protected:
  [[noreturn]] void fail_unknown(std::string_view name) const;
  [[noreturn]] void fail_refused(const char* name, const char* reason, const std::string& problem) const;
  /// What a trace says of the arithmetic in force: nothing of the exact one.
  static std::string math_text() {
    const Math math = current_math();
    return math == Math::exact ? std::string() : fmt::format(" {}", name_of(math));
  }
  /// The plain loops that results are held against: the last of a list that has them.
  static constexpr std::string_view kDefinition = "reference";
  static constexpr const char* kExact = "exact arithmetic was asked for";
  [[noreturn]] void fail_unserved(const std::string& problem) const;

 private:
  const char* kernel_;
};

/// Every list of a device, by the kernel's name.
class AlgorithmRegistry {
 public:
  void add(AlgorithmListBase* list) { lists_.push_back(list); }
  /// Whose kernels these are; set before the first run.
  Backend* device = nullptr;
  /// Throws Error when there is no such kernel.
  AlgorithmListBase& find(std::string_view kernel) const;
  const std::vector<AlgorithmListBase*>& lists() const { return lists_; }

 private:
  std::vector<AlgorithmListBase*> lists_;
};

/// Whether a plan (isobit/plan.h) may choose: of kernels that can be computed twice, and matter.
enum class Planned : bool { no, yes };

template <class Signature>
class AlgorithmList;

template <class... Args>
class AlgorithmList<void(Args...)> final : public AlgorithmListBase {
 public:
  using Entry = Algorithm<Args...>;

  AlgorithmList(AlgorithmRegistry& registry, const char* kernel, Planned planned = Planned::no)
      : AlgorithmListBase(kernel), registry_(registry), planned_(planned) {
    registry.add(this);
  }

  /// Replaces the entries; called once, before the first run.
  void set(std::initializer_list<Entry> entries) { entries_ = entries; }
  /// The same for the entries of fast mode (isobit/arithmetic.h): looked at before the others when it is in
  /// force on the calling thread, and never otherwise.
  void set_fast(std::initializer_list<Entry> entries) { fast_ = entries; }

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const Entry& entry : entries_) names.emplace_back(entry.name);
    return names;
  }
  std::vector<std::string> fast_names() const override {
    std::vector<std::string> names;
    for (const Entry& entry : fast_) names.emplace_back(entry.name);
    return names;
  }

  void force(std::string_view name) override {
    if (name.empty()) {
      forced_.store(nullptr, std::memory_order_relaxed);
      return;
    }
    for (const auto* list : {&entries_, &fast_})
      for (const Entry& entry : *list)
        if (name == entry.name) {
          forced_.store(&entry, std::memory_order_relaxed);
          return;
        }
    fail_unknown(name);
  }

  /// Why `name` refuses the problem, null when it accepts. Throws Error when there is no such algorithm.
  const char* reason(std::string_view name, Args... args) const {
    for (const Entry& entry : entries_)
      if (name == entry.name) return entry.refuse == nullptr ? nullptr : entry.refuse(args...);
    fail_unknown(name);
  }

  void run(Args... args) const {
    const bool exact = current_math() == Math::exact;
    if (const Entry* forced = forced_.load(std::memory_order_relaxed)) [[unlikely]] {
      if (exact && forced >= fast_.data() && forced < fast_.data() + fast_.size())
        fail_refused(forced->name, kExact, describe_all(args...));
      if (forced->refuse != nullptr)
        if (const char* reason = forced->refuse(args...))
          fail_refused(forced->name, reason, describe_all(args...));
      return run_entry(*forced, args...);
    }
    if (planned_ == Planned::yes && plans::on()) [[unlikely]]
      if (const Entry* entry = by_plan(exact, args...)) return run_entry(*entry, args...);
    if (!exact) {
      for (const Entry& entry : fast_)
        if (entry.accepts(args...)) return run_entry(entry, args...);
    }
    for (const Entry& entry : entries_)
      if (entry.accepts(args...)) return run_entry(entry, args...);
    fail_unserved(describe_all(args...));
  }

 private:
  // Null where there is nothing to choose. What stands behind an entry that serves everything, and the
  // definition, are there to be forced.
  const Entry* by_plan(bool exact, Args... args) const {
    std::vector<const Entry*> serving;
    if (!exact)
      for (const Entry& entry : fast_)
        if (entry.accepts(args...)) serving.push_back(&entry);
    for (const Entry& entry : entries_) {
      if (entry.name == kDefinition) break;
      if (entry.accepts(args...)) serving.push_back(&entry);
      if (entry.refuse == nullptr) break;
    }
    if (serving.size() < 2 || registry_.device == nullptr) return nullptr;
    std::vector<const char*> names;
    for (const Entry* entry : serving) names.push_back(entry->name);
    return serving[plans::choose(*registry_.device, kernel(), describe_all(args...), names,
                                 [&](std::size_t i) { serving[i]->run(args...); })];
  }

  void run_entry(const Entry& entry, Args... args) const {
    if (tracing::on()) [[unlikely]]
      tracing::record(kernel(), entry.name, describe_all(args...) + math_text());
    entry.run(args...);
  }

  AlgorithmRegistry& registry_;
  const Planned planned_;
  std::vector<Entry> entries_, fast_;
  std::atomic<const Entry*> forced_{nullptr};
};

}  // namespace isobit
