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
  table["global_avg_pool"] = run_global_avg_pool;
  table["global_max_pool"] = run_global_max_pool;
}

}  // namespace isobit::differential
