// select: out = condition ? a : b with broadcasting, on elements of 1, 2, 4 or 8 bytes as they are. A task
// owns a range of the output.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/select.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/elementwise-inl.h"
#include "cpu/kernels/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

template <class U>
void select_tile(const std::uint8_t* condition, const U* a, const U* b, U* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = condition[i] != 0 ? a[i] : b[i];
}

template <class U>
void select_elements(const StridedGeometry& g, const std::uint8_t* condition, const U* a, const U* b,
                     U* out) {
  for_ranges(g.numel(), 1 + 3 * sizeof(U), [&](std::int64_t begin, std::int64_t end) {
    Operand<std::uint8_t, std::uint8_t> which(g, 0, condition);
    Operand<U, U> first(g, 1, a), second(g, 2, b);
    HWY_ALIGN std::uint8_t which_tile[2 * kTile];
    HWY_ALIGN U first_tile[2 * kTile];
    HWY_ALIGN U second_tile[2 * kTile];
    for (std::int64_t i = begin; i < end; i += kTile) {
      const std::int64_t n = std::min(kTile, end - i);
      select_tile(which.tile(i, n, which_tile), first.tile(i, n, first_tile), second.tile(i, n, second_tile),
                  out + i, n);
    }
  });
}

}  // namespace

void run_select(const StridedGeometry& g, ConstView condition, ConstView a, ConstView b, View out) {
  const auto run = [&](auto type) {
    using U = decltype(type);
    select_elements(g, condition.as<std::uint8_t>(), a.as<U>(), b.as<U>(), out.as<U>());
  };
  switch (size_of(out.dtype)) {
    case 1:
      return run(std::uint8_t{});
    case 2:
      return run(std::uint16_t{});
    case 4:
      return run(std::uint32_t{});
    default:
      return run(std::uint64_t{});
  }
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_select);

namespace kernels {
void select(const StridedGeometry& g, ConstView condition, ConstView a, ConstView b, View out) {
  HWY_DYNAMIC_DISPATCH(run_select)(g, condition, a, b, out);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
