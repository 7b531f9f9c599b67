// The verdict: exact mode's bits, then the bound of exact arithmetic, then narrower types, then faults.
#include <isobit/autograd.h>
#include <isobit/error.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/compare/kernel.h"
#include "core/ops/conv_transpose.h"
#include "core/ops/internal.h"

namespace isobit::compare {
namespace {

/// The gradient of what `op` makes of the tensor.
Tensor gradient(const Tensor& of, const Tensor& dy, const std::function<Tensor(const Tensor&)>& op) {
  const EnableGrad on;
  Tensor leaf = of.detach();
  leaf.set_requires_grad();
  return grad(op(leaf), {leaf}, dy)[0].detach();
}

Tensor apply(const Problem& p, const Tensor& x, const Tensor& w, const Tensor& b) {
  switch (p.op) {
    case Op::conv:
      return conv(x, w, b, p.conv);
    case Op::conv_transpose:
      return conv_transpose(x, w, b, p.transpose);
    case Op::linear: {
      const Tensor y = linear(x, w, b);
      return p.conv.activation == Activate::relu ? relu(y) : y;
    }
    case Op::avg_pool:
      return avg_pool(x, p.window, p.pool);
    case Op::max_pool:
      return max_pool(x, p.window, p.pool);
  }
  return {};
}

double element(const std::vector<double>& values, std::int64_t i) {
  return i < 0 ? 0 : values[static_cast<std::size_t>(i)];
}

bool finite_where_expected(const Reference& base, const std::vector<double>& got) {
  for (std::size_t i = 0; i < got.size(); ++i)
    if (std::isfinite(base.value[i]) && !std::isfinite(got[i])) return false;
  return true;
}

/// Faults whose own bound the result keeps. Where the right answer's does as well, the fault must be far
/// nearer: sums of equal numbers drift by as much as a term that is left out.
std::vector<Explanation> explain_by_fault(const Kernel& k, const Reference& base, const Fit& honest,
                                          const Arithmetic& arithmetic, const std::vector<double>& got) {
  std::vector<Explanation> found;
  FaultPairs pairs(base, arithmetic, honest);
  for (const Fault& fault : faults_of(k, base)) {
    try {
      const Reference r = fault.make();
      if (r.value.size() != got.size()) continue;
      Fit f = fit(r, arithmetic, got);
      pairs.add(fault.name, r, f);
      if (!f.within() || (honest.within() && !(f.rms < honest.rms / 16))) continue;
      found.push_back({true, fault.name, std::move(f)});
    } catch (const OutOfMemory&) {
      throw;
    } catch (const Error&) {
      continue;  // a fault that this problem cannot have
    }
  }
  if (found.empty() && !honest.within())
    for (std::string& two : pairs.explain()) found.push_back({true, std::move(two), {}});
  return found;
}

void decide(Judgement& j, const Kernel& k, const Reference& base, const Fit& honest, DType operands,
            const Arithmetic& arithmetic, const std::vector<double>& got) {
  Explanation precision = explain_by_precision(k, base, honest, operands, arithmetic, got);
  if (precision.sums && precision.fit.within()) {
    const std::vector<Explanation> nearer = explain_by_fault(k, base, precision.fit, kSumsInF16, got);
    if (!nearer.empty()) {
      j.verdict = Verdict::wrong;
      j.explanation = nearer[0].words;
      for (std::size_t i = 1; i < nearer.size(); ++i) j.others.push_back(nearer[i].words);
      return;
    }
  }
  if (precision.found) {
    j.verdict = finite_where_expected(base, got) ? Verdict::lower_precision : Verdict::overflow;
    j.explanation = precision.words;
    return;
  }
  if (honest.within() && honest.unlikely == 0) {
    j.verdict = Verdict::reordered;
    return;
  }
  if (honest.beyond == 0 && honest.swallowed == 0 && honest.overflowed > 0) {
    j.verdict = Verdict::overflow;
    return;
  }
  std::vector<Explanation> faults = explain_by_fault(k, base, honest, arithmetic, got);
  if (!faults.empty()) {
    j.verdict = Verdict::wrong;
    j.explanation = faults[0].words;
    for (std::size_t i = 1; i < faults.size(); ++i) j.others.push_back(faults[i].words);
  } else if (honest.within()) {
    j.verdict = Verdict::reordered;
    j.note = fmt::format(
        "{} elements are further off than roundings that know nothing of each other make probable: look at "
        "the ratio",
        honest.unlikely);
  } else if (honest.beyond == 0 && honest.swallowed > 0) {
    j.verdict = Verdict::nan_swallowed;
    j.explanation = "NaN swallowed";
  } else {
    j.verdict = Verdict::wrong;
  }
}

}  // namespace

void fill_numbers(Judgement& j, const Fit& honest, double own_rms, const std::vector<double>& got,
                  const std::vector<double>& expected) {
  j.beyond = honest.beyond + honest.swallowed + honest.overflowed;
  j.max_share = honest.max_share;
  j.max_error = honest.max_error;
  std::vector<double> sorted = honest.share;
  if (!sorted.empty()) {
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    j.median_share = *middle;
  }
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  j.ratio = own_rms > 0 ? honest.rms / own_rms : honest.rms > 0 ? kInfinite : 0;
  std::int64_t differs = -1;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const bool same = std::isnan(got[i])
                          ? std::isnan(expected[i])
                          : got[i] == expected[i] && std::signbit(got[i]) == std::signbit(expected[i]);
    if (same) continue;
    ++j.different;
    if (differs < 0) differs = static_cast<std::int64_t>(i);
    if (j.first < 0 && !(honest.share[i] <= 1)) j.first = static_cast<std::int64_t>(i);
  }
  if (j.first < 0) j.first = differs;
  j.got = element(got, j.first);
  j.expected = element(expected, j.first);
}

Tensor run(const Problem& p, Device device, Operands operands) {
  kernel_of(p);  // what is no problem is refused by name
  const NoGrad off;
  const auto at = [&](const Tensor& t, bool multiplied = true) {
    if (!t.defined()) return t;
    const Tensor here = operands == Operands::f32 || !multiplied ? t : round_operands(t, operands);
    return here.detach().to(device);
  };
  const bool gradient_of_w = p.result == Result::dw, pools = p.op == Op::avg_pool || p.op == Op::max_pool;
  if (p.result == Result::db) return ops::bias_gradient(at(p.dy, false));
  const Tensor x = at(p.x, !pools), w = at(p.w), dy = at(p.dy, !pools), b = at(p.b, false);
  if (p.result == Result::y) return apply(p, x, w, b);
  if (gradient_of_w) return gradient(w, dy, [&](const Tensor& of) { return apply(p, x, of, {}); });
  return gradient(x, dy, [&](const Tensor& of) { return apply(p, of, w, {}); });
}

Judgement judge(const Problem& p, const Tensor& got) {
  const NoGrad off;
  const Kernel k = kernel_of(p);
  if (!got.defined() || !is_floating(got.dtype()) || !(got.shape() == k.shown))
    fail("compare", "the result is {}, expected floats {}",
         got.defined() ? fmt::format("{} {}", name_of(got.dtype()), got.shape()) : "undefined", k.shown);
  Judgement j;
  j.numel = got.numel();
  const Tensor exact = run(p);
  if (got.dtype() == exact.dtype() && equal_bits(got, exact)) {
    j.verdict = Verdict::bit_equal;
    return j;
  }
  const std::vector<double> values = values_of(got), expected = values_of(exact);
  const Reference base = reference_of(k);
  const Arithmetic arithmetic = arithmetic_of(p.x.dtype(), got.dtype());
  const Fit honest = fit(base, arithmetic, values);
  const Fit own = fit(base, arithmetic_of(p.x.dtype(), exact.dtype()), expected);
  fill_numbers(j, honest, own.rms, values, expected);
  if (j.different == 0) {  // another dtype, the same numbers
    j.verdict = Verdict::bit_equal;
    j.note = fmt::format("the same numbers as {}", name_of(got.dtype()));
    return j;
  }
  decide(j, k, base, honest, p.x.dtype(), arithmetic, values);
  j.where = where_of(p, k.shown, honest.share);
  if (j.verdict == Verdict::lower_precision) j.where.words.clear();  // it strikes all elements alike
  return j;
}

std::string_view name_of(Verdict v) {
  constexpr std::string_view kNames[] = {"bit-equal", "reordered",     "lower precision",
                                         "overflow",  "NaN swallowed", "wrong"};
  return kNames[static_cast<std::size_t>(v)];
}

std::string_view name_of(Op op) {
  constexpr std::string_view kNames[] = {"conv", "conv_transpose", "linear", "avg_pool", "max_pool"};
  return kNames[static_cast<std::size_t>(op)];
}

std::string_view name_of(Result r) {
  constexpr std::string_view kNames[] = {"y", "dx", "dw", "db"};
  return kNames[static_cast<std::size_t>(r)];
}

std::string Problem::to_string() const {
  std::string text = fmt::format("{} {}, x {}", name_of(op), name_of(result), x.shape());
  if (w.defined()) text += fmt::format(", w {}", w.shape());
  if (op == Op::conv || op == Op::conv_transpose) text += ": " + geometry_of(*this).to_string();
  return text;
}

std::string Judgement::to_string() const {
  std::string text(name_of(verdict));
  if (!explanation.empty()) text += ", explained by: " + explanation;
  if (verdict != Verdict::bit_equal)
    text += fmt::format(
        "\n{} of {} elements differ, {} beyond the bound of exact arithmetic\nshare of the bound: max "
        "{:.3g}, median "
        "{:.3g}; rms error {:.3g} times that of exact mode, largest {:.3g}",
        different, numel, beyond, max_share, median_share, ratio, max_error);
  if (first >= 0) text += fmt::format("\nfirst at element {}: {} instead of {}", first, got, expected);
  if (!where.words.empty()) text += "\n" + where.words;
  if (!others.empty()) text += fmt::format("\nwould be explained as well by: {}", fmt::join(others, "; "));
  if (!note.empty()) text += "\n" + note;
  return text + "\n";
}

}  // namespace isobit::compare
