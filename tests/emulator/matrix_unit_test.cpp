// The model of the matrix unit: fragments lie as the PTX ISA draws them, products and sums are right, and
// what a GPU would not forgive is a fault.
#include "core/numerics/half.h"
#include "cuda/simt/matrix_unit.h"
#include "tests/emulator/faults.h"

namespace isobit::emulator {
namespace {

// Row-major a[16][k], b[k][8], d[16][8], numbers that every type holds. 16-bit operands of k = 16, tf32 of 8.
std::uint32_t bits16(MatrixType type, float v) {
  return type == MatrixType::f16 ? numerics::f32_to_f16(v) : numerics::f32_to_bf16(v);
}

__global__ void multiply(MatrixType type, const float* a, const float* b, float* d) {
  const int lane = static_cast<int>(threadIdx.x), g = lane / 4, t = lane % 4;
  const int terms = type == MatrixType::tf32 ? 8 : 16;
  std::uint32_t fa[4], fb[2];
  for (int i = 0; i < 4; ++i) {
    const float* const row = a + (g + i % 2 * 8) * terms;
    const int k = i / 2 * (terms / 2);
    fa[i] = type == MatrixType::tf32 ? round_tf32(row[k + t])
                                     : bits16(type, row[k + 2 * t]) | bits16(type, row[k + 2 * t + 1]) << 16;
  }
  for (int i = 0; i < 2; ++i) {
    const int k = i * (terms / 2);
    fb[i] = type == MatrixType::tf32
                ? round_tf32(b[(k + t) * 8 + g])
                : bits16(type, b[(k + 2 * t) * 8 + g]) | bits16(type, b[(k + 2 * t + 1) * 8 + g]) << 16;
  }
  float sums[4];
  for (int i = 0; i < 4; ++i) sums[i] = d[(g + i / 2 * 8) * 8 + 2 * t + i % 2];
  mma(type, sums, fa, fb, {"", 0});
  for (int i = 0; i < 4; ++i) d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = sums[i];
}

// Matrices of 8 x 8 numbers, row by row, one after the other.
template <bool kTransposed>
__global__ void load(const std::uint16_t* in, std::uint32_t* out) {
  SHARED(matrices, std::uint16_t[4][8][8]);
  const unsigned lane = threadIdx.x;
  for (int i = 0; i < 8; ++i) matrices[lane / 8][lane % 8][i] = in[lane * 8 + static_cast<unsigned>(i)];
  __syncthreads();
  uint4 row;
  std::memcpy(&row, matrices[lane / 8][lane % 8], sizeof(row));
  std::uint32_t r[4];
  exchange_matrices(r, row, kTransposed, {"", 0});
  for (unsigned i = 0; i < 4; ++i) out[lane * 4 + i] = r[i];
}

__global__ void unrounded(float* d) {
  const std::uint32_t a[4] = {0x3f800001u, 0, 0, 0}, b[2] = {};
  float sums[4] = {};
  mma(MatrixType::tf32, sums, a, b, {"", 0});
  d[threadIdx.x] = sums[0];
}
__global__ void half_a_warp(float* d) {
  const std::uint32_t a[4] = {}, b[2] = {};
  float sums[4] = {};
  if (threadIdx.x < 16) mma(MatrixType::f16, sums, a, b, {"", 0});
  d[threadIdx.x] = sums[0];
}
__global__ void odd_row(float* d) {
  SHARED(rows, float[64]);
  check_matrix_row(&rows[1], {"", 0});
  d[threadIdx.x] = 0;
}
__global__ void global_row(float* d) {
  check_matrix_row(d, {"", 0});
}

class MatrixUnit : public Simt {};

TEST_F(MatrixUnit, MultipliesIntegersExactly) {
  for (const MatrixType type : {MatrixType::tf32, MatrixType::f16, MatrixType::bf16}) {
    const int terms = type == MatrixType::tf32 ? 8 : 16;
    std::vector<float> a, b, d;
    for (int i = 0; i < 16 * terms; ++i) a.push_back(static_cast<float>(i * 7 % 23 - 11));
    for (int i = 0; i < terms * 8; ++i) b.push_back(static_cast<float>(i * 5 % 19 - 9));
    for (int i = 0; i < 128; ++i) d.push_back(static_cast<float>(i));
    float* const on_device = device(d);
    launch(multiply, dim3(1), dim3(32), 0, nullptr, type, static_cast<const float*>(device(a)),
           static_cast<const float*>(device(b)), on_device);
    const std::vector<float> got = host(on_device, 128);
    const auto count = static_cast<std::size_t>(terms);
    for (std::size_t row = 0; row < 16; ++row)
      for (std::size_t column = 0; column < 8; ++column) {
        float sum = d[row * 8 + column];
        for (std::size_t k = 0; k < count; ++k) sum += a[row * count + k] * b[k * 8 + column];
        EXPECT_EQ(got[row * 8 + column], sum) << static_cast<int>(type) << " " << row << "," << column;
      }
    expect_fine();
  }
}

TEST_F(MatrixUnit, CutsSumsTowardsZero) {
  std::vector<float> a(128, 0.0f), b(64, 0.0f), d(128, 1.0f);
  a[0] = 0x1.8p-24f, b[0] = 1;  // three quarters of the last place of 1, which rounding would add
  a[8] = -0x1.8p-24f;           // in row 1: three halves of the last place below 1
  float* const on_device = device(d);
  launch(multiply, dim3(1), dim3(32), 0, nullptr, MatrixType::tf32, static_cast<const float*>(device(a)),
         static_cast<const float*>(device(b)), on_device);
  const std::vector<float> got = host(on_device, 128);
  EXPECT_EQ(got[0], 1.0f);
  EXPECT_EQ(got[8], 1.0f);
  expect_fine();
}

TEST_F(MatrixUnit, LoadsMatricesAndTheirTransposes) {
  std::vector<std::uint16_t> in(256);
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<std::uint16_t>(i);
  const auto number = [](unsigned matrix, unsigned row, unsigned column) {
    return matrix * 64 + row * 8 + column;
  };
  const std::uint16_t* const from = device(in);
  for (const bool transposed : {false, true}) {
    std::uint32_t* const out = unwritten<std::uint32_t>(128);
    launch(transposed ? load<true> : load<false>, dim3(1), dim3(32), 0, nullptr, from, out);
    const std::vector<std::uint32_t> got = host(out, 128);
    for (unsigned lane = 0; lane < 32; ++lane)
      for (unsigned m = 0; m < 4; ++m) {
        const unsigned g = lane / 4, c = lane % 4 * 2;
        const unsigned low = transposed ? number(m, c, g) : number(m, g, c),
                       high = transposed ? number(m, c + 1, g) : number(m, g, c + 1);
        EXPECT_EQ(got[lane * 4 + m], low | high << 16) << lane << " " << m;
      }
  }
  expect_fine();
}

TEST_F(MatrixUnit, RoundsTf32ToNearestTiesAway) {
  EXPECT_EQ(round_tf32(1.0f), 0x3f800000u);
  EXPECT_EQ(round_tf32(__uint_as_float(0x3f801000u)), 0x3f802000u);
  EXPECT_EQ(round_tf32(__uint_as_float(0x3f800fffu)), 0x3f800000u);
  EXPECT_EQ(round_tf32(__uint_as_float(0xbf801000u)), 0xbf802000u);
  EXPECT_EQ(round_tf32(__uint_as_float(0x7f7fffffu)), 0x7f800000u);
  EXPECT_EQ(round_tf32(__uint_as_float(0xff800000u)), 0xff800000u);
  EXPECT_EQ(round_tf32(__uint_as_float(0xffc00001u)), 0x7fffffffu);
}

TEST_F(MatrixUnit, FindsWhatAGpuWouldNotForgive) {
  launch(unrounded, dim3(1), dim3(32), 0, nullptr, unwritten(32));
  expect_fault(FaultKind::trap);
  schedule(Schedule::forward);  // those who come wait for those who do not
  launch(half_a_warp, dim3(1), dim3(32), 0, nullptr, unwritten(32));
  expect_fault(FaultKind::deadlock);
  schedule(Schedule::reverse);  // those who come find the others gone
  launch(half_a_warp, dim3(1), dim3(32), 0, nullptr, unwritten(32));
  expect_fault(FaultKind::bad_lane);
  launch(odd_row, dim3(1), dim3(32), 0, nullptr, unwritten(32));
  expect_fault(FaultKind::misaligned);
  launch(global_row, dim3(1), dim3(32), 0, nullptr, unwritten(32));
  expect_fault(FaultKind::out_of_bounds);
}

}  // namespace
}  // namespace isobit::emulator
