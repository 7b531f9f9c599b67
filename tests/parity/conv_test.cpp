// The fast convolutions against the reference, bit for bit: every line of every shape file, every algorithm
// forced by name, every dtype, instruction set and several numbers of threads.
#include "core/trace.h"
#include "tests/parity/conv_cases.h"

namespace isobit::test {
namespace {

std::vector<std::unique_ptr<ConvCase>> cases_of(const std::vector<ConvShape>& shapes,
                                                std::initializer_list<DType> types, HardFloats floats,
                                                std::int64_t skip) {
  std::vector<std::unique_ptr<ConvCase>> cases;
  for (const ConvShape& shape : shapes)
    for (const DType dtype : types)
      cases.push_back(std::make_unique<ConvCase>(shape, dtype, cases.size() * 7 + 1, floats, skip));
  return cases;
}

std::vector<int> thread_counts() {
  return long_run() ? std::vector<int>{1, 2, 3, 7} : std::vector<int>{1, 3};
}

TEST(ConvParity, SingleOnEveryShape) {
  check_all(cases_of(all_conv_shapes(), {DType::f32}, {}, 1), {1, 2, 3, 7});
}

TEST(ConvParity, DoubleOnEveryShape) {
  check_all(cases_of(all_conv_shapes(), {DType::f64}, {}, 1), thread_counts());
}

TEST(ConvParity, HalvesOnEveryShape) {
  HardFloats floats;
  floats.exponents = 4;
  check_all(cases_of(all_conv_shapes(), {DType::f16, DType::bf16}, floats, 1), thread_counts());
}

// NaN and infinity in a filter must show at the border too: padded taps take part.
TEST(ConvParity, NanAndInfinity) {
  HardFloats floats;
  floats.nans = floats.infinities = true;
  check_all(cases_of(all_conv_shapes(), {DType::f32, DType::f64}, floats, 0), {2});
}

// Sizes that reach what small shapes do not: several blocks, chunks of columns, units, segments, leaves.
TEST(ConvParity, Larger) {
  std::vector<ConvShape> shapes;
  for (const char* line : {
           "mb5ic24ih14oc40kh5ph2n\"several_blocks\"",
           "mb3ic48ih17oc33kh3sh2ph1n\"strided_blocks\"",
           "mb1ic130ih5oc300kh3ph1n\"chunks_of_columns\"",
           "mb40ic70ih1oc290kh1n\"linear\"",
           "mb70ic300ih1oc10kh1n\"linear_few_outputs\"",
           "mb2ic6ih60oc12kh3ph1n\"segments_of_rows\"",
           "mb2ic64ih40iw70oc8kh3ph1n\"slab_of_segments\"",
           "mb2g3ic36ih19oc54kh3ph1n\"groups_of_twelve\"",
           "mb2g32ic32ih15oc64kh3ph1n\"depthwise_multiplier\"",
           "mb3g77ic77ih19oc77kh3ph1n\"depthwise_tail\"",
           "mb18g40ic40ih7oc40kh17ph8n\"depthwise_two_blocks\"",
           "mb9ic3ih33oc64kh7sh2ph3n\"few_channels\"",
           "mb2ic5id6ih9iw11oc20kd3kh3kw3pd1ph1pw1n\"depth\"",
           "mb37ic8ih3oc24kh3ph1n\"leaves_of_eight\"",
       })
    shapes.push_back(parse_conv_shape(line, "conv_test.cpp"));
  check_all(cases_of(shapes, {DType::f32}, {}, 1), {1, 2, 7});
  if (long_run()) check_all(cases_of(shapes, {DType::f64, DType::f16, DType::bf16}, {}, 1), {1, 2, 3, 7});
}

// Products that underflow to -0, which is where leaving out the taps of the border would show, and filters
// and dy that are not finite, where it must not happen.
TEST(ConvParity, LargeBorders) {
  std::vector<ConvShape> shapes;
  for (const char* line : {
           "mb6ic16ih8oc33kh5ph2n\"five_same\"",
           "mb5ic9ih7oc40kh3ph1n\"three_same\"",
           "mb3ic12ih9oc24kh3sh2ph2n\"strided\"",
           "mb4g2ic20ih6oc36kh3ph2n\"groups\"",
           "mb20ic8ih3oc48kh5ph2n\"mostly_border\"",
           "mb2ic70ih13iw11oc64kh3ph1n\"several_blocks\"",
           "mb2ic8id5ih8iw8oc20kd3kh3kw3pd1ph2pw2n\"depth\"",
       })
    shapes.push_back(parse_conv_shape(line, "conv_test.cpp"));
  check_all(cases_of(shapes, {DType::f32, DType::f64}, {}, 1), {1, 3});
  HardFloats tiny;
  tiny.exponents = 90;
  check_all(cases_of(shapes, {DType::f32}, tiny, 1), {1});
  HardFloats special;
  special.nans = special.infinities = true;
  check_all(cases_of(shapes, {DType::f32, DType::f16}, special, 1), {1});
}

// The specialised algorithms serve what they are for: no shape set may lose them silently.
TEST(ConvParity, SpecialisedAlgorithmsServe) {
  const auto served = [](const char* line, const char* algorithm, int kernels) {
    const ConvCase one(parse_conv_shape(line), DType::f32, 5, {}, 0);
    const TraceCapture capture;
    for (int kernel = 0; kernel < 3; ++kernel) EXPECT_TRUE(one.check(kernel)) << one.text();
    EXPECT_EQ(capture.count_algorithm(algorithm), kernels) << one.text();
  };
  served("mb64ic40ih1oc48kh1n\"served\"", "linear", 2);
  served("mb64ic40ih1oc10kh1n\"served\"", "linear", 0);
  served("mb2g24ic24ih9oc24kh3ph1n\"served\"", "depthwise", 3);
  served("mb2ic24ih9oc24kh3ph1n\"served\"", "implicit_gemm", 3);
}

// No two-dimensional line may be served by the definition, in any direction or dtype.
TEST(ConvParity, ReferenceServesNothing) {
  for (const ConvShape& shape : all_conv_shapes())
    for (const DType dtype : kFloatingTypes) {
      const ConvCase one(shape, dtype, 5, {}, 0);
      const TraceCapture capture;
      for (int kernel = 0; kernel < 3; ++kernel) EXPECT_TRUE(one.check(kernel)) << one.text();
      for (const char* kernel : kConvKernels) {
        EXPECT_EQ(capture.count(kernel), 1) << one.text();
        EXPECT_EQ(capture.count(kernel, "reference"), 0) << kernel << ": " << one.text();
      }
    }
}

}  // namespace
}  // namespace isobit::test
