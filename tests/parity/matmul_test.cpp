// matmul against the reference, bit for bit: sizes around the tiles, transposed operands, batches by stride,
// every dtype, instruction set and several numbers of threads.
#include <array>

#include "core/trace.h"
#include "tests/parity/conv_cases.h"

namespace isobit::test {
namespace {

struct Problem {
  MatmulGeometry g;
  std::int64_t a_size = 0, b_size = 0, c_size = 0;
};

Problem problem(std::int64_t batch, std::int64_t m, std::int64_t n, std::int64_t k, int transposed,
                bool repeat_b) {
  Problem p;
  p.g.batch = batch;
  p.g.m = m;
  p.g.n = n;
  p.g.k = k;
  p.g.transpose_a = (transposed & 1) != 0;
  p.g.transpose_b = (transposed & 2) != 0;
  p.g.stride_a = m * k;
  p.g.stride_b = repeat_b ? 0 : k * n;
  p.a_size = batch * m * k;
  p.b_size = (repeat_b ? 1 : batch) * k * n;
  p.c_size = batch * m * n;
  return p;
}

std::vector<Problem> problems() {
  std::vector<Problem> list;
  const std::array<std::int64_t, 3> sizes[] = {
      {1, 1, 1},    {1, 40, 300}, {2, 3, 5}, {7, 16, 9}, {10, 32, 64}, {13, 33, 31},   {64, 10, 70},
      {65, 70, 17}, {3, 1, 600},  {5, 8, 0}, {0, 4, 3},  {4, 0, 3},    {21, 100, 257}, {12, 31, 513}};
  for (const auto& [m, n, k] : sizes)
    for (int transposed = 0; transposed < 4; ++transposed) {
      list.push_back(problem(1, m, n, k, transposed, false));
      list.push_back(problem(3, m, n, k, transposed, transposed % 2 == 0));
    }
  list.push_back(problem(0, 3, 4, 5, 0, false));
  list.push_back(problem(2, 150, 130, 200, 0, true));
  list.push_back(problem(1, 150, 300, 200, 3, false));
  return list;
}

TEST(MatmulParity, EveryAlgorithm) {
  const KeepSettings keep;
  Backend& cpu = backend(Device::cpu());
  const std::vector<Problem> list = problems();
  const TraceCapture capture;
  std::int64_t runs = 0;
  for (const DType dtype : kFloatingTypes)
    for (const Problem& p : list) {
      FencedBuffer a(dtype, p.a_size, 1), b(dtype, p.b_size, 1), expected(dtype, p.c_size);
      HardFloats floats;
      floats.exponents = 4;
      floats.nans = p.g.m == 13;
      fill_hard(a.view(), 1, floats);
      fill_hard(b.view(), 2, floats);
      cpu::reference::matmul(p.g, a.read(), b.read(), expected.view());
      for (const std::string& algorithm : cpu.algorithms("matmul")) {
        if (algorithm == "reference") continue;
        cpu.force_algorithm("matmul", algorithm);
        for (const cpu::Isa isa : cpu::available_isas()) {
          cpu::set_isa(isa);
          for (const int count : {1, 3}) {
            set_threads(count);
            FencedBuffer c(dtype, p.c_size, 1);
            cpu.matmul(p.g, a.read(), b.read(), c.view());
            ++runs;
            ASSERT_TRUE(c.fences_hold());
            ASSERT_TRUE(equal_bits(c.read(), expected.read()))
                << algorithm << ", " << cpu::isa_name(isa) << ", " << count << " threads: " << p.g.to_string()
                << " " << name_of(dtype);
          }
        }
        cpu.force_algorithm("matmul", "");
      }
    }
  EXPECT_GT(runs, 0);
  EXPECT_EQ(capture.count("matmul", "reference"), 0);
}

}  // namespace
}  // namespace isobit::test
