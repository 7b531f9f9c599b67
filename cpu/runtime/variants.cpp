#include "cpu/runtime/variants.h"

#include <fmt/format.h>
#include <isobit/device.h>
#include <isobit/error.h>

namespace isobit::cpu {
namespace {

std::string name_of(Isa isa, int threads) {
  return fmt::format("{}, {} thread{}", isa_name(isa), threads, threads == 1 ? "" : "s");
}

}  // namespace

std::vector<Variants::Choice> Variants::choices() {
  std::vector<Choice> list;
  for (const Isa isa : available_isas()) list.push_back({isa, 1});
  for (const int threads : {2, 3, 7}) list.push_back({best_isa(), threads});
  return list;
}

std::vector<std::string> Variants::names() const {
  std::vector<std::string> names;
  for (const Choice& choice : choices()) names.push_back(name_of(choice.isa, choice.threads));
  return names;
}

void Variants::set(std::string_view name) {
  const auto apply = [](const Choice& choice) {
    set_isa(choice.isa);
    set_threads(choice.threads);
  };
  if (name.empty()) {
    if (before_) apply(*before_);
    before_.reset();
    return;
  }
  for (const Choice& choice : choices())
    if (name_of(choice.isa, choice.threads) == name) {
      if (!before_) before_ = Choice{current_isa(), threads()};
      return apply(choice);
    }
  fail("cpu", "there is no variant '{}', there are: {}", name, fmt::join(names(), "; "));
}

}  // namespace isobit::cpu
