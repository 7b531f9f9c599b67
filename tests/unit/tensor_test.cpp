// Tensors: creation, sharing, copies, casts, printing, equality by bits, and what they refuse.
#include <gtest/gtest.h>
#include <isobit/ops.h>
#include <isobit/tensor.h>

#include <cmath>
#include <limits>

namespace isobit {
namespace {

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}
void expect_has(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(Shape, CountsAndRefuses) {
  EXPECT_EQ((Shape{2, 3, 4}).numel(), 24);
  EXPECT_EQ(Shape().numel(), 1);
  EXPECT_EQ((Shape{0, 1 << 30, 1 << 20}).numel(), 0);
  EXPECT_EQ((Shape{2, 3, 4})[-1], 4);
  EXPECT_EQ((Shape{2, 3}).inserted(1, 7), (Shape{2, 7, 3}));
  EXPECT_EQ((Shape{2, 3}).inserted(-1, 7), (Shape{2, 3, 7}));
  EXPECT_EQ((Shape{2, 7, 3}).without(1), (Shape{2, 3}));
  expect_has(error_of([] { Shape{-1, 2}; }), "[-1,2] has a negative extent");
  expect_has(error_of([] { Shape{1 << 30, 1 << 30, 1 << 30}; }), "63 bits");
  expect_has(error_of([] { Shape{0, std::numeric_limits<std::int64_t>::max(), 3}; }), "63 bits");
  expect_has(error_of([] { Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}; }), "at most 8");
  expect_has(error_of([] { (Shape{2, 3})[2]; }), "axis 2 of a tensor with 2 axes");
}

TEST(Tensor, CreationFillsEveryDtype) {
  for (auto t :
       {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i32, DType::i64, DType::u8, DType::boolean}) {
    EXPECT_EQ(zeros({3, 5}, {.dtype = t}).to(DType::f64).to_vector<double>(), std::vector<double>(15, 0.0))
        << name_of(t);
    EXPECT_EQ(ones({17}, {.dtype = t}).to(DType::f64).to_vector<double>(), std::vector<double>(17, 1.0))
        << name_of(t);
  }
  EXPECT_EQ(full({2}, std::int64_t{(1LL << 62) + 1}, {.dtype = DType::i64}).to_vector<std::int64_t>()[1],
            (1LL << 62) + 1);
  EXPECT_EQ(arange(4, 1, 0.5).to_vector<float>(), (std::vector<float>{1, 1.5, 2, 2.5}));
  EXPECT_EQ(eye(2).to_vector<float>(), (std::vector<float>{1, 0, 0, 1}));
  EXPECT_EQ(full({}, 2.5).item(), 2.5);
}

TEST(Tensor, FromForeignRunsTheDeleterOnceWhenTheLastViewIsGone) {
  int freed = 0;
  float memory[6] = {0, 1, 2, 3, 4, 5};
  {
    Tensor view;
    {
      const Tensor t = from_foreign(memory, {3, 2}, {}, [&] { ++freed; });
      view = t.slice(1, 3).reshape({4});
    }
    EXPECT_EQ(freed, 0);
    EXPECT_EQ(view.to_vector<float>(), (std::vector<float>{2, 3, 4, 5}));
    memory[2] = 9;
    EXPECT_EQ(view.data<float>()[0], 9);
  }
  EXPECT_EQ(freed, 1);
  expect_has(error_of([] { from_foreign(nullptr, {1}, {}, {}); }), "null memory");
  expect_has(error_of([&] { from_foreign(reinterpret_cast<char*>(memory) + 1, {1}, {}, {}); }),
             "not aligned");
}

TEST(Tensor, ReshapeAndSliceShareStorage) {
  Tensor t = arange(12).reshape({3, -1});
  EXPECT_EQ(t.shape(), (Shape{3, 4}));
  Tensor row = t.slice(1, 2);
  row.fill(7);
  EXPECT_EQ(t.to_vector<float>(), (std::vector<float>{0, 1, 2, 3, 7, 7, 7, 7, 8, 9, 10, 11}));
  EXPECT_EQ(t.clone().raw() == t.raw(), false);
  expect_has(error_of([&] { t.reshape({5, -1}); }), "cannot be inferred");
  expect_has(error_of([&] { t.reshape({-1, -1}); }), "both -1");
  expect_has(error_of([&] { t.reshape({5}); }), "[3,4] has 12 elements, [5] has 5");
  expect_has(error_of([&] { t.slice(2, 4); }), "rows [2, 4)");
  expect_has(error_of([&] { full({}, 1.0).slice(0, 1); }), "scalar");
}

TEST(Tensor, CopyFromIsSafeForOverlappingRows) {
  Tensor t = arange(6);
  t.slice(1, 6).copy_from(t.slice(0, 5));
  EXPECT_EQ(t.to_vector<float>(), (std::vector<float>{0, 0, 1, 2, 3, 4}));
  expect_has(error_of([&] { t.copy_from(arange(5)); }), "source is f32 [5], the tensor is f32 [6]");
}

TEST(Tensor, CastsSaturateTruncateAndRoundOnce) {
  const std::vector<double> v{1e300, -1e300, NAN, 1.9, -1.9, 256, -1};
  const Tensor t = from_vector(v, {7});
  EXPECT_EQ(t.to(DType::i32).to_vector<std::int32_t>(),
            (std::vector<std::int32_t>{2147483647, -2147483648, 0, 1, -1, 256, -1}));
  EXPECT_EQ(t.to(DType::u8).to_vector<std::uint8_t>(), (std::vector<std::uint8_t>{255, 0, 0, 1, 0, 255, 0}));
  // 1 + 2^-11 + 2^-40 lies just above the middle of two f16; by way of f32 it would round to even, down.
  const Tensor near = full({1}, 1 + 0x1p-11 + 0x1p-40, {.dtype = DType::f64});
  EXPECT_EQ(near.to(DType::f16).to_vector<f16>()[0].bits, 0x3c01);
}

TEST(Tensor, EqualityIsByBitsAndNansAreOne) {
  const auto nan1 = std::numeric_limits<float>::quiet_NaN();
  const float nan2 = -nan1;
  const Tensor a = from_vector<float>({nan1, 0.0f, 1}, {3}), b = from_vector<float>({nan2, 0.0f, 1}, {3});
  EXPECT_TRUE(equal_bits(a, b));
  EXPECT_EQ(a.digest(), b.digest());
  const Tensor c = from_vector<float>({nan1, -0.0f, 1}, {3});
  EXPECT_FALSE(equal_bits(a, c));
  EXPECT_EQ(first_difference(a, c), 1);
  EXPECT_NE(a.digest(), c.digest());
  EXPECT_NE(a.digest(), a.reshape({3, 1}).digest());
  EXPECT_FALSE(equal_bits(a, a.to(DType::f64)));
  // printf 'f32 [2]\n\0\0\200\077\0\0\0\100' | sha256sum
  EXPECT_EQ(from_vector<float>({1, 2}, {2}).digest(),
            "0f58d4054a75a97618779da179db091abbad105fa64f9c26bfe82faed831b7a7");
}

TEST(Tensor, PrintsLikeNumpy) {
  EXPECT_EQ(fmt::format("{}", arange(4).reshape({2, 2})), "[[0, 1],\n [2, 3]]\nf32 [2,2] on cpu");
  EXPECT_EQ(arange(100).to_string(2), "[ 0,  1, ..., 98, 99]\nf32 [100] on cpu");
  EXPECT_EQ(fmt::format("{}", zeros({0, 3})), "[]\nf32 [0,3] on cpu");
  EXPECT_EQ(fmt::format("{}", Tensor()), "tensor(undefined)");
  EXPECT_EQ(fmt::format("{}", full({}, 1.0, {.dtype = DType::boolean})), "true\nbool [] on cpu");
}

TEST(Tensor, RefusesWrongTypesAndUndefined) {
  const Tensor t = zeros({2});
  expect_has(error_of([&] { t.data<double>(); }), "holds f32, f64 was asked for");
  expect_has(error_of([&] { Tensor().shape(); }), "undefined");
  expect_has(error_of([&] { t.item(); }), "2 elements, 1 expected");
  expect_has(error_of([&] { from_vector<float>({1, 2, 3}, {2}); }), "3 values for shape [2]");
  expect_has(error_of([&] { random_normal({2}, {}, 0, -1); }), "deviation -1");
  expect_has(error_of([&] { random_uniform({2}, {}, 0, 1, {.dtype = DType::i32}); }), "i32 was asked for");
  expect_has(error_of([&] { Device::parse("tpu"); }), "there is no device \"tpu\"; devices: cpu");
  expect_has(error_of([&] { parse_dtype("f8"); }), "none of f32");
}

TEST(Tensor, AbsurdSizesAreAnErrorAndTheLibraryGoesOn) {
  EXPECT_THROW(empty({1LL << 56}), OutOfMemory);
  EXPECT_EQ(ones({2}).to_vector<float>(), (std::vector<float>{1, 1}));
}

TEST(Random, ADrawDependsOnlyOnItsIndex) {
  const RandomKey key = random_key(Seed{7}, "test");
  const auto whole = random_normal({100}, key).to_vector<float>();
  const auto part = random_normal({30}, key, 0, 1, {}, 70).to_vector<float>();
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 70));
  EXPECT_NE(random_normal({100}, random_key(Seed{8}, "test")).to_vector<float>(), whole);
  EXPECT_NE(random_normal({100}, random_key(Seed{7}, "test", 1)).to_vector<float>(), whole);
}

}  // namespace
}  // namespace isobit
