// Convolutions that reach what the shape files do not: several blocks, chunks, segments, large borders. And
// which algorithm serves what.
#include "core/trace.h"
#include "core/verify/families.h"
#include "tests/parity/report.h"

namespace isobit::parity {
namespace {

using verify::Values;

std::vector<verify::ConvShape> parsed(std::initializer_list<const char*> lines) {
  std::vector<verify::ConvShape> shapes;
  for (const char* line : lines) shapes.push_back(verify::parse_conv_shape(line, "conv_test.cpp"));
  return shapes;
}

void check(const std::vector<verify::ConvShape>& shapes, std::initializer_list<DType> types, Values values) {
  verify::Options options;
  options.full = true;
  verify::Suite suite(options, {Device::cpu()});
  for (const verify::ConvShape& shape : shapes)
    for (const DType dtype : types) verify::add_convolution(suite, shape, dtype, values, false);
  expect_equal(suite.take_report());
}

TEST(ConvParity, Larger) {
  const auto shapes = parsed({
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
  });
  check(shapes, {DType::f32}, Values::plain);
  if (is_long()) check(shapes, {DType::f64, DType::f16, DType::bf16}, Values::plain);
}

// Products that underflow to -0, which is where leaving out the taps of the border would show, and filters
// and dy that are not finite, where it must not happen.
TEST(ConvParity, LargeBorders) {
  const auto shapes = parsed({
      "mb6ic16ih8oc33kh5ph2n\"five_same\"",
      "mb5ic9ih7oc40kh3ph1n\"three_same\"",
      "mb3ic12ih9oc24kh3sh2ph2n\"strided\"",
      "mb4g2ic20ih6oc36kh3ph2n\"groups\"",
      "mb20ic8ih3oc48kh5ph2n\"mostly_border\"",
      "mb2ic70ih13iw11oc64kh3ph1n\"several_blocks\"",
      "mb2ic8id5ih8iw8oc20kd3kh3kw3pd1ph2pw2n\"depth\"",
  });
  check(shapes, {DType::f32, DType::f64}, Values::plain);
  check(shapes, {DType::f32}, Values::tiny);
  check(shapes, {DType::f32, DType::f16}, Values::hard);
}

// One to four columns behind whole vectors, which another algorithm adds to the same rows of the output:
// scattered, over stride phases, in several blocks and tasks, where the output has gaps.
TEST(ConvParity, ColumnsBehindVectors) {
  const auto shapes = parsed({
      "mb2ic24ih12oc17kh3ph1n\"one_filter\"",
      "mb2ic17ih12oc24kh3ph1n\"one_channel\"",
      "mb1ic34ih20oc19kh3sh2ph1n\"strided\"",
      "mb2ic36ih9iw14oc40kh4sh2ph1n\"phases\"",
      "mb3ic10ih16oc11kh5ph2n\"behind_half_a_vector\"",
      "mb1ic18id4ih9iw8oc20kd3kh3kw3pd1ph1pw1n\"depth\"",
      "mb2ic35ih16oc67kh3ph1@reflectn\"reflect\"",
  });
  check(shapes, {DType::f32, DType::f64, DType::f16, DType::bf16}, Values::plain);
  check(shapes, {DType::f32, DType::bf16}, Values::hard);
}

// Filters that are too few for a vector, whose gradient has channels for lanes: one to four together, several
// shares, leaves joined and alone, blocks, a last vector of channels that is partial, x as it lies and
// copied.
TEST(ConvParity, FewFilters) {
  const auto shapes = parsed({
      "mb5ic35ih14oc3kh3ph1n\"three\"",
      "mb40ic20ih6oc1kh5ph2n\"leaves\"",
      "mb2ic64ih20oc6kh3sh2n\"two_shares\"",
      "mb3ic16id4ih9iw8oc2kd3kh3kw3pd1ph1pw1n\"depth\"",
      "mb1ic256ih12oc4kh3ph1n\"moved_apart\"",
      "mb2ic48ih11iw17oc25kh3dh1ph2n\"behind_vectors\"",
  });
  check(shapes, {DType::f32, DType::f64, DType::f16}, Values::plain);
  check(shapes, {DType::f32, DType::bf16}, Values::hard);
}

// Tiles of few terms that lie in rows of the output: of every height, two heights in a row, one panel of
// filters and several, a last one that is half or partial, rows of planes and of a depth, stride phases, a
// border that is mapped.
TEST(ConvParity, TilesInRows) {
  const auto shapes = parsed({
      "mb1ic1ih28oc32kh5ph2n\"fourteen\"",
      "mb3ic3ih20iw10oc32kh3ph1n\"ten\"",
      "mb2ic2ih9iw22oc40kh3ph1n\"eleven_and_half_a_panel\"",
      "mb2ic3ih17iw25oc23kh3ph1n\"thirteen_and_twelve\"",
      "mb1ic3ih12iw140oc70kh3ph1n\"ten_of_fourteen_and_three_panels\"",
      "mb2ic3ih15iw67oc64kh5kw3ph2pw1n\"fourteen_and_thirteen\"",
      "mb2ic4ih31iw63oc24kh3sh2ph1n\"strided\"",
      "mb1ic2ih20iw29oc17kh3dh1ph2n\"dilated\"",
      "mb2ic2ih14iw26oc48kh3n\"without_a_border\"",
      "mb1ic40ih24oc6kh3sh2ph1n\"phases\"",
      "mb1ic2id5ih9iw12oc20kd2kh3kw3pd1ph1pw1n\"depth\"",
      "mb2ic3ih13iw28oc32kh3ph1@reflectn\"reflect\"",
  });
  check(shapes, {DType::f32, DType::f64, DType::f16}, Values::plain);
  check(shapes, {DType::f32, DType::bf16}, Values::hard);
}

// Lanes over space keep the plan and the runs of the last problem: others in between, other strides of the
// same extents, the same again.
TEST(ConvParity, OverSpaceOneAfterTheOther) {
  const auto shapes = parsed({
      "mb2ic1ih28oc32kh5ph2n\"once\"",
      "mb2ic1ih28oc32kh5ph2n\"again\"",
      "mb2ic2ih28oc32kh5ph2n\"two_channels\"",
      "mb2ic1ih28oc32kh5ph2n\"once_more\"",
      "mb1ic1ih28oc32kh5sh2ph2n\"strided\"",
      "mb2ic32ih28oc1kh5ph2n\"turned_round\"",
      "mb2ic1ih28oc32kh5ph2n\"at_last\"",
  });
  check(shapes, {DType::f32, DType::f64, DType::bf16}, Values::plain);
}

// Depthwise strips: inside and at every edge, two rows at a time and one, blocks and leaves, vectors that
// overlap; an output that does not pass through the cache.
TEST(ConvParity, DepthwiseStrips) {
  const auto shapes = parsed({
      "mb3g77ic77ih19oc77kh3ph1n\"same\"",
      "mb2g48ic48ih20iw29oc48kh5kw5ph2pw2n\"five\"",
      "mb3g35ic35ih15iw33oc35kh3kw3sh2sw2ph1pw1n\"strided\"",
      "mb2g32ic32ih16iw31oc32kh5kw5sh2sw2ph2pw2n\"strided_five\"",
      "mb2g40ic40ih12iw24oc40kh3kw3ph1pw1@reflectn\"reflect\"",
      "mb35g16ic16ih9oc16kh3ph1n\"leaves\"",
      "mb1g256ic256ih17iw20oc256kh3kw3ph1pw1n\"packed\"",
      "mb2g256ic256ih9iw25oc256kh3kw3sh2sw2ph1pw1n\"packed_strided\"",
      "mb1g256ic256ih5iw20oc256kh3kw3ph1pw1@reflectn\"packed_reflect\"",
      "mb3g512ic512ih7oc512kh3ph1n\"packed_samples\"",
  });
  check(shapes, {DType::f32, DType::f64}, Values::plain);
  check(shapes, {DType::f32, DType::f64}, Values::tiny);
  check(shapes, {DType::f32, DType::f64}, Values::hard);
  check(parsed({"mb1g32ic32ih240iw280oc32kh3kw3ph1pw1n\"large\""}), {DType::f32}, Values::plain);
}

// Strips of small groups: every group, width and stride that has kernels, inside and at every edge, vectors
// that overlap, several parts of vectors, phases, planes; and an output that does not pass through the cache.
TEST(ConvParity, GroupStrips) {
  const auto shapes = parsed({
      "mb3g39ic78ih19oc78kh3ph1n\"two\"",
      "mb3g19ic76ih19iw21oc76kh3kw3ph1pw1n\"four\"",
      "mb2g13ic104ih12iw23oc104kh3kw3ph1pw1n\"eight\"",
      "mb3g20ic40ih15iw33oc40kh3kw3sh2sw2ph1pw1n\"two_strided\"",
      "mb3g10ic40ih16iw31oc40kh3kw3sh2sw2ph1pw1n\"four_strided\"",
      "mb2g7ic56ih17iw34oc56kh3kw3sh2sw2ph1pw1n\"eight_strided\"",
      "mb5g10ic40ih13oc40kh1n\"four_pointwise\"",
      "mb5g9ic72ih13oc72kh1n\"eight_pointwise\"",
      "mb3g10ic20ih13iw25oc20kh3kw2ph1pw1n\"two_columns\"",
      "mb3g5ic40ih14oc40kh2n\"eight_two_columns\"",
      "mb2g10ic40ih12iw24oc40kh3kw3ph1pw1@reflectn\"reflect\"",
      "mb2g8ic32id5ih9iw11oc32kd2kh3kw3pd1ph1pw1n\"depth\"",
      "mb35g4ic16ih9oc16kh3ph1n\"leaves\"",
      "mb2g4ic32ih40iw9oc32kh33kw1ph8pw0n\"two_blocks\"",
  });
  check(shapes, {DType::f32, DType::f64}, Values::plain);
  check(shapes, {DType::f32, DType::f64}, Values::tiny);
  check(shapes, {DType::f32, DType::f64}, Values::hard);
  check(parsed({"mb1g8ic32ih240iw280oc32kh3kw3ph1pw1n\"large\""}), {DType::f32}, Values::plain);
}

// Passes without a plan: partial vectors of filters beside each other and at the end of memory, borders on
// all sides, outputs that do not lie together, blocks.
TEST(ConvParity, LittleWork) {
  const auto shapes = parsed({
      "mb1ic8ih8oc8kh3ph1n\"three_same\"",
      "mb2ic3ih7iw5oc11kh3kw2ph0phr2pw1n\"partial_vector\"",
      "mb1ic5ih6oc37kh1n\"vectors_and_a_part\"",
      "mb3g3ic9ih5oc15kh3ph2n\"groups_of_five\"",
      "mb2g7ic7ih6oc7kh3sh2ph1n\"depthwise_part\"",
      "mb1g40ic40ih4oc40kh3ph1n\"depthwise_vectors\"",
      "mb1ic4ih11iw9oc6kh3kw2sh3sw2dh1ph2pw0n\"strided_dilated\"",
      "mb2ic2ih9oc3kh3sh2ph-2phr1n\"cropped\"",
      "mb1ic40ih4oc9kh3ph1n\"two_blocks\"",
      "mb2ic3id3ih4iw5oc6kd2kh3kw2sd1sh2sw2dd1pd1ph1pw0n\"depth\"",
      "mb5ic30ih1oc7kh1n\"linear\"",
      "mb1ic2ih2oc3kh3sh5ph6n\"mostly_border\"",
  });
  check(shapes, {DType::f32, DType::f64, DType::f16, DType::bf16}, Values::plain);
  check(shapes, {DType::f32, DType::bf16}, Values::hard);
}

// The specialised algorithms serve what they are for: no shape set may lose them silently.
TEST(ConvParity, SpecialisedAlgorithmsServe) {
  const auto served = [](const char* line, const char* algorithm, int kernels) {
    const ConvGeometry g = verify::parse_conv_shape(line).geometry;
    const auto array = [](std::int64_t numel) {
      return verify::random_array(DType::f32, numel, Values::finite, {1, 2});
    };
    verify::HostArray x = array(g.x_size()), w = array(g.w_size()), y = array(g.y_size());
    const TraceCapture capture;
    Backend& cpu = backend(Device::cpu());
    cpu.conv_forward(g, x.view(), w.view(), {}, y.view());
    cpu.conv_backward_filter(g, x.view(), y.view(), w.view());
    cpu.conv_backward_input(g, y.view(), w.view(), x.view());
    EXPECT_EQ(capture.count_algorithm(algorithm), kernels) << line;
  };
  served("mb64ic40ih1oc48kh1n\"served\"", "linear", 2);
  served("mb64ic40ih1oc10kh1n\"served\"", "linear", 0);
  served("mb1ic8ih8oc8kh3ph1n\"served\"", "small", 2);
  served("mb2g24ic24ih9oc24kh3ph1n\"served\"", "small", 2);
  served("mb8ic8ih10oc16kh3ph1n\"served\"", "small", 0);
  served("mb64g24ic24ih9oc24kh3ph1n\"served\"", "depthwise_strips", 3);
  served("mb64g24ic24ih9oc24kh3sh2ph1n\"served\"", "depthwise_strips", 3);
  served("mb64g24ic48ih9oc48kh3ph1n\"served\"", "group_strips", 3);
  served("mb64g12ic48ih9oc48kh3sh2ph1n\"served\"", "group_strips", 3);
  served("mb64g6ic48ih9oc48kh2n\"served\"", "group_strips", 2);
  served("mb64g6ic48ih9oc96kh3ph1n\"served\"", "group_strips", 0);
  served("mb64g6ic48ih9oc48kh3dh1ph2n\"served\"", "group_strips", 0);
  served("mb64g24ic24ih9oc24kh3dh1ph2n\"served\"", "depthwise", 3);
  served("mb2ic24ih9oc24kh3ph1n\"served\"", "implicit_gemm", 3);
  served("mb1ic3ih64oc32kh7sh2ph3n\"served\"", "over_space", 1);
  served("mb2ic1ih28oc32kh5ph2n\"served\"", "over_space", 1);
  served("mb1ic64ih32oc3kh3ph1n\"served\"", "over_space", 1);
  served("mb1ic4ih64oc4kh5ph2n\"served\"", "over_space", 2);
  served("mb1ic12ih40oc16kh5ph2n\"served\"", "over_space", 1);
  served("mb1ic64ih32oc9kh3ph1n\"served\"", "over_space", 1);
  served("mb1ic13ih40oc16kh5ph2n\"served\"", "over_space", 0);
  served("mb4ic64ih40oc3kh1n\"served\"", "over_space", 0);
}

}  // namespace
}  // namespace isobit::parity
