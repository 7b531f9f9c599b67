// Problems of norms and pooling.
#include <isobit/ops.h>

#include "core/numerics/philox.h"
#include "core/verify/families.h"

namespace isobit::verify {
namespace {

std::vector<NormGeometry> norm_geometries() {
  std::vector<NormGeometry> list;
  const auto add = [&](std::int64_t a, std::int64_t b, std::int64_t g, std::int64_t d, bool over_batch) {
    NormGeometry n;
    n.a = a, n.b = b, n.g = g, n.d = d, n.over_batch = over_batch;
    list.push_back(n);
  };
  for (const std::int64_t g : {1, 3, 17, 31, 32, 33, 64}) add(37, 5, g, 1, true);  // batch norm
  add(3, 300, 10, 1, true);
  add(70, 81, 32, 1, true);
  add(40, 1, 600, 1, true);
  add(9, 1, 1, 1, false);  // layer norm
  add(5, 1, 1, 63, false);
  add(5, 1, 1, 64, false);
  add(33, 1, 1, 257, false);
  add(300, 1, 1, 500, false);
  add(5, 1, 1, 1025, false);  // rows that are a block's
  add(3, 1, 2, 1023, false);
  add(4, 1, 1, 2049, false);  // three stretches, which fall into two blocks
  add(3, 10, 4, 3, false);    // group norm
  add(2, 300, 2, 20, false);
  add(17, 12, 8, 65, false);
  add(0, 4, 3, 1, true);
  add(0, 2, 2, 5, false);
  return list;
}

void add_norm(Suite& suite, const NormGeometry& g, DType dtype) {
  const DType wide = compute_type(dtype);
  const std::string text =
      fmt::format("a{}b{}g{}d{}{}", g.a, g.b, g.g, g.d, g.over_batch ? " over batch" : "");
  for (const Values values : {Values::plain, Values::hard})
    if (Case* c = suite.open("norm_statistics", dtype, fmt::format("{} {}", text, name_of(values))))
      c->in(dtype, g.numel(), values)
          .out(wide, g.statistics())
          .out(wide, g.statistics())
          .run([&](Backend& b, const Operands& o) { b.norm_statistics(g, o.in[0], o.out[0], o.out[1]); });
  // x, dy, mean, variance, gamma, beta
  const auto open = [&](const char* kernel, const std::string& what) -> Case* {
    Case* c = suite.open(kernel, dtype, text + what);
    if (c == nullptr) return nullptr;
    c->in(dtype, g.numel(), Values::finite).in(dtype, g.numel(), Values::finite);
    c->in(wide, g.statistics(), Values::finite);
    HostArray variance = c->random(wide, g.statistics(), Values::finite);
    make_positive(variance);
    c->in(std::move(variance)).in(wide, g.channels(), Values::finite).in(wide, g.channels(), Values::finite);
    return c;
  };
  for (const auto& [what, with_gamma, with_beta] : {std::tuple{"", false, false},
                                                    {" gamma", true, false},
                                                    {" beta", false, true},
                                                    {" gamma beta", true, true}}) {
    const bool gamma = with_gamma, beta = with_beta;
    if (Case* c = open("norm_apply", what))
      c->out(dtype, g.numel()).run([&](Backend& b, const Operands& o) {
        b.norm_apply(g, 1e-5, o.in[0], o.in[2], o.in[3], gamma ? o.in[4] : ConstView{},
                     beta ? o.in[5] : ConstView{}, o.out[0]);
      });
    if (beta) continue;
    if (Case* c = open("norm_backward", what))
      c->out(dtype, g.numel()).run([&](Backend& b, const Operands& o) {
        b.norm_backward(g, 1e-5, o.in[1], o.in[0], o.in[2], o.in[3], gamma ? o.in[4] : ConstView{}, o.out[0]);
      });
  }
  if (Case* c = open("norm_backward_affine", " both"))
    c->out(wide, g.channels()).out(wide, g.channels()).run([&](Backend& b, const Operands& o) {
      b.norm_backward_affine(g, 1e-5, o.in[1], o.in[0], o.in[2], o.in[3], o.out[0], o.out[1]);
    });
  if (Case* c = open("norm_backward_affine", " gamma alone"))
    c->out(wide, g.channels()).run([&](Backend& b, const Operands& o) {
      b.norm_backward_affine(g, 1e-5, o.in[1], o.in[0], o.in[2], o.in[3], o.out[0], View{});
    });
  if (Case* c = open("norm_backward_affine", " beta alone"))
    c->out(wide, g.channels()).run([&](Backend& b, const Operands& o) {
      b.norm_backward_affine(g, 1e-5, o.in[1], o.in[0], o.in[2], o.in[3], View{}, o.out[0]);
    });
}

/// Windows within a row, as wide as it, wider; rows around a vector and around a block of threads.
void add_local_response(Suite& suite) {
  struct Problem {
    std::int64_t rows, c, size;
    double alpha, beta, bias;
  };
  constexpr Problem kProblems[] = {
      {7, 1, 1, 1, 0.75, 1},        {3, 2, 5, 1, 0.75, 1},     {5, 15, 3, 1e-4, 0.75, 1},
      {5, 16, 4, 0.5, 0.5, 2},      {3, 17, 5, 2, 0.75, 1},    {4, 31, 31, 1, 1, 0.5},
      {9, 33, 2, 1e-4, 0.75, 2},    {2, 96, 5, 1e-4, 0.75, 2}, {3, 255, 256, 1, -0.5, 1},
      {1, 257, 256, 1, 0.75, 1},    {2, 130, 257, 1, 0.75, 1}, {3, 300, 600, 1, 2, 3},
      {1, 600, 301, 0, 0.75, 1},    {2, 40, 7, 1, 0, 1e-30},   {0, 8, 5, 1, 0.75, 1},
      {700, 131, 5, 1e-2, 0.75, 1}, {20000, 3, 2, 1, 0.75, 1}};
  for (const auto& [rows, c, size, alpha, beta, bias] : kProblems)
    for (const DType dtype : kFloating)
      for (const Values values : {Values::plain, Values::finite, Values::hard}) {
        const std::int64_t n = rows * c;
        const LocalResponseGeometry g =
            make_local_response_geometry("verify", {rows, c}, size, {alpha, beta, bias});
        const std::string text = fmt::format("[{},{}] size {} alpha {} beta {} bias {} {}", rows, c, size,
                                             alpha, beta, bias, name_of(values));
        const bool large = n > 10000;
        if (large && values != Values::plain) continue;
        if (Case* one = suite.open("local_response_norm", dtype, text, large))
          one->in(dtype, n, values).out(dtype, n).run([&](Backend& b, const Operands& o) {
            b.local_response_norm(g, o.in[0], o.out[0]);
          });
        if (Case* one = suite.open("local_response_norm_backward", dtype, text, large))
          one->in(dtype, n, values)
              .in(dtype, n, values)
              .out(dtype, n)
              .run([&](Backend& b, const Operands& o) {
                b.local_response_norm_backward(g, o.in[0], o.in[1], o.out[0]);
              });
      }
}

AxisGeometry axis(std::int64_t in, std::int64_t filter, std::int64_t stride, std::int64_t dilation = 1,
                  std::int64_t before = 0, std::int64_t after = 0, bool ceil_mode = false) {
  AxisGeometry a;
  a.in = in, a.filter = filter, a.stride = stride, a.dilation = dilation, a.pad_before = before,
  a.pad_after = after;
  const std::int64_t room = in + before + after - dilation * (filter - 1) - 1;
  a.out = room < 0 ? 0 : (ceil_mode ? (room + stride - 1) / stride : room / stride) + 1;
  if (ceil_mode && (a.out - 1) * stride >= in + before) --a.out;
  return a;
}

std::vector<PoolGeometry> pool_geometries() {
  std::vector<PoolGeometry> list;
  const auto add = [&](std::int64_t n, std::int64_t c, AxisGeometry d, AxisGeometry h, AxisGeometry w) {
    PoolGeometry g;
    g.n = n, g.c = c, g.axis = {d, h, w};
    list.push_back(g);
  };
  const AxisGeometry one = axis(1, 1, 1);
  add(2, 32, one, axis(12, 2, 2), axis(12, 2, 2));
  add(3, 5, one, axis(9, 2, 2), axis(7, 2, 2));
  add(2, 17, one, axis(8, 3, 2, 1, 1, 1), axis(9, 3, 2, 1, 1, 1));
  add(1, 3, one, axis(10, 3, 1), axis(6, 2, 1));
  add(2, 16, one, axis(11, 2, 3), axis(11, 2, 3));
  add(2, 4, one, axis(10, 2, 2, 3), axis(10, 3, 1, 2, 2, 1));
  add(2, 7, one, axis(7, 3, 2, 1, 0, 0, true), axis(8, 3, 2, 1, 1, 1, true));
  add(2, 9, axis(5, 2, 2), axis(4, 2, 1), axis(6, 3, 2, 1, 1, 0));
  add(3, 33, one, one, axis(20, 4, 3, 1, 2, 1));
  add(2, 70, one, axis(7, 7, 1), axis(7, 7, 1));
  add(2, 19, one, one, axis(12, 3, 3));
  add(2, 20, axis(4, 2, 2), axis(6, 3, 3), axis(4, 1, 1));
  add(20, 32, one, axis(28, 2, 2), axis(28, 2, 2));
  add(0, 4, one, axis(4, 2, 2), axis(4, 2, 2));
  add(2, 0, one, axis(4, 2, 2), axis(4, 2, 2));
  return list;
}

/// Windows nobody thought of, each with at least one real tap: padding below the filter, and not beyond the
/// input.
PoolGeometry random_pool(Seed seed, std::uint64_t round) {
  const RandomKey key = random_key(seed, "pool", round);
  std::uint64_t drawn = 0;
  const auto below = [&](std::int64_t bound) {
    return static_cast<std::int64_t>(
        numerics::uniform_below(key, drawn++, static_cast<std::uint64_t>(bound)));
  };
  PoolGeometry g;
  g.n = 1 + below(3), g.c = 1 + below(40), g.count_include_pad = below(2) == 0;
  for (std::uint64_t i = round % 3; i < 3; ++i) {
    const std::int64_t filter = 1 + below(4), dilation = 1 + below(2), span = dilation * (filter - 1) + 1;
    const std::int64_t in = span + below(6), stride = 1 + below(4), before = below(filter),
                       after = below(filter);
    g.axis[i] = axis(in, filter, stride, dilation, before, after);
  }
  return g;
}

void add_pool(Suite& suite, PoolGeometry g, DType dtype, Values values, bool full_only) {
  const std::int64_t x = g.n * g.c * g.axis[0].in * g.axis[1].in * g.axis[2].in,
                     y = g.n * g.c * g.positions();
  const std::string text = fmt::format("{} {}", g.to_string(), name_of(values));
  if (Case* c = suite.open("max_pool", dtype, text, full_only))
    c->in(dtype, x, values).out(dtype, y).out(DType::i64, y).run([&](Backend& b, const Operands& o) {
      b.max_pool(g, o.in[0], o.out[0], o.out[1]);
    });
  // The places of maxima come from the CPU; whether they are right is max_pool's own affair.
  const auto places = [&](Case& c) {
    const HostArray from = c.random(dtype, x, values);
    HostArray highest(dtype, y), index(DType::i64, y);
    backend(Device::cpu()).max_pool(g, from.view(), highest.view(), index.view());
    return index;
  };
  if (Case* c = suite.open("max_pool_backward", dtype, text, full_only))
    c->in(dtype, y, values).in(places(*c)).out(dtype, x).run([&](Backend& b, const Operands& o) {
      b.max_pool_backward(g, o.in[0], o.in[1], o.out[0]);
    });
  if (Case* c = suite.open("max_pool_gather", dtype, text, full_only))
    c->in(dtype, x, values).in(places(*c)).out(dtype, y).run([&](Backend& b, const Operands& o) {
      b.max_pool_gather(g, o.in[0], o.in[1], o.out[0]);
    });
  for (const bool include : {false, true}) {
    g.count_include_pad = include;
    const std::string counted = fmt::format("{} {}", g.to_string(), name_of(values));
    if (Case* c = suite.open("avg_pool", dtype, counted, full_only))
      c->in(dtype, x, values).out(dtype, y).run([&](Backend& b, const Operands& o) {
        b.avg_pool(g, o.in[0], o.out[0]);
      });
    if (Case* c = suite.open("avg_pool_backward", dtype, counted, full_only))
      c->in(dtype, y, values).out(dtype, x).run([&](Backend& b, const Operands& o) {
        b.avg_pool_backward(g, o.in[0], o.out[0]);
      });
  }
}

}  // namespace

void add_norms(Suite& suite) {
  for (const NormGeometry& g : norm_geometries())
    for (const DType dtype : kFloating) add_norm(suite, g, dtype);
  add_local_response(suite);
}

void add_pools(Suite& suite) {
  for (const PoolGeometry& g : pool_geometries())
    for (const DType dtype : kFloating)
      for (const Values values : {Values::plain, Values::hard})
        add_pool(suite, g, dtype, values, g.n == 20 && (dtype != DType::f32 || values == Values::hard));
  for (std::uint64_t round = 0; round < 100; ++round)
    add_pool(suite, random_pool(suite.seed(), round), kFloating[round % 7 % 4], Values::plain, round >= 20);
}

}  // namespace isobit::verify
