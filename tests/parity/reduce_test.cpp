// reduce_sum and reduce_extreme against the reference: every form of the geometry, around the vector width,
// the block, the leaf and the lanes.
#include <cmath>

#include "tests/parity/parity.h"

namespace isobit::parity {
namespace {

/// Extents with 'r' (reduced) or 'k' (kept) for each.
ReduceGeometry geometry(const std::vector<std::int64_t>& extents, const std::string& axes) {
  ReduceGeometry g;
  g.rank = static_cast<int>(extents.size());
  for (int i = 0; i < g.rank; ++i) {
    g.extent[i] = extents[static_cast<std::size_t>(i)];
    g.reduced[i] = axes[static_cast<std::size_t>(i)] == 'r';
  }
  g.batch = g.reduced[0];
  g.lanes = g.rank > 1 && g.reduced[g.rank - 1];
  return g;
}

std::int64_t numel(const ReduceGeometry& g) {
  return g.kept() * g.reduced_size();
}

struct Problem {
  std::vector<std::int64_t> extents;
  std::string axes;
};

const std::vector<Problem>& problems() {
  static const std::vector<Problem> list = {{{7}, "r"},
                                            {{16}, "r"},
                                            {{1000}, "r"},
                                            {{70001}, "r"},
                                            {{64, 10}, "rk"},
                                            {{100, 33}, "rk"},
                                            {{3, 1025}, "rk"},
                                            {{70, 1}, "rk"},
                                            {{9, 10}, "kr"},
                                            {{5, 63}, "kr"},
                                            {{5, 64}, "kr"},
                                            {{4, 65}, "kr"},
                                            {{3, 1000}, "kr"},
                                            {{300, 257}, "kr"},
                                            {{33, 17}, "rr"},
                                            {{64, 49, 32}, "rrk"},
                                            {{20, 300, 5}, "rrk"},
                                            {{6, 9, 600}, "rrk"},
                                            {{2, 784, 40}, "rrk"},
                                            {{7, 5, 9}, "krk"},
                                            {{3, 700, 18}, "krk"},
                                            {{8, 3, 100}, "rkr"},
                                            {{19, 4, 6, 11}, "rkrk"},
                                            {{5, 3, 4, 70}, "krkr"},
                                            {{18, 3, 5, 66}, "rkrr"},
                                            {{4, 5}, "kk"},
                                            {{0, 5}, "rk"},
                                            {{5, 0}, "kr"},
                                            {{0, 4}, "kr"},
                                            {{4, 0, 3}, "krk"},
                                            {{0}, "r"},
                                            {{2, 3, 0}, "rrk"}};
  return list;
}

TEST(ReduceParity, Sum) {
  for (const Problem& problem : problems()) {
    const ReduceGeometry g = geometry(problem.extents, problem.axes);
    for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i32, DType::i64}) {
      for (const Values values : {Values::plain, Values::hard}) {
        SCOPED_TRACE(fmt::format("[{}] {} {}", fmt::join(problem.extents, ","), problem.axes, dtype));
        const Array x = random_array(dtype, numel(g), values);
        expect_parity("reduce_sum", {Array(dtype, g.kept())},
                      [&](Backend& b, Outputs& out) { b.reduce_sum(g, x.view(), out[0].view()); });
        if (testing::Test::HasFailure()) return;
      }
    }
  }
}

// Problems nobody thought of: random extents and axes.
TEST(ReduceParity, RandomProblems) {
  std::mt19937 engine(11);
  for (int round = 0; round < (is_long() ? 1000 : 25); ++round) {
    std::vector<std::int64_t> extents;
    std::string axes;
    const int rank = 1 + static_cast<int>(engine() % 4);
    std::int64_t size = 1;
    for (int i = 0; i < rank; ++i) {
      const std::int64_t most = std::max<std::int64_t>(1, 20000 / size);
      extents.push_back(1 + engine() % std::min<std::int64_t>(most, engine() % 4 == 0 ? 700 : 40));
      size *= extents.back();
      axes += engine() % 2 == 0 ? 'r' : 'k';
    }
    const ReduceGeometry g = geometry(extents, axes);
    const DType dtype = kFloating[engine() % 4];
    SCOPED_TRACE(fmt::format("[{}] {} {}", fmt::join(extents, ","), axes, dtype));
    const Array x = random_array(dtype, numel(g), Values::plain, static_cast<std::uint32_t>(round));
    expect_parity("reduce_sum", {Array(dtype, g.kept())},
                  [&](Backend& b, Outputs& out) { b.reduce_sum(g, x.view(), out[0].view()); });
    expect_parity("reduce_extreme", {Array(dtype, g.kept()), Array(DType::i64, g.kept())},
                  [&](Backend& b, Outputs& out) {
                    b.reduce_extreme(ReduceOp::min, g, x.view(), out[0].view(), out[1].view());
                  });
    if (HasFailure()) return;
  }
}

TEST(ReduceParity, SumOfZerosKeepsItsSign) {
  for (const Problem& problem : {Problem{{40, 5}, "rk"}, Problem{{5, 40}, "kr"}, Problem{{600}, "r"}}) {
    const ReduceGeometry g = geometry(problem.extents, problem.axes);
    Array x(DType::f32, numel(g));
    for (std::int64_t i = 0; i < numel(g); ++i) x.as<float>()[i] = -0.0f;
    expect_parity("reduce_sum", {Array(DType::f32, g.kept())},
                  [&](Backend& b, Outputs& out) { b.reduce_sum(g, x.view(), out[0].view()); });
  }
}

TEST(ReduceParity, Extremes) {
  for (const Problem& problem : problems()) {
    const ReduceGeometry g = geometry(problem.extents, problem.axes);
    if (g.reduced_size() == 0 || numel(g) > 60000) continue;
    for (const DType dtype :
         {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i32, DType::i64, DType::u8}) {
      for (const ReduceOp op : {ReduceOp::max, ReduceOp::min}) {
        for (const Values values : {Values::plain, Values::hard}) {
          SCOPED_TRACE(fmt::format("[{}] {} {} {}", fmt::join(problem.extents, ","), problem.axes, dtype,
                                   op == ReduceOp::max ? "max" : "min"));
          const Array x = random_array(dtype, numel(g), values, 3);
          expect_parity("reduce_extreme", {Array(dtype, g.kept()), Array(DType::i64, g.kept())},
                        [&](Backend& b, Outputs& out) {
                          b.reduce_extreme(op, g, x.view(), out[0].view(), out[1].view());
                        });
          if (testing::Test::HasFailure()) return;
        }
      }
    }
  }
}

TEST(ReduceParity, ExtremesWithoutIndexAndOfManyRows) {
  for (const Problem& problem : {Problem{{700, 300}, "rk"}, Problem{{300, 3000}, "kr"}}) {
    const ReduceGeometry g = geometry(problem.extents, problem.axes);
    const Array x = random_array(DType::f32, numel(g), Values::plain, 5);
    expect_parity("reduce_extreme", {Array(DType::f32, g.kept())}, [&](Backend& b, Outputs& out) {
      b.reduce_extreme(ReduceOp::max, g, x.view(), out[0].view(), View{});
    });
  }
}

}  // namespace
}  // namespace isobit::parity
