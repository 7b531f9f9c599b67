// Problems of data movement: fill, cast (all pairs of types), strided copies, padding and cropping, rows,
// arange, one_hot.
#include <cmath>

#include "core/numerics/bits.h"
#include "core/verify/families.h"

namespace isobit::verify {
namespace {

using Extents = std::vector<std::int64_t>;

void add_fills(Suite& suite) {
  const Scalar values[] = {Scalar(0.1), Scalar(-1e300), Scalar(NAN), Scalar((std::int64_t{1} << 53) + 1)};
  for (const DType dtype : kAllTypes) {
    for (const std::int64_t n : {0, 1, 33, 1025, 300001}) {
      for (int v = 0; v < 4; ++v)
        if (Case* c = suite.open("fill", dtype, fmt::format("[{}] value {}", n, v), n > 2000 && v > 0))
          c->out(dtype, n).run([&](Backend& b, const Operands& o) { b.fill(o.out[0], values[v]); });
      if (dtype == DType::boolean) continue;
      if (Case* c = suite.open("arange", dtype, fmt::format("[{}]", n)))
        c->out(dtype, n).run([](Backend& b, const Operands& o) { b.arange(-3.7, 0.1, o.out[0]); });
    }
  }
}

/// All 2^16 halves; or, in f32, the middle between each and the next one away from zero (behind the largest,
/// where infinity begins), or a neighbour of that.
HostArray all_halves(DType half) {
  HostArray all(half, 65536);
  for (std::int64_t i = 0; i < 65536; ++i) all.as<std::uint16_t>()[i] = static_cast<std::uint16_t>(i);
  return all;
}
HostArray between_halves(DType half) {
  const HostArray all = all_halves(half);
  HostArray wide(DType::f32, 65536);
  for (std::int64_t i = 0; i < 65536; ++i) {
    const double v = element_value(all.view(), i);
    wide.as<float>()[i] = static_cast<float>(v);
    if (!std::isfinite(v)) continue;
    double next = element_value(all.view(), i + 1);
    if (!std::isfinite(next)) next = 2 * v - element_value(all.view(), i - 1);
    const auto middle = numerics::bit_cast<std::uint32_t>(static_cast<float>(v + (next - v) / 2));
    wide.as<float>()[i] = numerics::bit_cast<float>(middle + static_cast<std::uint32_t>(i % 3) - 1);
  }
  return wide;
}

void add_casts(Suite& suite) {
  const Call cast = [](Backend& b, const Operands& o) { b.cast(o.in[0], o.out[0]); };
  for (const DType from : kAllTypes)
    for (const DType to : kAllTypes)
      for (const std::int64_t n : {0, 1, 1077})
        if (Case* c = suite.open("cast", from, fmt::format("to {} [{}]", to, n)))
          c->in(from, n, Values::hard).out(to, n).run(cast);
  for (const DType half : {DType::f16, DType::bf16}) {
    if (Case* c = suite.open("cast", half, "to f32, all of them"))
      c->in(all_halves(half)).out(DType::f32, 65536).run(cast);
    if (Case* c = suite.open("cast", DType::f32, fmt::format("to {}, ties", half)))
      c->in(between_halves(half)).out(half, 65536).run(cast);
  }
  if (Case* c = suite.open("cast", DType::u8, "to f32 [500001]"))
    c->in(DType::u8, 500001).out(DType::f32, 500001).run(cast);
}

void add_strided_copies(Suite& suite) {
  struct Problem {
    Extents extents, strides;
    std::int64_t offset, size;
  };
  const Problem problems[] = {
      {{40, 33}, {1, 40}, 0, 40 * 33},               // transpose
      {{33, 31}, {1, 33}, 0, 33 * 31},               // one off a tile of 32, both ways
      {{64, 96}, {1, 64}, 0, 64 * 96},               // whole tiles
      {{3, 65, 70}, {4550, 1, 65}, 0, 3 * 65 * 70},  // channels last and back
      {{64, 3, 70}, {210, 1, 3}, 0, 64 * 210},
      {{5, 6, 7}, {1, 5, 30}, 0, 210},                 // all axes turned round
      {{2, 3, 4, 5, 6}, {60, 20, 5, 1, 120}, 0, 720},  // five axes
      {{200, 250}, {1, 200}, 0, 200 * 250},            // more tiles than simt has blocks
      {{300, 500}, {1, 300}, 0, 300 * 500},
      {{4, 9}, {9, -1}, 8, 36},  // flip
      {{4, 9}, {0, 1}, 2, 11},   // expand
      {{9, 4}, {1, 0}, 0, 9},
      {{10, 20}, {50, 2}, 7, 600},  // slice
      {{1000003}, {1}, 1, 1000004},
      {{0, 3}, {3, 1}, 0, 1},
      {{1}, {1}, 3, 4},
  };
  for (const Problem& p : problems) {
    StridedGeometry g;
    g.rank = static_cast<int>(p.extents.size());
    for (int i = 0; i < g.rank; ++i) {
      g.extent[i] = p.extents[static_cast<std::size_t>(i)];
      g.stride[0][i] = p.strides[static_cast<std::size_t>(i)];
    }
    g.offset[0] = p.offset;
    for (const DType dtype : {DType::u8, DType::boolean, DType::bf16, DType::f32, DType::i64}) {
      const bool large = p.size > 100000;
      if (large && dtype != DType::f32) continue;
      const std::string text = fmt::format("[{}] strides [{}] from {}", fmt::join(p.extents, ","),
                                           fmt::join(p.strides, ","), p.offset);
      if (Case* c = suite.open("strided_copy", dtype, text, large))
        c->in(dtype, p.size, Values::hard).out(dtype, g.numel()).run([&](Backend& b, const Operands& o) {
          b.strided_copy(g, o.in[0], o.out[0]);
        });
    }
  }
}

struct PadAxis {
  std::int64_t in, before, after;
  PadMode mode = PadMode::constant;
};

void add_padding(Suite& suite, const std::vector<PadAxis>& axes, bool full_only = false) {
  PadGeometry g;
  g.rank = static_cast<int>(axes.size());
  std::int64_t in = 1, out = 1;
  std::string text;
  for (int i = 0; i < g.rank; ++i) {
    const PadAxis& a = axes[static_cast<std::size_t>(i)];
    g.in[i] = a.in, g.before[i] = a.before, g.out[i] = a.before + a.in + a.after;
    g.mode[i] = a.mode;
    in *= g.in[i], out *= g.out[i];
    text += fmt::format("{}{}{:+}{:+}", i > 0 ? "," : "", a.in, a.before, a.after);
    if (a.mode != PadMode::constant) text += std::string("@") + name_of(a.mode);
  }
  g.value = 0.7;
  for (const DType dtype : kAllTypes) {
    const bool large = full_only || (in > 100000 && dtype != DType::f32);
    if (Case* c = suite.open("pad", dtype, text, large))
      c->in(dtype, in).out(dtype, out).run([&](Backend& b, const Operands& o) {
        b.pad(g, o.in[0], o.out[0]);
      });
    if (g.folds() && !is_floating(dtype)) continue;
    if (Case* c = suite.open("pad_backward", dtype, text, large))
      c->in(dtype, out, g.folds() && dtype == DType::f64 ? Values::hard : Values::plain)
          .out(dtype, in)
          .run([&](Backend& b, const Operands& o) { b.pad_backward(g, o.in[0], o.out[0]); });
  }
}

void add_paddings(Suite& suite) {
  constexpr PadMode kReflect = PadMode::reflect, kSymmetric = PadMode::symmetric,
                    kReplicate = PadMode::replicate, kCircular = PadMode::circular;
  const std::vector<PadAxis> constant[] = {
      {{7, 2, 3}},
      {{7, -2, 3}},
      {{7, -2, -5}},
      {{3, 0, 0}, {5, 1, 2}, {6, 2, 0}, {4, 0, 0}},
      {{3, 1, 0}, {5, -1, 2}, {6, 2, -3}, {4, 0, 1}},
      {{0, 2, 1}, {3, 1, 1}},
      {{60, 0, 0}, {30, 2, 2}, {30, 2, 2}, {3, 0, 0}},
      {{5, 0, 0}, {4, 0, 0}},
      {{5, 7, -8}},  // what remains lies outside the input
      {{2, 0, 0}, {3, 0, 1}, {5, 1, 1}, {4, 1, 0}, {7, 0, 0}},
  };
  for (const auto& axes : constant) add_padding(suite, axes);
  for (const PadMode m : {kReflect, kSymmetric, kReplicate, kCircular}) {
    const std::vector<PadAxis> folding[] = {
        {{7, 2, 3, m}},
        {{5, 23, 17, m}},  // bounces several times
        {{4, 4, 3, m}},    // as wide as the axis
        {{3, 5, 6, m}},    // two periods of reflect, to the end
        {{1, 3, 2, m}},    // a single element
        {{2, 7, 8, m}},
        {{9, -2, 4, m}},  // crops on one side
        {{9, 5, -3, m}},
        {{6, 9, -7, m}},   // what remains lies mostly outside
        {{4, 9, -10, m}},  // all of it
        {{8, -3, -2, m}},  // crops and nothing else
        {{0, 0, 0, m}, {3, 1, 1}},
        {{3, 1, 2, m}, {0, 0, 0}},
        {{6, 1, 2, m}, {5, 0, 0}},             // a block of each element
        {{3, 0, 0}, {5, 2, 1, m}, {8, 0, 0}},  // blocks that are whole packs
        {{5, 3, 2, m}, {4, 2, 6, m}},
        {{4, 1, 1, m}, {16, 0, 0}, {3, 2, 2, m}},
        {{2, 0, 0}, {7, 3, 3, m}, {6, 1, 4, m}, {16, 0, 0}},
        {{2, 0, 0}, {3, 4, 1, m}, {4, -1, 2, m}, {2, 3, 3, m}, {33, 0, 0}},
        {{2, 1, 0, m}, {3, 0, 2, m}, {2, 2, 2, m}, {4, 1, 1, m}, {3, 5, 1, m}},
        {{2, 0, 0}, {3, 1, 1}, {5, 2, 2, m}, {8, 4, 0}},  // beside constants
    };
    for (const auto& axes : folding) add_padding(suite, axes);
    // Long rows, one axis and two, blocks longer than a vector.
    add_padding(suite, {{1033, 300, 257, m}});
    add_padding(suite, {{33, 5, 5, m}, {40, 7, 7, m}, {67, 0, 0}}, true);
    add_padding(suite, {{30, 0, 0}, {57, 1, 1, m}, {56, 1, 1, m}, {16, 0, 0}}, m != kReflect);
  }
  const std::vector<PadAxis> mixtures[] = {
      {{5, 2, 3, kReplicate}, {6, 4, 2, kCircular}},
      {{2, 0, 0}, {4, 3, 5, kReflect}, {5, 2, 1}, {3, 0, 0}},
      {{2, 1, 1}, {4, 3, 5, kReflect}, {5, -2, 1, kSymmetric}, {8, 0, 0}},
      {{3, 4, 2, kSymmetric}, {1, 2, 2, kReflect}, {4, 5, 9, kReplicate}, {7, 0, 0}},
      {{2, 2, 1, kCircular}, {3, 2, 2, kReflect}, {2, 1, 3}, {4, 1, 1, kSymmetric}, {3, 2, 2, kReplicate}},
      {{3, 0, 1, kReflect}, {4, -1, -1, kCircular}, {5, -1, 3}},
  };
  for (const auto& axes : mixtures) add_padding(suite, axes);
}

void add_row_moves(Suite& suite) {
  constexpr std::int64_t rows = 37;
  for (const std::int64_t size : {0, 1, 5, 64, 700})
    for (const std::int64_t count : {0, 1, 50, 256, 400, 1023, 5000}) {
      if (count > 400 && size != 5) continue;  // more positions than a block sorts
      std::vector<std::int64_t> at;
      for (std::int64_t i = 0; i < count; ++i) at.push_back(i * i * 7 % rows / (i % 3 + 1));
      const HostArray index(at);
      for (const DType dtype : kAllTypes) {
        const std::string text = fmt::format("{} rows of {}", count, size);
        if (Case* c = suite.open("gather_rows", dtype, text))
          c->in(dtype, rows * size)
              .in(index)
              .out(dtype, count * size)
              .run([=](Backend& b, const Operands& o) { b.gather_rows(o.in[0], o.in[1], size, o.out[0]); });
        if (!is_floating(dtype)) continue;
        if (Case* c = suite.open("scatter_add_rows", dtype, text))
          c->in(dtype, count * size, Values::hard)
              .in(index)
              .out(dtype, rows * size)
              .run([=](Backend& b, const Operands& o) {
                b.scatter_add_rows(o.in[0], o.in[1], rows, size, o.out[0]);
              });
      }
    }
  // One element more than whole blocks of threads own.
  for (const std::int64_t into : {1, 257}) {
    std::vector<std::int64_t> at;
    for (std::int64_t i = 0; i < 40; ++i) at.push_back(into - 1 - i % 3 * (into / 3));
    for (const DType dtype : kFloating)
      if (Case* c = suite.open("scatter_add_rows", dtype, fmt::format("40 rows of 1 into {}", into)))
        c->in(dtype, 40, Values::hard)
            .in(HostArray(at))
            .out(dtype, into)
            .run([=](Backend& b, const Operands& o) {
              b.scatter_add_rows(o.in[0], o.in[1], into, 1, o.out[0]);
            });
  }
  for (const std::int64_t count : {0, 1, 9000}) {
    std::vector<std::int64_t> at;
    for (std::int64_t i = 0; i < count; ++i) at.push_back(i * i % 11);
    for (const DType dtype : kAllTypes)
      if (Case* c = suite.open("one_hot", dtype, fmt::format("{} of 11", count)))
        c->in(HostArray(at)).out(dtype, count * 11).run([](Backend& b, const Operands& o) {
          b.one_hot(o.in[0], 11, 0.9, 0.1, o.out[0]);
        });
  }
}

}  // namespace

void add_movement(Suite& suite) {
  add_fills(suite);
  add_casts(suite);
  add_strided_copies(suite);
  add_paddings(suite);
  add_row_moves(suite);
}

}  // namespace isobit::verify
