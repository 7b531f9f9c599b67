// Coefficients and constants of the elementary functions; polynomials' lowest power first. scripts/minimax.py
// derives and prints them.
#pragma once

namespace isobit::numerics::constants {

template <typename T>
struct Exp;
template <typename T>
struct Log;
template <typename T>
struct Tanh;
template <typename T>
struct Erf;
template <typename T>
struct Tail;
template <typename T>
struct Sin;
template <typename T>
struct Cos;
template <typename T>
struct Circle;

// exp(f) = 1 + f + f^2 P(f), |f| <= ln 2 / 2. Adding kMagic rounds to an integer n and leaves n + 2 * bias in
// the low bits of the sum.
template <>
struct Exp<float> {
  static constexpr float kLog2E = 0x1.715476p+0f;
  static constexpr float kMagic = 0x1.8p+23f + 254.0f;
  static constexpr float kLn2High = 0x1.62e43p-1f;
  static constexpr float kLn2Low = -0x1.05c61p-29f;
  static constexpr float kOverflow = 89.0f;     // exp is infinite from here on
  static constexpr float kUnderflow = -125.0f;  // exp, even times 125, is zero
  static constexpr float c[] = {0x1p-1f,        0x1.555554p-3f,  0x1.5554fp-5f,
                                0x1.111308p-7f, 0x1.6d4388p-10f, 0x1.9e0812p-13f};
};
template <>
struct Exp<double> {
  static constexpr double kLog2E = 0x1.71547652b82fep+0;
  static constexpr double kMagic = 0x1.8p+52 + 2046.0;
  static constexpr double kLn2High = 0x1.62e42fefa39efp-1;
  static constexpr double kLn2Low = 0x1.abc9e3b39803fp-56;
  static constexpr double kOverflow = 710.0;
  static constexpr double kUnderflow = -760.0;
  static constexpr double c[] = {0x1p-1,
                                 0x1.5555555555559p-3,
                                 0x1.555555555554cp-5,
                                 0x1.111111110f64bp-7,
                                 0x1.6c16c16c1b327p-10,
                                 0x1.a01a01b00a52p-13,
                                 0x1.a01a018b482d1p-16,
                                 0x1.71ddf7f822582p-19,
                                 0x1.27e51969ca95fp-22,
                                 0x1.af5f5e1bfc32ap-26,
                                 0x1.1f107d14a1626p-29};
};

// f32: log(1 + f) = f + f^2 P(f), |f| <= 1/3.
template <>
struct Log<float> {
  static constexpr float kLn2 = 0x1.62e43p-1f;
  static constexpr float c[] = {-0x1p-1f,        0x1.5555p-2f,    -0x1.ffff6ap-3f,
                                0x1.99d268p-3f,  -0x1.55884ep-3f, 0x1.1eb8dap-3f,
                                -0x1.f5627cp-4f, 0x1.1ee6b4p-3f,  -0x1.0303a4p-3f};
};
// f64: log((1 + s) / (1 - s)) = 2 s + s z P(z), z = s^2, |s| <= 0.1716. kLn2High has trailing zeros, so that
// its product with an exponent is exact.
template <>
struct Log<double> {
  static constexpr double kLn2High = 0x1.62e42feep-1;
  static constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
  static constexpr double c[] = {0x1.5555555555593p-1, 0x1.999999997f9f4p-2, 0x1.249249422abe8p-2,
                                 0x1.c71c51d740ba3p-3, 0x1.746649d4c0beap-3, 0x1.39a0910cbd8e6p-3,
                                 0x1.2f11b3d2c0957p-3};
};

// tanh(x) = x + x z P(z), z = x^2, |x| < kSmall.
template <>
struct Tanh<float> {
  static constexpr float kSmall = 0.55f;
  static constexpr float c[] = {-0x1.55554ap-2f, 0x1.110ceep-3f, -0x1.b91e7ep-5f, 0x1.58e518p-6f,
                                -0x1.9921ap-8f};
};
template <>
struct Tanh<double> {
  static constexpr double kSmall = 0.55;
  static constexpr double c[] = {-0x1.5555555555555p-2,  0x1.111111111108p-3,    -0x1.ba1ba1ba10e24p-5,
                                 0x1.664f487f8e6a9p-6,   -0x1.226e34cf73fb6p-7,  0x1.d6d3b102e3a0fp-9,
                                 -0x1.7da103d95c8a9p-10, 0x1.353902e6a9f6dp-11,  -0x1.f349d77fdf4f2p-13,
                                 0x1.88d7f17238b3p-14,   -0x1.11332f6d28c67p-15, 0x1.e4b9354173dd3p-18};
};

// erf(x) = x (kFirst + kFirstLow + z P(z)), z = x^2, |x| <= 1.
template <>
struct Erf<float> {
  static constexpr float kFirst = 0x1.20dd76p+0f;
  static constexpr float kFirstLow = -0x1.f7ac92p-25f;
  static constexpr float kLargest = 10.0f;  // erf is 1 from here on
  static constexpr float kSqrt2 = 0x1.6a09e6p+0f;
  static constexpr float c[] = {-0x1.812746p-2f,  0x1.ce2ee6p-4f,  -0x1.b8260ep-6f, 0x1.55fc8ep-8f,
                                -0x1.ba9b3ap-11f, 0x1.cb4064p-14f, -0x1.2533ep-17f};
};
template <>
struct Erf<double> {
  static constexpr double kFirst = 0x1.20dd750429b6dp+0;
  static constexpr double kFirstLow = 0x1.1ae3a914fed8p-56;
  static constexpr double kLargest = 27.0;
  static constexpr double kSqrt2 = 0x1.6a09e667f3bcdp+0;
  static constexpr double c[] = {-0x1.812746b0379e6p-2,  0x1.ce2f21a042b1bp-4,   -0x1.b82ce3128443p-6,
                                 0x1.565bcd0d9d6b2p-8,   -0x1.c02db3d4e2e42p-11, 0x1.f9a3211d572b9p-14,
                                 -0x1.f4d1d490cd907p-17, 0x1.b9de61a1492bdp-20,  -0x1.5f1844f86ba77p-23,
                                 0x1.f76d87959dcbdp-27,  -0x1.37bf5814accccp-30, 0x1.03a54dfd13e09p-34};
};

// The tail of the normal distribution: Q(a) = exp(-a^2 / 2) / a * G(a), and
// G(a) = kFirst + kFirstLow + q P(q), q = (a - kCentre) / (a + kCentre), 1 <= a.
template <>
struct Tail<float> {
  static constexpr float kCentre = 2.5f;
  static constexpr float kSmall = 1.0f;
  static constexpr float kLargest = 16.0f;           // Q(a) times a is zero from here on
  static constexpr float kDensity = 0x1.988454p-2f;  // 1 / sqrt(2 pi)
  static constexpr float kDensityLow = -0x1.857936p-27f;
  static constexpr float kErfScale = 0x1.6a09e6p-2f;  // 1 / (2 sqrt 2)
  static constexpr float kFirst = 0x1.69cee6p-2f;
  static constexpr float kFirstLow = 0x1.79812ep-27f;
  static constexpr float c[] = {0x1.178402p-3f,  -0x1.34f21ep-3f, 0x1.213b9ap-4f,
                                -0x1.d4ade6p-9f, -0x1.274e1p-7f,  0x1.e59fc6p-12f,
                                0x1.b7c1f2p-10f, 0x1.5c3bb4p-13f, -0x1.710b5ep-12f};
};
template <>
struct Tail<double> {
  static constexpr double kCentre = 3.0;
  static constexpr double kSmall = 1.0;
  static constexpr double kLargest = 40.0;
  static constexpr double kDensity = 0x1.9884533d43651p-2;
  static constexpr double kDensityLow = -0x1.cbc0d30ebfd15p-56;
  static constexpr double kErfScale = 0x1.6a09e667f3bcdp-2;
  static constexpr double kFirst = 0x1.754a751a56f4ap-2;
  static constexpr double kFirstLow = -0x1.6a3c7d0f4198fp-56;
  static constexpr double c[] = {
      0x1.c20d2f003805dp-4,   -0x1.1e048ed16781dp-3,  0x1.764817ebf016p-4,    -0x1.d8e3f85f8e11p-6,
      -0x1.c97936f9ef8f9p-10, 0x1.0626a7aa746ep-8,    -0x1.31f4ad0e9d3adp-17, -0x1.556ad97b99f7ap-11,
      -0x1.ac9399d357a5dp-15, 0x1.e91218fa22b8ap-14,  0x1.12ff5338a0261p-15,  -0x1.1cab47b4252a3p-16,
      -0x1.95ecc0bf11105p-17, 0x1.052b56b2481aap-24,  0x1.88c522058f7p-19,    0x1.31a4e97b78b6bp-20,
      -0x1.02d024d2d63d5p-22, -0x1.f19344dd3e9dcp-22, -0x1.87d063af271d8p-23, 0x1.1aa5daf0ea96fp-23,
      0x1.88d099c0144cap-24,  -0x1.83fbaa7f86ca3p-25};
};

// sin(r) = r + r z P(z) and cos(r) = 1 - z / 2 + z^2 P(z), z = r^2, |r| <= pi / 4 and a little more.
template <>
struct Sin<float> {
  static constexpr float c[] = {-0x1.555544p-3f, 0x1.1106c6p-7f, -0x1.991c26p-13f};
};
template <>
struct Sin<double> {
  static constexpr double c[] = {-0x1.5555555555548p-3, 0x1.111111110f6f9p-7,   -0x1.a01a019bde54fp-13,
                                 0x1.71de354986e49p-19, -0x1.ae5e411633bc6p-26, 0x1.5d880356c7928p-33};
};
template <>
struct Cos<float> {
  static constexpr float c[] = {0x1.55554ap-5f, -0x1.6c0c2p-10f, 0x1.99e42cp-16f};
};
template <>
struct Cos<double> {
  static constexpr double c[] = {0x1.555555555554ap-5,   -0x1.6c16c16c14ep-10,  0x1.a01a019c5c393p-16,
                                 -0x1.27e4f7cd3239bp-22, 0x1.1ee9c336e0de3p-29, -0x1.8f99ccff31f4ep-37};
};

// pi / 2 = kHalfPi[0] + [1] + [2]. Up to kLimit the reduction by them is accurate to the last bit.
template <>
struct Circle<float> {
  static constexpr float kMagic = 0x1.8p+23f;
  static constexpr float kInverse = 0x1.45f306p-1f;  // 2 / pi
  static constexpr float kHalfPi0 = 0x1.921fb6p+0f;
  static constexpr float kHalfPi1 = -0x1.777a5cp-25f;
  static constexpr float kHalfPi2 = -0x1.ee59dap-50f;
  static constexpr float kLimit = 0x1p+17f;
};
template <>
struct Circle<double> {
  static constexpr double kMagic = 0x1.8p+52;
  static constexpr double kInverse = 0x1.45f306dc9c883p-1;
  static constexpr double kHalfPi0 = 0x1.921fb54442d18p+0;
  static constexpr double kHalfPi1 = 0x1.1a62633145c07p-54;
  static constexpr double kHalfPi2 = -0x1.f1976b7ed8fbcp-110;
  static constexpr double kLimit = 0x1p+30;
};

}  // namespace isobit::numerics::constants
