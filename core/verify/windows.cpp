// Problems of interpolation along an axis, of unfold and of fold.
#include "core/verify/families.h"

namespace isobit::verify {
namespace {

struct Resampling {
  std::int64_t outer, in, out, inner, entries;
};

/// Rows of 0 to `entries` entries whose columns rise, fall, or name one element twice.
struct Table {
  std::vector<std::int64_t> start{0}, column;

  explicit Table(const Resampling& r) {
    for (std::int64_t j = 0; j < r.out; ++j) {
      const std::int64_t count = r.in == 0 ? 0 : (j * 7 + r.entries) % (r.entries + 1);
      for (std::int64_t k = 0; k < count; ++k) {
        const std::int64_t step = j % 4 == 0 ? 0 : j % 4 == 1 ? count - k : k;
        column.push_back((j * r.in / r.out + step) % r.in);
      }
      start.push_back(static_cast<std::int64_t>(column.size()));
    }
  }
};

/// Inner extents around a register and half of one; lines of several plans; rows of very many entries; few
/// lines, one longer than what is widened of it.
constexpr Resampling kResamplings[] = {
    {3, 5, 9, 1, 3},       {3, 9, 5, 3, 3},       {2, 7, 13, 17, 3},     {2, 8, 4, 64, 2},
    {1, 1, 1, 1, 1},       {0, 4, 6, 5, 2},       {2, 0, 3, 4, 0},       {2, 5, 0, 3, 1},
    {5, 6, 7, 0, 2},       {2, 3, 5, 2, 0},       {70, 33, 40, 1, 2},    {40, 12, 25, 3, 2},
    {5, 20, 3000, 1, 2},   {4, 40, 2100, 3, 3},   {4, 3000, 10, 2, 300}, {2, 30, 90, 1, 2},
    {4, 300, 7, 1, 100},   {3, 6, 7, 8, 1},       {2, 4, 5, 7, 2},       {3, 5, 6, 4, 3},
    {9, 10, 11, 15, 4},    {2, 4, 5, 33, 3},      {2, 3, 4, 257, 5},     {3, 12, 24, 16, 2},
    {300, 28, 56, 1, 2},   {300, 30, 17, 3, 3},   {8, 14, 28, 32, 2},    {64, 56, 112, 32, 2},
    {3000, 112, 56, 3, 3}, {1, 3000, 5000, 1, 2}, {2, 700, 900, 3, 2},   {1, 20, 33, 7, 3},
    {4, 90, 200, 2, 2},    {6, 50, 90, 8, 2},     {1, 70000, 40, 1, 2}};

void add_resamples(Suite& suite) {
  for (const Resampling& r : kResamplings) {
    ResampleGeometry g;
    g.outer = r.outer, g.in = r.in, g.out = r.out, g.inner = r.inner;
    const std::int64_t x = r.outer * r.in * r.inner, y = r.outer * r.out * r.inner;
    const Table table(r);
    for (const DType dtype : kFloating)
      for (const Values values : {Values::plain, Values::hard}) {
        const std::string text = fmt::format("[{},{},{}] to {}, up to {} entries, {}", r.outer, r.in, r.inner,
                                             r.out, r.entries, name_of(values));
        if (Case* c = suite.open("resample", dtype, text, x + y > 300000))
          c->in(dtype, x, values)
              .in(HostArray(table.start))
              .in(HostArray(table.column))
              .in(compute_type(dtype), static_cast<std::int64_t>(table.column.size()), values)
              .out(dtype, y)
              .run([&](Backend& b, const Operands& o) {
                b.resample(g, o.in[0], o.in[1], o.in[2], o.in[3], o.out[0]);
              });
      }
  }
}

/// A window over a picture, as no shape file has it: channels that are not a unit of any number of bytes,
/// crops, padding that goes on beyond the first mirror, strides over whole windows.
struct Picture {
  std::int64_t n, c;
  AxisGeometry axis[3];
};
AxisGeometry axis(std::int64_t in, std::int64_t filter, std::int64_t stride, std::int64_t dilation,
                  std::int64_t before, std::int64_t after) {
  AxisGeometry a;
  a.in = in, a.filter = filter, a.stride = stride, a.dilation = dilation, a.pad_before = before,
  a.pad_after = after;
  a.out = (in + before + after - dilation * (filter - 1) - 1) / stride + 1;
  return a;
}

std::vector<ConvGeometry> pictures() {
  const AxisGeometry one = axis(1, 1, 1, 1, 0, 0);
  const Picture list[] = {{2, 1, {one, axis(5, 3, 1, 1, 1, 1), axis(6, 3, 1, 1, 1, 1)}},
                          {2, 3, {one, axis(5, 3, 2, 1, 1, 2), axis(7, 3, 2, 1, 2, 0)}},
                          {1, 4, {one, axis(3, 2, 1, 1, 7, 8), axis(2, 3, 1, 1, 9, 5)}},
                          {1, 8, {one, axis(6, 3, 1, 2, 2, 2), axis(7, 3, 1, 2, 2, 3)}},
                          {2, 7, {one, axis(9, 2, 3, 1, 0, 0), axis(9, 2, 4, 3, 1, 1)}},
                          {3, 16, {one, axis(7, 3, 1, 1, -1, 1), axis(8, 3, 1, 1, 1, -2)}},
                          {2, 17, {one, one, axis(20, 5, 2, 2, 3, 3)}},
                          {2, 33, {axis(3, 2, 1, 1, 1, 1), axis(4, 3, 1, 1, 1, 1), axis(3, 2, 2, 1, 1, 0)}},
                          {2, 2, {axis(3, 3, 1, 1, 2, 2), axis(4, 1, 2, 1, 0, 1), axis(5, 3, 1, 2, 3, 4)}},
                          {1, 5, {one, axis(1, 3, 1, 1, 2, 2), axis(1, 1, 1, 1, 3, 0)}},
                          {2, 1, {one, axis(9, 5, 1, 1, 2, 2), axis(21, 5, 1, 1, 2, 2)}},
                          {1, 4, {one, axis(6, 3, 2, 1, 1, 1), axis(30, 3, 2, 1, 1, 1)}},
                          {3, 1, {one, one, axis(40, 1, 1, 1, 0, 0)}},
                          {2, 1, {one, axis(3, 2, 1, 1, 0, 0), axis(41, 2, 3, 1, 0, 1)}},
                          {0, 3, {one, axis(4, 2, 1, 1, 0, 0), axis(4, 2, 1, 1, 0, 0)}},
                          {2, 0, {one, axis(4, 2, 1, 1, 0, 0), axis(4, 2, 1, 1, 0, 0)}},
                          {4, 64, {one, axis(28, 3, 1, 1, 1, 1), axis(28, 3, 1, 1, 1, 1)}},
                          {4, 3, {one, axis(56, 7, 2, 1, 3, 3), axis(56, 7, 2, 1, 3, 3)}}};
  std::vector<ConvGeometry> result;
  for (const Picture& p : list) {
    ConvGeometry g;
    g.n = p.n, g.c = p.c, g.k = 1;
    g.axis = {p.axis[0], p.axis[1], p.axis[2]};
    result.push_back(g);
  }
  return result;
}

void add_unfold(Suite& suite, const ConvGeometry& g, DType dtype, Values values, const std::string& place,
                bool full_only) {
  const std::int64_t columns = g.n * g.positions() * g.taps() * g.c;
  const std::string text = fmt::format("{}{} {}", place, g.to_string(), name_of(values));
  if (Case* c = suite.open("unfold", dtype, text, full_only))
    c->in(dtype, g.x_size(), values).out(dtype, columns).run([&](Backend& b, const Operands& o) {
      b.unfold(g, o.in[0], o.out[0]);
    });
  if (g.folds() || !is_floating(dtype)) return;
  if (Case* c = suite.open("fold", dtype, text, full_only))
    c->in(dtype, columns, values).out(dtype, g.x_size()).run([&](Backend& b, const Operands& o) {
      b.fold(g, o.in[0], o.out[0]);
    });
}

void add_pictures(Suite& suite) {
  for (ConvGeometry g : pictures())
    for (int mode = 0; mode < kPadModes; ++mode) {
      // The axes' modes differ where they can: each has another of the five.
      for (int i = 0; i < 3; ++i) g.axis[static_cast<std::size_t>(i)].mode = static_cast<PadMode>(mode);
      if (mode > 0) g.axis[1].mode = static_cast<PadMode>(mode % (kPadModes - 1) + 1);
      g.pad_value = mode == 0 ? 0 : 0.7;
      const bool large = g.x_size() > 20000;
      for (const DType dtype : kAllTypes)
        for (const Values values : {Values::plain, Values::hard})
          if (!large || values == Values::plain)
            add_unfold(suite, g, dtype, values, "", large && (dtype != DType::f32 || mode > 0));
    }
}

/// Every third shape, each in another type; the largest are left out.
void add_shapes(Suite& suite, std::span<const ConvShape> shapes) {
  for (std::size_t i = 0; i < shapes.size(); i += 3) {
    const ConvShape& shape = shapes[i];
    ConvGeometry g = shape.geometry;
    const double columns = static_cast<double>(g.n) * static_cast<double>(g.positions()) *
                           static_cast<double>(g.taps()) * static_cast<double>(g.c);
    if (columns > 4e6) continue;
    const std::string place = fmt::format("{} {} ", shape.place, shape.name);
    const DType dtype = kFloating[i / 3 % 4];
    add_unfold(suite, g, dtype, Values::plain, place, columns > 2e5 || i % 2 != 0);
    if (!g.folds()) continue;
    for (AxisGeometry& a : g.axis) a.mode = PadMode::constant;
    add_unfold(suite, g, dtype, Values::plain, place, columns > 2e5 || i % 2 != 0);
  }
}

}  // namespace

void add_windows(Suite& suite, std::span<const ConvShape> shapes) {
  add_resamples(suite);
  add_pictures(suite);
  add_shapes(suite, shapes);
}

}  // namespace isobit::verify
