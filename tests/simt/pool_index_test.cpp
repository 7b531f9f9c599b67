// The place of a maximum as a tap and as a position: every tap of every window and every position of the
// sample against the definition, those among them that no library should give.
#include <gtest/gtest.h>
#include <isobit/ops.h>

#include <algorithm>
#include <array>
#include <limits>

#include "core/ops/internal.h"
#include "core/verify/families.h"

// As cuda/kernels/kernels.h has them, in the namespace that simt's build of it takes.
namespace isobit::simt::kernels {
void pool_taps_to_positions(const PoolGeometry& g, const std::int32_t* tap, View index);
void pool_positions_to_taps(const PoolGeometry& g, ConstView index, std::int32_t* tap);
}  // namespace isobit::simt::kernels

namespace isobit {
namespace {

/// What is real of a tap: the coordinates that it names lie in the sample.
struct Named {
  bool real = true;
  std::int64_t position = 0, first = 0;  ///< first: the first position of the window that is real
};

Named named(const PoolGeometry& g, const std::array<std::int64_t, 3>& o, std::int64_t tap) {
  Named n;
  n.real = tap >= 0 && tap < g.axis[0].filter * g.axis[1].filter * g.axis[2].filter;
  std::int64_t rest = tap;
  std::array<std::int64_t, 3> at{}, first{};
  for (std::size_t k = 3; k-- > 0;) {
    const AxisGeometry& a = g.axis[k];
    const std::int64_t start = o[k] * a.stride - a.pad_before;
    at[k] = start + rest % a.filter;
    rest /= a.filter;
    n.real = n.real && at[k] >= 0 && at[k] < a.in;
    first[k] = std::max<std::int64_t>(start, 0);
  }
  for (std::size_t k = 0; k < 3; ++k) {
    n.position = n.position * g.axis[k].in + at[k];
    n.first = n.first * g.axis[k].in + first[k];
  }
  return n;
}

/// Calls `each` with the place of every output of one channel of one sample, row-major.
template <class Each>
void for_outputs(const PoolGeometry& g, const Each& each) {
  for (std::int64_t o = 0; o < g.axis[0].out; ++o)
    for (std::int64_t p = 0; p < g.axis[1].out; ++p)
      for (std::int64_t q = 0; q < g.axis[2].out; ++q) each(std::array{o, p, q});
}

std::vector<PoolGeometry> windows() {
  std::vector<PoolGeometry> some;
  for (PoolGeometry g : verify::pool_geometries()) {
    const auto dilated = [](const AxisGeometry& a) { return a.filter > 1 && a.dilation > 1; };
    if (g.adaptive || std::any_of(g.axis.begin(), g.axis.end(), dilated) || g.positions() == 0) continue;
    if (g.axis[0].in * g.axis[1].in * g.axis[2].in > 200) continue;  // each position is a launch
    g.n = g.c = 1;
    some.push_back(g);
  }
  return some;
}

TEST(PoolIndex, ATapBecomesItsPositionOrTheFirstThatIsReal) {
  const std::vector<PoolGeometry> all = windows();
  ASSERT_GE(all.size(), 5u);
  for (const PoolGeometry& g : all) {
    const std::int64_t taps = g.axis[0].filter * g.axis[1].filter * g.axis[2].filter;
    std::vector<std::int64_t> given{std::numeric_limits<std::int32_t>::min(),
                                    std::numeric_limits<std::int32_t>::max()};
    for (std::int64_t tap = -taps - 1; tap <= 2 * taps; ++tap) given.push_back(tap);
    for (const std::int64_t tap : given) {
      const Tensor in =
          full({g.positions()}, static_cast<double>(tap), {.dtype = DType::i32}).to(Device::simt());
      Tensor out = full({g.positions()}, -7.0, {.dtype = DType::i64}).to(Device::simt());
      simt::kernels::pool_taps_to_positions(g, static_cast<const std::int32_t*>(in.raw()), fresh_view(out));
      const std::vector<std::int64_t> got = out.to(Device::cpu()).to_vector<std::int64_t>();
      std::size_t i = 0;
      for_outputs(g, [&](const std::array<std::int64_t, 3>& o) {
        const Named n = named(g, o, tap);
        EXPECT_EQ(got[i], n.real ? n.position : n.first)
            << g.to_string() << ", output " << i << ", tap " << tap;
        ++i;
      });
    }
  }
}

TEST(PoolIndex, APositionBecomesItsTapOrNone) {
  for (const PoolGeometry& g : windows()) {
    const std::int64_t inputs = g.axis[0].in * g.axis[1].in * g.axis[2].in,
                       taps = g.axis[0].filter * g.axis[1].filter * g.axis[2].filter;
    for (std::int64_t position = -1; position < inputs; ++position) {
      const Tensor in =
          full({g.positions()}, static_cast<double>(position), {.dtype = DType::i64}).to(Device::simt());
      Tensor out = full({g.positions()}, -7.0, {.dtype = DType::i32}).to(Device::simt());
      simt::kernels::pool_positions_to_taps(g, view(in), static_cast<std::int32_t*>(out.mutable_raw()));
      const std::vector<std::int32_t> got = out.to(Device::cpu()).to_vector<std::int32_t>();
      std::size_t i = 0;
      for_outputs(g, [&](const std::array<std::int64_t, 3>& o) {
        std::int64_t expected = -1;
        for (std::int64_t tap = 0; tap < taps; ++tap)
          if (const Named n = named(g, o, tap); n.real && n.position == position) expected = tap;
        EXPECT_EQ(got[i], expected) << g.to_string() << ", output " << i << ", position " << position;
        ++i;
      });
    }
  }
}

}  // namespace
}  // namespace isobit
