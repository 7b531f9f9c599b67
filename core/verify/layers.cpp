// Problems of norms.
#include <isobit/ops.h>

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
  add(3, 10, 5, 2, false);  // groups whose terms are halved
  add(3, 21, 3, 4, false);
  add(2, 300, 8, 8, false);
  add(13, 49, 2, 16, false);
  add(4, 40, 4, 32, false);
  add(1, 530, 33, 64, false);
  add(3, 10, 17, 1, false);  // instance norm
  add(2, 300, 33, 1, false);
  add(1, 700, 64, 1, false);
  add(4, 513, 3, 1, false);
  add(5, 1, 7, 1, false);
  add(0, 5, 6, 1, false);
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

}  // namespace

void add_norms(Suite& suite) {
  for (const NormGeometry& g : norm_geometries())
    for (const DType dtype : kFloating) add_norm(suite, g, dtype);
  add_local_response(suite);
}

}  // namespace isobit::verify
