// The signature of narrower types: operands rounded before they are multiplied, sums kept in f16, results
// stored in a narrow type. The result is held against each of these computations, by the bound of that
// computation.
#include <isobit/autograd.h>
#include <isobit/error.h>

#include <array>
#include <cmath>

#include "core/compare/kernel.h"
#include "core/numerics/bits.h"
#include "core/numerics/half.h"

namespace isobit::compare {
namespace {

enum class Ties : std::uint8_t { even, away, cut };

/// v without the low `dropped` bits of its fraction.
float shortened(float v, int dropped, Ties ties) {
  if (!std::isfinite(v)) return v;
  auto bits = numerics::bit_cast<std::uint32_t>(v);
  const std::uint32_t unit = 1u << dropped, half = unit >> 1;
  if (ties == Ties::away) bits += half;
  if (ties == Ties::even) bits += half - 1 + (bits >> dropped & 1u);
  return numerics::bit_cast<float>(bits & ~(unit - 1));
}

double rounded(double v, Operands to, Ties ties = Ties::even) {
  switch (to) {
    case Operands::f32:
      return static_cast<double>(static_cast<float>(v));
    case Operands::tf32:
      return static_cast<double>(shortened(static_cast<float>(v), 13, ties));
    case Operands::bf16:
      if (ties == Ties::even) return numerics::bf16_to_f64(numerics::f64_to_bf16(v));
      return static_cast<double>(shortened(static_cast<float>(v), 16, ties));
    case Operands::f16:
      return numerics::f16_to_f64(numerics::f64_to_f16(v));
  }
  return v;
}

Tensor rounded(const Tensor& t, Operands to, Ties ties) {
  if (!t.defined()) return t;
  std::vector<double> values = values_of(t);
  for (double& v : values) v = rounded(v, to, ties);
  return from_vector(values, t.shape());
}

/// Whether every finite value is a number of the type, the bias that was added afterwards taken off.
bool representable(const std::vector<double>& got, const Kernel& k, Operands type) {
  const std::vector<double> bias = k.bias.defined() ? values_of(k.bias) : std::vector<double>();
  bool any = false;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double v = got[i], b = bias.empty() ? 0 : bias[i % bias.size()];
    if (v == 0) continue;
    any = true;
    if (!std::isfinite(v)) continue;
    if (rounded(v, type) == v) continue;
    const float again = static_cast<float>(rounded(v - b, type)) + static_cast<float>(b);
    if (b == 0 || static_cast<double>(again) != v) return false;
  }
  return any;
}

struct Way {
  Operands type;
  Ties ties;
  const char* words;
};
constexpr std::array<Way, 6> kWays{{
    {Operands::tf32, Ties::even, "operands rounded to tf32"},
    {Operands::tf32, Ties::away, "operands rounded to tf32, ties away from zero"},
    {Operands::tf32, Ties::cut, "operands cut to tf32"},
    {Operands::f16, Ties::even, "operands rounded to f16"},
    {Operands::bf16, Ties::even, "operands rounded to bf16"},
    {Operands::bf16, Ties::cut, "operands cut to bf16"},
}};

class Search {
 public:
  Search(const Kernel& k, const Reference& base, const Fit& honest, const Arithmetic& arithmetic,
         const std::vector<double>& got)
      : kernel_(k), base_(base), honest_(honest), arithmetic_(arithmetic), got_(got) {}

  void operands(DType dtype) {
    if (dtype == DType::f64) attempt(Operands::f32, Ties::even, "operands rounded to f32");
    for (const Way& way : kWays) attempt(way.type, way.ties, way.words);
  }
  void results(DType dtype) {
    struct Stored {
      Operands type;
      Arithmetic arithmetic;
      const char* words;
    };
    const std::array<Stored, 4> types{{
        {Operands::f32, arithmetic_of(DType::f32, DType::f32), "computed in f32"},
        {Operands::tf32, {0x1p-24, 0x1p-149, 0x1p-11, 0x1p-137, arithmetic_.limit}, "result rounded to tf32"},
        {Operands::f16, arithmetic_of(DType::f32, DType::f16), "result rounded to f16"},
        {Operands::bf16, arithmetic_of(DType::f32, DType::bf16), "result rounded to bf16"},
    }};
    if (honest_.within()) return;
    for (const Stored& t : types) {
      if (t.type == Operands::f32 && dtype != DType::f64) continue;
      if (found_.found || !representable(got_, kernel_, t.type)) continue;
      Fit f = fit(base_, t.arithmetic, got_);
      if (accepts(f)) take(t.words, std::move(f));
    }
  }
  /// Sums in f16, of the operands as they are or rounded to f16 too: what comes out are numbers of f16, the
  /// bound has the round-off of f16, and the errors are probable.
  void sums() {
    if (found_.found || honest_.within() || !representable(got_, kernel_, Operands::f16)) return;
    attempt_sums(base_, "sums kept in f16");
    if (!found_.found)
      attempt_sums(reference_of(with(Operands::f16, Ties::even)),
                   "operands rounded to f16, sums kept in f16");
  }
  Explanation result() { return std::move(found_); }

 private:
  static bool accepts(const Fit& f) { return f.beyond == 0 && f.swallowed == 0; }
  void attempt_sums(const Reference& r, const char* words) {
    Fit f = fit(r, kSumsInF16, got_);
    if (!accepts(f) || !probable(r)) return;
    take(words, std::move(f));
    found_.sums = true;
  }
  /// From a few hundred terms on the bound of f16 lets almost everything pass, from 2047 on everything.
  /// Partial sums drift to the value v and scatter as far as the magnitude S, so that roundings that know
  /// nothing of each other make an error of about u sqrt(S^2 + n v^2) or less: all elements together may have
  /// twice that, none eight times.
  bool probable(const Reference& r) const {
    double errors = 0, expected = 0;
    for (std::size_t i = 0; i < got_.size(); ++i) {
      const double v = r.value[i], s = r.magnitude[i], n = r.terms[i] + r.extra, error = got_[i] - v;
      if (!std::isfinite(error)) continue;
      const double scatter = kSumsInF16.unit * std::sqrt(s * s + n * v * v) + n * kSumsInF16.tiny;
      if (std::abs(error) > 8 * scatter) return false;
      errors += error * error;
      expected += scatter * scatter;
    }
    return errors <= 4 * expected;
  }
  Kernel with(Operands type, Ties ties) const {
    Kernel k = kernel_;
    k.a = rounded(k.a, type, ties);
    k.b = rounded(k.b, type, ties);
    return k;
  }
  void take(const char* words, Fit f) {
    found_.found = true;
    found_.words = words;
    found_.fit = std::move(f);
  }
  void attempt(Operands type, Ties ties, const char* words) {
    const Kernel k = with(type, ties);
    if (equal_bits(k.a, kernel_.a) && (!k.b.defined() || equal_bits(k.b, kernel_.b))) return;
    Reference r = base_;
    r.value = values_of(evaluate(k));
    // A second type must be clearly nearer: f16 and tf32 differ for small numbers alone.
    const double best = found_.found ? found_.fit.rms / 2 : honest_.rms / 4;
    Fit f = fit(r, arithmetic_, got_);
    if (!(f.rms < best) && (honest_.within() || found_.found)) return;
    r = reference_of(k);
    f = fit(r, arithmetic_, got_);
    if (accepts(f) && (f.rms < best || !found_.found)) take(words, std::move(f));
  }

  const Kernel& kernel_;
  const Reference& base_;
  const Fit& honest_;
  const Arithmetic& arithmetic_;
  const std::vector<double>& got_;
  Explanation found_;
};

}  // namespace

std::string_view name_of(Operands o) {
  constexpr std::string_view kNames[] = {"f32", "tf32", "bf16", "f16"};
  return kNames[static_cast<std::size_t>(o)];
}

Operands parse_operands(std::string_view name) {
  for (const Operands o : {Operands::f32, Operands::tf32, Operands::bf16, Operands::f16})
    if (name_of(o) == name) return o;
  fail("compare", "operands are '{}', expected f32, tf32, bf16 or f16", name);
}

Tensor round_operands(const Tensor& t, Operands to) {
  if (!is_floating(t.dtype())) fail("compare", "operands are {}, expected a floating dtype", t.dtype());
  return rounded(t, to, Ties::even).to(t.dtype()).to(t.device());
}

Explanation explain_by_precision(const Kernel& k, const Reference& base, const Fit& honest, DType operands,
                                 const Arithmetic& arithmetic, const std::vector<double>& got) {
  const NoGrad off;
  Search search(k, base, honest, arithmetic, got);
  if (k.form != Form::sum && !(k.form == Form::pool && k.gradient)) search.operands(operands);
  search.results(operands);
  search.sums();
  return search.result();
}

}  // namespace isobit::compare
