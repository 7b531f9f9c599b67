// Convolutions of small random shapes, for tests that try many.
#pragma once
#include "tests/support/plain_conv.h"

namespace isobit::test {

/// A small pseudo-random number in [low, high].
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  std::int64_t operator()(std::int64_t low, std::int64_t high) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return low + static_cast<std::int64_t>((state_ >> 33) % static_cast<std::uint64_t>(high - low + 1));
  }

 private:
  std::uint64_t state_;
};

inline PlainConv random_conv(Draw& draw) {
  PlainConv c;
  c.groups = draw(0, 2) == 0 ? draw(2, 3) : 1;
  c.n = draw(1, 3);
  c.r = draw(1, 4);
  c.s = draw(1, 4);
  c.dilation = draw(1, 2);
  c.stride = draw(1, 3);
  c.h = draw(c.r * 2, 10);
  c.w = draw(c.s * 2, 10);
  c.c = c.groups * draw(1, draw(0, 5) == 0 ? 200 : 9);
  c.k = c.groups * draw(1, 9);
  c.top = draw(0, 2);
  c.bottom = draw(0, 2);
  c.left = draw(0, 2);
  c.right = draw(0, 2);
  return c;
}

}  // namespace isobit::test
