// The errors of algorithm lists and the look-up by a kernel's name.
#include "core/algorithm.h"

#include "core/refused.h"

namespace isobit {

void AlgorithmListBase::fail_unknown(std::string_view name) const {
  std::vector<std::string> all = names();
  for (std::string& fast : fast_names()) all.push_back(std::move(fast));
  fail("algorithm", "{} has no algorithm '{}', there are: {}", kernel_, name, fmt::join(all, ", "));
}

void AlgorithmListBase::fail_refused(const char* name, const char* reason, const std::string& problem) const {
  throw Refused(kernel_, fmt::format("the forced algorithm '{}' refuses {}: {}", name, problem, reason),
                reason);
}

void AlgorithmListBase::fail_unserved(const std::string& problem) const {
  fail(kernel_, "no algorithm serves {}, asked: {}", problem, fmt::join(names(), ", "));
}

AlgorithmListBase& AlgorithmRegistry::find(std::string_view kernel) const {
  std::vector<std::string_view> known;
  for (AlgorithmListBase* list : lists_) {
    if (kernel == list->kernel()) return *list;
    known.push_back(list->kernel());
  }
  fail("algorithm", "there is no kernel '{}', expected one of: {}", kernel, fmt::join(known, ", "));
}

}  // namespace isobit
