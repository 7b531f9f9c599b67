#include "cuda/simt/shared_arena.h"

#include <sys/mman.h>

#include <cstring>
#include <new>

#include "cuda/simt/sanitizers.h"

namespace isobit::emulator {
namespace {

constexpr unsigned char kFenceByte = 0xfd;

}  // namespace

SharedArena::SharedArena() {
  void* const memory =
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  memory_ = static_cast<unsigned char*>(memory);
}

SharedArena::~SharedArena() {
  unpoison(memory_, kBytes);
  munmap(memory_, kBytes);
}

void SharedArena::reset(std::size_t dynamic_bytes) {
  unpoison(memory_, end_);
  variables_.clear();
  used_ = 0;
  end_ = kFence;
  std::memset(memory_, kFenceByte, kFence);
  poison(memory_, kFence);
  make(nullptr, dynamic_bytes);
}

void* SharedArena::make(const SharedTag* tag, std::size_t bytes) {
  const std::size_t room = (bytes + 15) / 16 * 16;
  used_ += room;
  if (used_ > kLimit ||
      (tag != nullptr && used_ - (variables_.front().bytes + 15) / 16 * 16 > kStaticLimit)) {
    return nullptr;
  }
  unsigned char* const place = memory_ + end_;
  variables_.push_back({tag, end_, bytes});
  std::memset(place, 0xff, bytes);  // NaN in every floating type
  std::memset(place + bytes, kFenceByte, room - bytes + kFence);
  end_ += room + kFence;
  poison(place + bytes, room - bytes + kFence);
  return place;
}

const SharedArena::Variable* SharedArena::broken() const {
  if (kAsan) return nullptr;  // it has faulted already, and poison is not to be read
  static const std::vector<unsigned char> fence(kFence + 16, kFenceByte);
  const auto whole = [&](std::size_t from, std::size_t to) {
    return std::memcmp(memory_ + from, fence.data(), to - from) == 0;
  };
  if (!whole(0, kFence)) return &variables_.front();
  for (const Variable& v : variables_) {
    const std::size_t room = (v.bytes + 15) / 16 * 16;
    if (!whole(v.offset + v.bytes, v.offset + room + kFence)) return &v;
  }
  return nullptr;
}

}  // namespace isobit::emulator
