// Fences and poison of test buffers.
#include "tests/support/buffers.h"

#include <isobit/error.h>

#include <algorithm>

namespace isobit::test {

FencedBuffer::FencedBuffer(DType dtype, std::int64_t numel, std::int64_t skip)
    : dtype_(dtype), numel_(numel) {
  if (numel < 0 || skip < 0) fail("FencedBuffer", "{} elements behind {}", numel, skip);
  bytes_ = static_cast<std::size_t>(numel * size_of(dtype));
  const std::size_t before = kFence + static_cast<std::size_t>(skip * size_of(dtype));
  memory_.assign(before + bytes_ + kFence + 64, static_cast<std::byte>(kPattern));
  const std::size_t misaligned = reinterpret_cast<std::uintptr_t>(memory_.data()) % 64;
  begin_ = (misaligned == 0 ? 0 : 64 - misaligned) + before;
  poison();
}

void FencedBuffer::poison() {
  std::fill_n(memory_.begin() + static_cast<std::ptrdiff_t>(begin_), bytes_, std::byte{0xff});
}

}  // namespace isobit::test
