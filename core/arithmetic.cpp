// The arithmetic in force, per thread (isobit/arithmetic.h).
#include <isobit/arithmetic.h>
#include <isobit/error.h>

#include <array>

namespace isobit {
namespace {

struct Named {
  Math math;
  std::string_view name, meaning;
};
constexpr std::array<Named, 4> kNames{{
    {Math::exact, "exact", "one order of summation on every device"},
    {Math::fast, "fast", "f32 through tf32, on CPUs through two bf16"},
    {Math::fast_f16, "fast-f16", "f32 through f16"},
    {Math::fast_bf16, "fast-bf16", "f32 through bf16"},
}};

Math& in_force() {
  static thread_local Math math = Math::exact;
  return math;
}

}  // namespace

std::string_view name_of(Math math) {
  return kNames.at(static_cast<std::size_t>(math)).name;
}

Math parse_math(std::string_view name) {
  for (const Named& n : kNames)
    if (name == n.name) return n.math;
  fail("math", "there is no arithmetic '{}', expected exact, fast, fast-f16 or fast-bf16", name);
}

std::string describe(Math math) {
  const Named& n = kNames.at(static_cast<std::size_t>(math));
  return fmt::format("{} ({})", n.name, n.meaning);
}

MathScope::MathScope(std::optional<Math> math) : before_(in_force()) {
  in_force() = math.value_or(before_);
}
MathScope::~MathScope() {
  in_force() = before_;
}

Math current_math() {
  return in_force();
}

}  // namespace isobit
