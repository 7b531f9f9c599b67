// Problems of reduce_sum and reduce_extreme, of softmax and of matmul: every form of the geometry, around the
// vector, the warp, the block of 256, the leaf and the lanes.
#include <array>
#include <limits>

#include "core/numerics/philox.h"
#include "core/verify/families.h"

namespace isobit::verify {
namespace {

/// Extents with 'r' (reduced) or 'k' (kept) for each.
struct Problem {
  std::vector<std::int64_t> extents;
  std::string axes;

  ReduceGeometry geometry() const {
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
  std::string text() const { return fmt::format("[{}] {}", fmt::join(extents, ","), axes); }
};

std::vector<Problem> problems() {
  return {{{7}, "r"},
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
          {{3, 1025}, "kr"},
          {{2, 1023}, "kr"},
          {{300, 257}, "kr"},
          {{9, 2}, "kr"},
          {{265, 33}, "kr"},  // more tiles than simt has blocks
          {{2, 4095}, "kr"},  // groups of which the last is one short
          {{127, 40}, "rk"},
          {{3, 255, 5}, "rrk"},  // leaves one short of a block
          {{33, 17}, "rr"},
          {{64, 49, 32}, "rrk"},
          {{20, 300, 5}, "rrk"},
          {{9, 257, 3}, "rrk"},
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
}

std::int64_t numel(const ReduceGeometry& g) {
  return g.kept() * g.reduced_size();
}

void add_sum(Suite& suite, const Problem& problem, DType dtype, Values values, bool full_only) {
  const ReduceGeometry g = problem.geometry();
  if (Case* c =
          suite.open("reduce_sum", dtype, fmt::format("{} {}", problem.text(), name_of(values)), full_only))
    c->in(dtype, numel(g), values).out(dtype, g.kept()).run([&](Backend& b, const Operands& o) {
      b.reduce_sum(g, o.in[0], o.out[0]);
    });
}

void add_extreme(Suite& suite, const Problem& problem, ReduceOp op, DType dtype, Values values,
                 bool full_only) {
  const ReduceGeometry g = problem.geometry();
  if (g.reduced_size() == 0) return;
  const std::string text = fmt::format("{} {} {}", name_of(op), problem.text(), name_of(values));
  if (Case* c = suite.open("reduce_extreme", dtype, text, full_only))
    c->in(dtype, numel(g), values)
        .out(dtype, g.kept())
        .out(DType::i64, g.kept())
        .run([&](Backend& b, const Operands& o) { b.reduce_extreme(op, g, o.in[0], o.out[0], o.out[1]); });
}

/// Problems nobody thought of: random extents and axes.
void add_random_problems(Suite& suite) {
  for (std::uint64_t round = 0; round < 150; ++round) {
    const RandomKey key = random_key(suite.seed(), "reduction", round);
    std::uint64_t drawn = 0;
    const auto below = [&](std::int64_t bound) {
      return static_cast<std::int64_t>(
          numerics::uniform_below(key, drawn++, static_cast<std::uint64_t>(bound)));
    };
    Problem problem;
    const std::int64_t rank = 1 + below(4);
    std::int64_t size = 1;
    for (std::int64_t i = 0; i < rank; ++i) {
      const std::int64_t most = std::max<std::int64_t>(1, 20000 / size);
      problem.extents.push_back(1 + below(std::min<std::int64_t>(most, below(4) == 0 ? 700 : 40)));
      size *= problem.extents.back();
      problem.axes += below(2) == 0 ? 'r' : 'k';
    }
    const DType dtype = kFloating[below(4)];
    add_sum(suite, problem, dtype, Values::plain, round >= 25);
    add_extreme(suite, problem, ReduceOp::min, dtype, Values::plain, round >= 25);
  }
}

/// Results of any dtype that sums; the sign of a sum of zeros; no index wanted; NaN beside NaN; a thread's
/// longest run of leaves.
void add_special_reductions(Suite& suite) {
  for (const Problem& problem : {Problem{{40, 5}, "rk"}, Problem{{5, 40}, "kr"}, Problem{{600}, "r"}}) {
    const ReduceGeometry g = problem.geometry();
    HostArray x(DType::f32, numel(g));
    for (std::int64_t i = 0; i < numel(g); ++i) x.as<float>()[i] = -0.0f;
    if (Case* c = suite.open("reduce_sum", DType::f32, problem.text() + " of -0"))
      c->in(x).out(DType::f32, g.kept()).run([&](Backend& b, const Operands& o) {
        b.reduce_sum(g, o.in[0], o.out[0]);
      });
  }
  for (const Problem& problem :
       {Problem{{5}, "r"}, Problem{{4, 3}, "rk"}, Problem{{3, 70}, "kr"}, Problem{{70, 30}, "rk"},
        Problem{{700, 300}, "rk"}, Problem{{300, 3000}, "kr"}}) {
    const ReduceGeometry g = problem.geometry();
    if (Case* c =
            suite.open("reduce_extreme", DType::f32, problem.text() + " without index", numel(g) > 10000))
      c->in(DType::f32, numel(g)).out(DType::f32, g.kept()).run([&](Backend& b, const Operands& o) {
        b.reduce_extreme(ReduceOp::max, g, o.in[0], o.out[0], View{});
      });
  }
  const Problem pairs{{139, 140}, "kr"};
  const ReduceGeometry of_pairs = pairs.geometry();
  for (const ReduceOp op : {ReduceOp::max, ReduceOp::min})
    if (Case* c = suite.open("reduce_extreme", DType::f32,
                             fmt::format("{} {} two NaN side by side", name_of(op), pairs.text()))) {
      HostArray x = c->random(DType::f32, numel(of_pairs));
      for (std::int64_t row = 0; row < 139; ++row)
        x.as<float>()[row * 141] = x.as<float>()[row * 141 + 1] = std::numeric_limits<float>::quiet_NaN();
      c->in(std::move(x))
          .out(DType::f32, of_pairs.kept())
          .out(DType::i64, of_pairs.kept())
          .run([&](Backend& b, const Operands& o) {
            b.reduce_extreme(op, of_pairs, o.in[0], o.out[0], o.out[1]);
          });
    }
  add_sum(suite, {{16384, 2}, "rk"}, DType::f32, Values::plain, false);
}

}  // namespace

void add_reductions(Suite& suite) {
  for (const Problem& problem : problems())
    for (const Values values : {Values::plain, Values::hard}) {
      const bool large = numel(problem.geometry()) > 60000;
      for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i32, DType::i64})
        add_sum(suite, problem, dtype, values, large && dtype != DType::f32);
      for (const DType dtype : kAllTypes)
        for (const ReduceOp op : {ReduceOp::max, ReduceOp::min})
          if (dtype != DType::boolean && !large) add_extreme(suite, problem, op, dtype, values, false);
    }
  add_random_problems(suite);
  add_special_reductions(suite);
}

void add_rows(Suite& suite) {
  struct Rows {
    std::int64_t rows, columns;
  };
  // Rows whose greatest element is the last.
  for (const auto& [rows, columns] : {Rows{5, 16}, Rows{2, 33}, Rows{3, 65}, Rows{2, 1025}})
    for (const char* kernel : {"softmax", "log_softmax"})
      if (Case* c = suite.open(kernel, DType::f32, fmt::format("[{},{}] ascending", rows, columns))) {
        HostArray x(DType::f32, rows * columns);
        for (std::int64_t i = 0; i < x.numel(); ++i)
          x.as<float>()[i] = static_cast<float>(i % columns) * 0.3f;
        const std::int64_t row = columns;
        const bool log = kernel[0] == 'l';
        c->in(std::move(x)).out(DType::f32, rows * columns).run([=](Backend& b, const Operands& o) {
          log ? b.log_softmax(row, o.in[0], o.out[0]) : b.softmax(row, o.in[0], o.out[0]);
        });
      }
  constexpr Rows kRows[] = {{3, 1},  {7, 2},  {64, 10}, {5, 15},   {5, 16},   {3, 31},   {3, 32},    {3, 33},
                            {4, 63}, {4, 64}, {3, 65},  {2, 1000}, {3, 1023}, {2, 1025}, {700, 131}, {0, 9}};
  for (const auto& [rows, columns] : kRows)
    for (const DType dtype : kFloating)
      for (const Values values : {Values::plain, Values::finite, Values::hard}) {
        const std::int64_t n = rows * columns, row = columns;
        const std::string text = fmt::format("[{},{}] {}", rows, columns, name_of(values));
        const bool large = n > 10000;
        if (Case* c = suite.open("softmax", dtype, text, large))
          c->in(dtype, n, values).out(dtype, n).run([=](Backend& b, const Operands& o) {
            b.softmax(row, o.in[0], o.out[0]);
          });
        if (Case* c = suite.open("log_softmax", dtype, text, large))
          c->in(dtype, n, values).out(dtype, n).run([=](Backend& b, const Operands& o) {
            b.log_softmax(row, o.in[0], o.out[0]);
          });
        if (Case* c = suite.open("softmax_backward", dtype, text, large))
          c->in(dtype, n, values).in(dtype, n, values).out(dtype, n).run([=](Backend& b, const Operands& o) {
            b.softmax_backward(row, o.in[0], o.in[1], o.out[0]);
          });
        if (Case* c = suite.open("log_softmax_backward", dtype, text, large))
          c->in(dtype, n, values).in(dtype, n, values).out(dtype, n).run([=](Backend& b, const Operands& o) {
            b.log_softmax_backward(row, o.in[0], o.in[1], o.out[0]);
          });
      }
}

void add_matmul(Suite& suite) {
  const std::array<std::int64_t, 3> sizes[] = {
      {1, 1, 1},     {1, 40, 300},   {2, 3, 5},     {7, 16, 9},    {10, 32, 64},   {13, 33, 31},
      {64, 10, 70},  {31, 64, 33},   {65, 70, 17},  {3, 1, 600},   {5, 8, 0},      {0, 4, 3},
      {4, 0, 3},     {21, 100, 257}, {12, 31, 513}, {129, 127, 8}, {128, 128, 16}, {150, 130, 200},
      {42, 66, 261}, {41, 300, 257}, {12, 8, 9},    {257, 7, 70},  {260, 8, 13}};
  for (const auto& [m, n, k] : sizes)
    for (int transposed = 0; transposed < 4; ++transposed)
      for (const std::int64_t batch : {0, 1, 3}) {
        if (batch == 0 && transposed != 0) continue;
        MatmulGeometry g;
        g.batch = batch, g.m = m, g.n = n, g.k = k;
        g.transpose_a = (transposed & 1) != 0, g.transpose_b = (transposed & 2) != 0;
        g.stride_a = m * k;
        g.stride_b = batch == 3 && transposed % 2 == 0 ? 0 : k * n;
        const bool large = batch * m * n * k > 1000000;
        for (const DType dtype : kFloating)
          for (const Values values : {Values::plain, Values::hard}) {
            if (values == Values::hard && m != 13 && m != 129) continue;
            const std::string text =
                fmt::format("{}{} {}", g.to_string(), g.stride_b == 0 ? " b repeated" : "", name_of(values));
            if (Case* c = suite.open("matmul", dtype, text, large))
              c->in(dtype, batch * m * k, values)
                  .in(dtype, (g.stride_b == 0 ? 1 : batch) * k * n, values)
                  .out(dtype, batch * m * n)
                  .run([&](Backend& b, const Operands& o) { b.matmul(g, o.in[0], o.in[1], o.out[0]); });
          }
      }
  // Matrices enough to fill simt: sums of several blocks stay whole (kFillingThreads in
  // cuda/kernels/gemm.cu).
  for (const std::int64_t k : {255, 256, 260, 521})
    for (int transposed = 0; transposed < 4; ++transposed) {
      MatmulGeometry g;
      g.batch = 16, g.m = 5, g.n = 6, g.k = k;
      g.transpose_a = (transposed & 1) != 0, g.transpose_b = (transposed & 2) != 0;
      g.stride_a = g.m * k, g.stride_b = k * g.n;
      for (const DType dtype : {DType::f32, DType::f64})
        if (Case* c = suite.open("matmul", dtype, g.to_string() + " whole sums",
                                 (dtype == DType::f64) != (transposed == 2)))
          c->in(dtype, g.batch * g.stride_a)
              .in(dtype, g.batch * g.stride_b)
              .out(dtype, g.batch * g.m * g.n)
              .run([&](Backend& b, const Operands& o) { b.matmul(g, o.in[0], o.in[1], o.out[0]); });
    }
}

}  // namespace isobit::verify
