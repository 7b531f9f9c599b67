// Pooling.
#include "tests/differential/case.h"

namespace isobit::differential {
namespace {

PoolOptions pool_options(const Case& c) {
  PoolOptions o;
  if (c.has("stride")) o.stride = c.per_axis("stride");
  if (c.has("dilation")) o.dilation = c.per_axis("dilation");
  o.padding = c.padding();
  o.ceil_mode = c.flag("ceil");
  o.count_include_pad = c.flag("include");
  return o;
}

Tensor run_max_pool(const Case& c) {
  return max_pool(c.tensor("x"), c.per_axis("window"), pool_options(c));
}
Tensor run_avg_pool(const Case& c) {
  return avg_pool(c.tensor("x"), c.per_axis("window"), pool_options(c));
}
Tensor run_sum_pool(const Case& c) {
  return sum_pool(c.tensor("x"), c.per_axis("window"), pool_options(c));
}
Tensor run_lp_pool(const Case& c) {
  return lp_pool(c.tensor("x"), c.per_axis("window"), c.number("p"), pool_options(c));
}
Tensor run_max_pool_index(const Case& c) {
  return max_pool_with_indices(c.tensor("x"), c.per_axis("window"), pool_options(c))
      .index.to(c.tensor("x").dtype());
}

Tensor run_unpool(const Case& c) {
  std::vector<std::int64_t> extents{c.integer("n")};
  for (const std::int64_t e : c.integers("out")) extents.push_back(e);
  extents.push_back(c.integer("c"));
  return max_unpool(c.tensor("x"), c.tensor("index"), Shape(std::span<const std::int64_t>(extents)));
}

Tensor run_adaptive_avg_pool(const Case& c) {
  return adaptive_avg_pool(c.tensor("x"), c.per_axis("out"));
}
Tensor run_adaptive_max_pool(const Case& c) {
  return adaptive_max_pool(c.tensor("x"), c.per_axis("out"));
}
Tensor run_adaptive_index(const Case& c) {
  return adaptive_max_pool_with_indices(c.tensor("x"), c.per_axis("out")).index.to(c.tensor("x").dtype());
}

Tensor run_global_lp_pool(const Case& c) {
  return global_lp_pool(c.tensor("x"), c.number("p"));
}
Tensor run_global_avg_pool(const Case& c) {
  return global_avg_pool(c.tensor("x"));
}
Tensor run_global_max_pool(const Case& c) {
  return global_max_pool(c.tensor("x"));
}

}  // namespace

void add_windows(Functions& table) {
  table["max_pool"] = run_max_pool;
  table["avg_pool"] = run_avg_pool;
  table["sum_pool"] = run_sum_pool;
  table["lp_pool"] = run_lp_pool;
  table["max_pool_index"] = run_max_pool_index;
  table["max_unpool"] = run_unpool;
  table["adaptive_avg_pool"] = run_adaptive_avg_pool;
  table["adaptive_max_pool"] = run_adaptive_max_pool;
  table["adaptive_max_pool_index"] = run_adaptive_index;
  table["global_lp_pool"] = run_global_lp_pool;
  table["global_avg_pool"] = run_global_avg_pool;
  table["global_max_pool"] = run_global_max_pool;
}

}  // namespace isobit::differential
