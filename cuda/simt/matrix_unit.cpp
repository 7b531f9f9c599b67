#include "cuda/simt/matrix_unit.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/numerics/half.h"
#include "cuda/simt/runner.h"

namespace isobit::emulator {
namespace {

constexpr int kGroup = 4;  // products that are summed at once
constexpr unsigned kAll = 0xffffffffu;

struct Fragments {
  std::uint32_t a[4], b[2];
  float* d;
};

float low_half(MatrixType type, std::uint32_t bits) {
  const auto h = static_cast<std::uint16_t>(bits);
  return type == MatrixType::f16 ? numerics::f16_to_f32(h) : numerics::bf16_to_f32(h);
}

/// 2^e for a normal result.
double power_of_two(int e) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(e + 1023) << 52);
}
int exponent_of(double v) {
  return static_cast<int>(std::bit_cast<std::uint64_t>(v) >> 52 & 0x7ff) - 1023;
}

/// The sum of kGroup products and `before`, as the head of the header says.
float add_group(float before, const double* products) {
  double largest = std::abs(static_cast<double>(before)), plain = static_cast<double>(before);
  for (int i = 0; i < kGroup; ++i) {
    largest = std::max(largest, std::abs(products[i]));
    plain += products[i];
  }
  if (!std::isfinite(plain)) return static_cast<float>(plain);
  if (largest == 0) return static_cast<float>(plain);
  const int e = exponent_of(largest);  // products of two f32 are normal in f64
  const double up = power_of_two(23 - e), down = power_of_two(e - 23);
  auto sum = static_cast<std::int64_t>(static_cast<double>(before) * up);
  for (int i = 0; i < kGroup; ++i) sum += static_cast<std::int64_t>(products[i] * up);
  std::int64_t cut = 1;
  while (std::abs(sum / cut) >= std::int64_t{1} << 24) cut *= 2;
  sum -= sum % cut;
  return static_cast<float>(static_cast<double>(sum) * down);
}

template <MatrixType kType>
void compute_mma(Request* const* lanes, unsigned mask) {
  if (mask != kAll) return;  // told by the caller
  constexpr int kTerms = kType == MatrixType::tf32 ? 8 : 16;
  double a[16][kTerms], b[kTerms][8];
  for (int lane = 0; lane < kWarp; ++lane) {
    const auto& mine = *static_cast<const Fragments*>(lanes[lane]->in);
    const int g = lane / 4, t = lane % 4;
    const auto spread = [&](std::uint32_t bits, int pair, const auto& put) {
      if constexpr (kType == MatrixType::tf32) {
        put(t + pair * 4, static_cast<double>(std::bit_cast<float>(bits)));
      } else {
        put(2 * t + pair * 8, static_cast<double>(low_half(kType, bits)));
        put(2 * t + pair * 8 + 1, static_cast<double>(low_half(kType, bits >> 16)));
      }
    };
    for (int i = 0; i < 4; ++i) spread(mine.a[i], i / 2, [&](int k, double v) { a[g + i % 2 * 8][k] = v; });
    for (int i = 0; i < 2; ++i) spread(mine.b[i], i, [&](int k, double v) { b[k][g] = v; });
  }
  for (int lane = 0; lane < kWarp; ++lane) {
    float* const d = static_cast<const Fragments*>(lanes[lane]->in)->d;
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
      for (int k = 0; k < kTerms; k += kGroup) {
        double products[kGroup];
        for (int x = 0; x < kGroup; ++x) products[x] = a[row][k + x] * b[k + x][column];
        d[i] = add_group(d[i], products);
      }
    }
  }
}

struct Matrices {
  std::uint16_t row[8];
  std::uint32_t* out;
};

template <bool kTransposed>
void compute_exchange(Request* const* lanes, unsigned mask) {
  if (mask != kAll) return;
  const auto element = [&](int matrix, int row, int column) -> std::uint32_t {
    return static_cast<const Matrices*>(lanes[matrix * 8 + row]->in)->row[column];
  };
  for (int lane = 0; lane < kWarp; ++lane) {
    const int g = lane / 4, c = lane % 4 * 2;
    for (int m = 0; m < 4; ++m)
      static_cast<const Matrices*>(lanes[lane]->in)->out[m] =
          kTransposed ? element(m, c, g) | element(m, c + 1, g) << 16
                      : element(m, g, c) | element(m, g, c + 1) << 16;
  }
}

constexpr Operation kMma[] = {{"mma.sync tf32", compute_mma<MatrixType::tf32>},
                              {"mma.sync f16", compute_mma<MatrixType::f16>},
                              {"mma.sync bf16", compute_mma<MatrixType::bf16>}};
constexpr Operation kExchange[] = {{"ldmatrix", compute_exchange<false>},
                                   {"ldmatrix.trans", compute_exchange<true>}};

}  // namespace

std::uint32_t round_tf32(float v) {
  const auto bits = std::bit_cast<std::uint32_t>(v);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fffffffu;
  if ((bits & 0x7fffffffu) == 0x7f800000u) return bits;
  return (bits + 0x1000u) & ~0x1fffu;
}

void mma(MatrixType type, float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
         Place place) {
  Runner& runner = *Runner::current();
  Fragments mine{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}, d};
  if (type == MatrixType::tf32)
    for (const std::uint32_t bits : {a[0], a[1], a[2], a[3], b[0], b[1]})
      if ((bits & 0x1fffu) != 0 && (bits & 0x7f800000u) != 0x7f800000u)
        runner.die(FaultKind::trap,
                   fmt::format("mma.sync tf32: the operand {:#010x} was not rounded to tf32", bits), place);
  Request request{&kMma[static_cast<int>(type)], kAll, place, &mine, nullptr, 0, kWarp};
  runner.collective(request);
}

void check_matrix_row(const void* row, Place place) {
  Runner& runner = *Runner::current();
  if (!runner.shared().holds(row))
    runner.die(FaultKind::out_of_bounds, "ldmatrix of what is not shared memory", place);
  if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0)
    runner.die(FaultKind::misaligned, fmt::format("ldmatrix of {}, which is no multiple of 16", row), place);
}

void exchange_matrices(std::uint32_t (&r)[4], uint4 row, bool transposed, Place place) {
  Matrices mine{{}, r};
  std::memcpy(mine.row, &row, sizeof(mine.row));
  Request request{&kExchange[transposed ? 1 : 0], kAll, place, &mine, nullptr, 0, kWarp};
  Runner::current()->collective(request);
}

}  // namespace isobit::emulator
