// Problems of pooling.
#include "core/numerics/philox.h"
#include "core/verify/families.h"

namespace isobit::verify {
namespace {

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

AxisGeometry adaptive_axis(std::int64_t in, std::int64_t out) {
  AxisGeometry a;
  a.in = in, a.out = out;
  return a;
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
  g.n = 1 + below(3), g.c = 1 + below(40);
  for (std::uint64_t i = round % 3; i < 3; ++i) {
    const std::int64_t filter = 1 + below(4), dilation = 1 + below(2), span = dilation * (filter - 1) + 1;
    const std::int64_t in = span + below(6), stride = 1 + below(4), before = below(filter),
                       after = below(filter);
    g.axis[i] = axis(in, filter, stride, dilation, before, after);
  }
  return g;
}

/// Windows by the number of outputs, of any ratio.
PoolGeometry random_adaptive(Seed seed, std::uint64_t round) {
  const RandomKey key = random_key(seed, "adaptive pool", round);
  std::uint64_t drawn = 0;
  const auto up_to = [&](std::int64_t bound) {
    return 1 + static_cast<std::int64_t>(
                   numerics::uniform_below(key, drawn++, static_cast<std::uint64_t>(bound)));
  };
  PoolGeometry g;
  g.n = up_to(3), g.c = up_to(40), g.adaptive = true;
  for (std::uint64_t i = round % 3; i < 3; ++i) {
    const std::int64_t in = up_to(11);
    g.axis[i] = adaptive_axis(in, up_to(11));
  }
  return g;
}

void add_pool(Suite& suite, PoolGeometry g, DType dtype, Values values, bool full_only) {
  const std::int64_t x = g.n * g.c * g.axis[0].in * g.axis[1].in * g.axis[2].in,
                     y = g.n * g.c * g.positions();
  g.count_include_pad = g.sum = false;
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
  for (const auto& [include, sum] : {std::pair{false, false}, {true, false}, {false, true}}) {
    g.count_include_pad = include;
    g.sum = sum;
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

std::vector<PoolGeometry> pool_geometries() {
  std::vector<PoolGeometry> list;
  const auto add = [&](std::int64_t n, std::int64_t c, AxisGeometry d, AxisGeometry h, AxisGeometry w) {
    PoolGeometry g;
    g.n = n, g.c = c, g.axis = {d, h, w};
    list.push_back(g);
  };
  const auto adapt = [&](std::int64_t n, std::int64_t c, AxisGeometry d, AxisGeometry h, AxisGeometry w) {
    add(n, c, d, h, w);
    list.back().adaptive = true;
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
  add(2, 5, one, one, axis(9, 2, 1, 4, 3, 2));  // dilated beyond the padding, along one axis alone
  add(1, 18, axis(5, 2, 2, 2, 1, 1), axis(6, 2, 3, 3, 2, 1, true), axis(7, 3, 2, 2, 3, 3, true));
  add(2, 8, one, axis(3, 1, 2, 5), axis(4, 4, 4, 1, 3, 3));  // a dilation without a second tap
  // Few channels and rows of several registers: strides up to and beyond those that rows are taken apart by,
  // rows that windows share and rows that they skip, more rows of dx than are gathered in at a time.
  add(2, 1, one, axis(7, 3, 1, 1, 1, 1), axis(41, 3, 1, 1, 1, 1));
  add(2, 3, one, axis(9, 5, 1, 1, 2, 2), axis(40, 5, 2, 1, 2, 2));
  add(1, 2, axis(5, 2, 2, 1, 1, 1), axis(8, 3, 1, 2, 2, 2), axis(37, 3, 3, 2, 2, 3));
  add(2, 6, one, axis(6, 2, 2), axis(43, 2, 2, 5, 1, 0));
  add(2, 1, one, axis(4, 1, 1), axis(90, 5, 16, 1, 2, 1));
  add(2, 1, one, axis(4, 2, 1), axis(90, 20, 17, 1, 0, 3));
  add(1, 1, one, axis(130, 3, 2, 1, 1, 1), axis(300, 3, 2, 1, 1, 1));
  adapt(2, 1, one, adaptive_axis(8, 2), adaptive_axis(56, 7));
  adapt(2, 3, one, one, adaptive_axis(7, 3));
  adapt(2, 17, one, one, adaptive_axis(3, 8));                    // more windows than elements
  adapt(2, 16, one, adaptive_axis(12, 4), adaptive_axis(10, 5));  // windows tile the input
  adapt(3, 5, one, adaptive_axis(9, 4), adaptive_axis(5, 7));
  adapt(1, 33, one, adaptive_axis(13, 1), adaptive_axis(1, 6));
  adapt(2, 12, adaptive_axis(5, 3), adaptive_axis(4, 4), adaptive_axis(3, 5));
  adapt(1, 1, adaptive_axis(2, 3), adaptive_axis(7, 5), adaptive_axis(6, 1));
  adapt(0, 4, one, adaptive_axis(5, 2), adaptive_axis(4, 3));
  adapt(2, 0, one, adaptive_axis(5, 2), adaptive_axis(4, 3));
  return list;
}

void add_pools(Suite& suite) {
  for (const PoolGeometry& g : pool_geometries())
    for (const DType dtype : kFloating)
      for (const Values values : {Values::plain, Values::hard})
        add_pool(suite, g, dtype, values,
                 (g.n == 20 || g.axis[2].in == 300) && (dtype != DType::f32 || values == Values::hard));
  for (std::uint64_t round = 0; round < 100; ++round) {
    const DType dtype = kFloating[round % 7 % 4];
    add_pool(suite, random_pool(suite.seed(), round), dtype, Values::plain, round >= 20);
    add_pool(suite, random_adaptive(suite.seed(), round), dtype, Values::plain, round >= 20);
  }
}

}  // namespace isobit::verify
