// The kernels of the seam by name: what goes through all of them misses none that is new.
#pragma once
#include <string>
#include <vector>

#include "core/listed_backend.h"

namespace isobit::test {

inline std::vector<std::string> kernel_names() {
  const AlgorithmLists lists;
  std::vector<std::string> names;
  for (const AlgorithmListBase* list : lists.lists()) names.emplace_back(list->kernel());
  return names;
}

}  // namespace isobit::test
