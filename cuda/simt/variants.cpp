#include "cuda/simt/variants.h"

#include <isobit/error.h>

#include <optional>

#include "cuda/simt/emulator.h"

namespace isobit::emulator {
namespace {

struct Variant {
  const char* name;
  Schedule schedule;
  std::uint64_t seed;
};
constexpr Variant kVariants[] = {{"forward order", Schedule::forward, 0},
                                 {"reverse order", Schedule::reverse, 0},
                                 {"shuffled order", Schedule::shuffled, 1},
                                 {"warps ahead", Schedule::ahead, 0}};

std::optional<Settings>& before() {
  static std::optional<Settings> settings;
  return settings;
}

}  // namespace

std::vector<std::string> variants() {
  std::vector<std::string> names;
  for (const Variant& variant : kVariants) names.emplace_back(variant.name);
  return names;
}

void set_variant(std::string_view name) {
  if (name.empty()) {
    if (before()) configure(*before());
    before().reset();
    return;
  }
  for (const Variant& variant : kVariants)
    if (name == variant.name) {
      if (!before()) before() = settings();
      Settings changed = *before();
      changed.schedule = variant.schedule;
      changed.seed = variant.seed;
      return configure(changed);
    }
  fail("simt", "there is no variant '{}', there are: {}", name, fmt::join(variants(), "; "));
}

}  // namespace isobit::emulator
