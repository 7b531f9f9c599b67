#include "benchmarks/matmul.h"

#include <isobit/algorithms.h>
#include <isobit/autograd.h>
#include <isobit/error.h>
#include <isobit/ops.h>
#include <isobit/verify_fast.h>

#include <algorithm>
#include <charconv>

#include "benchmarks/whole.h"

namespace isobit::bench {
namespace {

// Operations that the plain loops do in half a second or less.
constexpr double kBudget = 1.5e8;

MatmulCase parse_one(const std::string& text) {
  const std::size_t colon = std::min(text.find(':'), text.size());
  const std::string layout = colon < text.size() ? text.substr(colon + 1) : "nn";
  std::vector<std::int64_t> sizes;
  const char *at = text.data(), *end = text.data() + colon;
  while (at != end) {
    std::int64_t size = 0;
    const auto [stop, error] = std::from_chars(at, end, size);
    if (error != std::errc() || size < 1 || size > (1 << 20) ||
        (stop != end && (*stop != 'x' || stop + 1 == end))) {
      sizes.clear();
      break;
    }
    sizes.push_back(size);
    at = stop == end ? end : stop + 1;
  }
  const bool known = layout.size() == 2 && layout.find_first_not_of("nt") == std::string::npos;
  if ((sizes.size() != 1 && sizes.size() != 3) || !known)
    fail("bench", "'{}' is no matrix product, expected 512 or 64x1000x4096, with :nt, :tn or :tt behind",
         text);
  sizes.resize(3, sizes[0]);
  return {sizes[0], sizes[1], sizes[2], layout[0] == 't', layout[1] == 't'};
}

std::string name_of(const MatmulCase& c) {
  std::string name =
      c.m == c.n && c.n == c.k ? fmt::format("{}", c.m) : fmt::format("{}x{}x{}", c.m, c.n, c.k);
  if (c.transpose_a || c.transpose_b)
    name += fmt::format(":{}{}", c.transpose_a ? 't' : 'n', c.transpose_b ? 't' : 'n');
  return name;
}

// The last rows of c, as many as the definition computes in time.
Verdict check(const MatmulCase& c, const Tensor& a, const Tensor& b, const Tensor& result) {
  const NoGrad off;
  const double row = 2.0 * static_cast<double>(c.n) * static_cast<double>(c.k);
  const auto rows = std::clamp<std::int64_t>(static_cast<std::int64_t>(kBudget / row), 1, c.m);
  const auto last = [&](const Tensor& t) { return t.slice(t.shape(0) - rows, t.shape(0)); };
  const Tensor a_here = a.to(Device::cpu()), b_here = b.to(Device::cpu());
  // Stored transposed, the rows of a are columns.
  const Tensor part = c.transpose_a ? transpose(last(transpose(a_here))) : last(a_here);
  const ForcedAlgorithm definition(Device::cpu(), "matmul", "reference");
  const Tensor got = last(result.to(Device::cpu()));
  if (const Math math = current_math(); math != Math::exact) {
    const double share =
        verify::share_of_bound(got, verify::fast_sums([&](const auto& map) {
                                 return matmul(map(part), map(b_here), c.transpose_a, c.transpose_b);
                               }),
                               math, result.device());
    return {share <= 1, got.numel(), share};
  }
  const Tensor expected = matmul(part, b_here, c.transpose_a, c.transpose_b);
  return {equal_bits(got, expected), expected.numel()};
}

Problem problem_of(const MatmulCase& c, DType dtype, Device device) {
  const Shape a_shape = c.transpose_a ? Shape{c.k, c.m} : Shape{c.m, c.k},
              b_shape = c.transpose_b ? Shape{c.n, c.k} : Shape{c.k, c.n};
  const auto a = std::make_shared<Operand>(numbers(a_shape, dtype, "a").to(device)),
             b = std::make_shared<Operand>(numbers(b_shape, dtype, "b").to(device));
  Problem p;
  p.name = name_of(c);
  p.direction = "fwd";
  p.batch = c.m;
  p.dtype = dtype;
  const auto m = static_cast<double>(c.m), n = static_cast<double>(c.n), k = static_cast<double>(c.k);
  p.flops = 2 * m * n * k;
  p.bytes = (m * k + k * n + m * n) * static_cast<double>(size_of(dtype));
  p.kernel = "matmul";
  p.inputs = {a, b};
  p.call = [=] { return matmul(a->tensor(), b->tensor(), c.transpose_a, c.transpose_b); };
  p.touch = [b] { b->tensor().mutable_raw(); };
  p.verify = [=](const Tensor& result) { return check(c, a->tensor(), b->tensor(), result); };
  p.question = {{"op", "matmul"},
                {"m", c.m},
                {"n", c.n},
                {"k", c.k},
                {"transpose_a", c.transpose_a},
                {"transpose_b", c.transpose_b}};
  return p;
}

}  // namespace

std::vector<MatmulCase> parse_matmuls(const std::string& list) {
  std::vector<MatmulCase> cases;
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    cases.push_back(parse_one(list.substr(at, end - at)));
    at = end + 1;
  }
  return cases;
}

int run_matmul(const RunOptions& options, const std::vector<MatmulCase>& cases, DType dtype) {
  std::vector<Group> groups;
  for (const MatmulCase& c : cases)
    if (name_of(c).find(options.only) != std::string::npos)
      groups.emplace_back(
          [=, &options] { return std::vector{problem_of(c, dtype, options.settings.device)}; });
  return run("matmul", options, false, groups);
}

}  // namespace isobit::bench
