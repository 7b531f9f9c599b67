// The choice is kept where Highway's dispatch reads it: HWY_DYNAMIC_DISPATCH takes the best target left in
// hwy::GetChosenTarget(), which ChosenTarget::Update sets at any time, also after the first dispatch.
#include "cpu/runtime/isa.h"

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <string>

#include "hwy/targets.h"
#include "isobit/error.h"

namespace isobit::cpu {

namespace {

constexpr std::int64_t kScalarTargets = HWY_SCALAR | HWY_EMU128;

struct Choice {
  Isa isa;
  std::string_view name;
  std::int64_t targets;  // Highway's, any of them
};

constexpr std::array<Choice, 3> kChoices = {{{Isa::scalar, "scalar", kScalarTargets},
                                             {Isa::avx2, "avx2", HWY_AVX2},
                                             {Isa::avx512, "avx512", HWY_AVX3}}};

constexpr const Choice& choice(Isa isa) {
  return kChoices[static_cast<std::size_t>(isa)];
}

bool is_available(Isa isa) {
  // The scalar target needs nothing of the processor; Highway lists it as supported only when nothing better
  // is.
  static const std::int64_t supported = hwy::SupportedTargets() | kScalarTargets;
  return (choice(isa).targets & supported & HWY_TARGETS) != 0;
}

std::string names() {
  std::string list;
  for (const Isa isa : available_isas()) list += (list.empty() ? "" : ", ") + std::string(isa_name(isa));
  return list;
}

std::mutex mutex;
std::atomic<int> chosen{-1};  // -1: nothing yet

void apply(Isa isa) {
  if (!is_available(isa)) {
    fail("set_isa", "{} is not available on this processor with this build; available: {}", isa_name(isa),
         names());
  }
  // All targets up to the chosen one: a translation unit that lacks the chosen one falls to the next lower.
  std::int64_t targets = 0;
  for (const Choice& c : kChoices) {
    if (c.isa <= isa) targets |= c.targets;
  }
  hwy::GetChosenTarget().Update(targets & ~kScalarTargets);
  chosen.store(static_cast<int>(isa));
}

}  // namespace

std::string_view isa_name(Isa isa) {
  return choice(isa).name;
}

std::optional<Isa> isa_from_name(std::string_view name) {
  for (const Choice& c : kChoices) {
    if (c.name == name) return c.isa;
  }
  return std::nullopt;
}

std::vector<Isa> available_isas() {
  std::vector<Isa> isas;
  for (const Choice& c : kChoices) {
    if (is_available(c.isa)) isas.push_back(c.isa);
  }
  return isas;
}

Isa best_isa() {
  return available_isas().back();
}

void initialize_isa() {
  if (chosen.load() >= 0) return;
  const std::lock_guard<std::mutex> lock(mutex);
  if (chosen.load() >= 0) return;
  const char* name = std::getenv("ISOBIT_ISA");
  if (name == nullptr || *name == '\0') return apply(best_isa());
  const std::optional<Isa> isa = isa_from_name(name);
  if (!isa) fail("ISOBIT_ISA", "'{}' is unknown; expected scalar, avx2 or avx512", name);
  apply(*isa);
}

Isa current_isa() {
  initialize_isa();
  return static_cast<Isa>(chosen.load());
}

void set_isa(Isa isa) {
  const std::lock_guard<std::mutex> lock(mutex);
  apply(isa);
}

}  // namespace isobit::cpu
