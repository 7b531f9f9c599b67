// What a backend is besides, when it can normalise a sample while what it read for the statistics is still in
// a cache. core/ops/norm.cpp asks for it.
#pragma once
#include "core/backend.h"

namespace isobit {

class HasFusedNorm {
 public:
  virtual ~HasFusedNorm() = default;
  /// norm_statistics(g, x, mean, variance), then norm_apply(g, eps, x, mean, variance, gamma, beta, y): the
  /// bits of both.
  virtual void norm(const NormGeometry& g, double eps, ConstView x, ConstView gamma, ConstView beta,
                    View mean, View variance, View y) = 0;
};

}  // namespace isobit
