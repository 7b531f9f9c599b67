#include "benchmarks/sweep.h"

#include <algorithm>
#include <map>

namespace isobit::bench {

std::vector<Cliff> cliffs(const std::vector<Row>& rows) {
  std::map<std::pair<std::string, std::string>, std::vector<const Row*>> series;
  for (const Row& row : rows) {
    const std::size_t colon = row.name.find(':');
    if (colon != std::string::npos && row.flops > 0 && row.seconds.median > 0)
      series[{row.name.substr(0, colon), row.direction}].push_back(&row);
  }
  std::vector<Cliff> found;
  for (auto& [key, members] : series) {
    if (members.size() < 2) continue;
    std::stable_sort(members.begin(), members.end(),
                     [](const Row* a, const Row* b) { return a->flops < b->flops; });
    Cliff worst{key.first, key.second, 0, "", ""};
    const auto compare = [&](const Row& row, const Row& neighbour) {
      const double factor = neighbour.gflops() / row.gflops();
      if (factor <= worst.factor) return;
      worst.factor = factor;
      worst.at = row.name;
      worst.beside = neighbour.name;
    };
    for (std::size_t i = 1; i < members.size(); ++i) {
      const Row &less = *members[i - 1], &more = *members[i];
      compare(more, less);
      if (more.flops <= 1.25 * less.flops) compare(less, more);
    }
    found.push_back(std::move(worst));
  }
  return found;
}

}  // namespace isobit::bench
