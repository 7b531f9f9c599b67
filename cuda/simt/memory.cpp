#include "cuda/simt/memory.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "cuda/simt/emulator.h"
#include "cuda/simt/sanitizers.h"
#include "cuda/simt/signals.h"

namespace isobit::emulator {
namespace {

constexpr unsigned char kFence = 0xfd;
constexpr std::size_t kAlignment = 256;
constexpr std::size_t kPoolBlock = 512;     // what the driver's pool deals in
constexpr std::size_t kRemembered = 16384;  // freed allocations, for messages

void* pointer(std::uintptr_t address) {
  return reinterpret_cast<void*>(address);
}
std::size_t round_up(std::size_t bytes, std::size_t to) {
  return (bytes + to - 1) / to * to;
}

}  // namespace

DeviceMemory& DeviceMemory::instance() {
  static DeviceMemory& memory = *new DeviceMemory;  // outlives every static that holds a tensor
  return memory;
}

DeviceMemory::DeviceMemory() : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {}

void DeviceMemory::reserve() {
  catch_bad_accesses();
  for (range_ = std::size_t{1} << 40; range_ >= std::size_t{1} << 32; range_ /= 4) {
    void* const memory = mmap(nullptr, range_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) continue;
    base_ = reinterpret_cast<std::uintptr_t>(memory);
    next_ = base_ + page_;
    return;
  }
  throw std::bad_alloc();
}

// The next stretch of `bytes` that holds no live allocation; forgets the freed ones in it.
std::uintptr_t DeviceMemory::find_room(std::size_t bytes) {
  if (bytes + 2 * page_ > range_) return 0;
  bool wrapped = false;
  for (;;) {
    if (next_ + bytes + page_ > base_ + range_) {
      if (wrapped) return 0;
      wrapped = true;
      next_ = base_ + page_;
    }
    auto it = allocations_.upper_bound(next_);
    if (it != allocations_.begin()) --it;
    std::uintptr_t moved = 0;
    while (it != allocations_.end() && it->first < next_ + bytes + page_) {
      const std::uintptr_t end = it->first + it->second.page_bytes + page_;
      if (end <= next_) {
        ++it;
      } else if (it->second.live) {
        moved = end;
        break;
      } else {
        it = allocations_.erase(it);
        --freed_;
      }
    }
    if (moved == 0) return next_;
    next_ = moved;
  }
}

void* DeviceMemory::allocate(std::size_t bytes, bool pooled) {
  const std::size_t limit = settings().memory;
  const std::size_t room = round_up(std::max<std::size_t>(bytes, 1), pooled ? kPoolBlock : kAlignment);
  if (room > limit || used_ + (pooled ? 0 : pool_cached_) + room > limit) return nullptr;
  if (base_ == 0) reserve();
  const std::size_t page_bytes = round_up(room, page_);
  const std::uintptr_t pages = find_room(page_bytes);
  if (pages == 0) return nullptr;
  if (mprotect(pointer(pages), page_bytes, PROT_READ | PROT_WRITE) != 0) return nullptr;
  next_ = pages + page_bytes + page_;
  Allocation& a = allocations_[pages];
  a.pages = pages;
  a.page_bytes = page_bytes;
  a.data = pages + page_bytes - room;
  a.bytes = bytes;
  a.room = room;
  a.number = ++count_;
  a.pooled = pooled;
  std::memset(pointer(pages), kFence, a.data - pages);
  std::memset(pointer(a.data), 0xff, bytes);  // NaN in every floating type
  std::memset(pointer(a.data + bytes), kFence, room - bytes);
  poison(pointer(pages), a.data - pages);
  poison(pointer(a.data + bytes), room - bytes);
  if (hidden_) mprotect(pointer(pages), page_bytes, PROT_NONE);
  used_ += room;
  if (pooled) {
    pool_used_ += room;
    pool_cached_ -= std::min(pool_cached_, room);
    pool_used_high_ = std::max(pool_used_high_, pool_used_);
  }
  // What the pool keeps gives way to what is asked for.
  pool_cached_ = std::min(pool_cached_, limit - used_);
  pool_reserved_high_ = std::max(pool_reserved_high_, pool_used_ + pool_cached_);
  return pointer(a.data);
}

bool DeviceMemory::whole(const Allocation& a) const {
  if (kAsan) return true;  // poison has been reported already
  const auto is_fence = [](std::uintptr_t from, std::size_t bytes) {
    const auto* p = static_cast<const unsigned char*>(pointer(from));
    return bytes == 0 || (p[0] == kFence && std::memcmp(p, p + 1, bytes - 1) == 0);
  };
  return is_fence(a.pages, a.data - a.pages) && is_fence(a.data + a.bytes, a.room - a.bytes);
}

bool DeviceMemory::release(const void* data, std::string& why) {
  Allocation* const a = find(data);
  if (a == nullptr) {
    why = reserved(data) ? describe(data) : fmt::format("{} is no device memory", data);
    return false;
  }
  if (!a->live || a->data != reinterpret_cast<std::uintptr_t>(data)) {
    why = a->live ? "it is not the start of the allocation: " + describe(data)
                  : "it was freed before: " + describe(data);
    return false;
  }
  {
    const Access access;
    if (!whole(*a)) {
      why = fmt::format("a fence around allocation {} of {} bytes was written to", a->number, a->bytes);
    }
  }
  unpoison(pointer(a->pages), a->page_bytes);
  madvise(pointer(a->pages), a->page_bytes, MADV_DONTNEED);
  mprotect(pointer(a->pages), a->page_bytes, PROT_NONE);
  a->live = false;
  a->shadow.reset();
  used_ -= a->room;
  if (a->pooled) {
    pool_used_ -= a->room;
    pool_cached_ += a->room;
  }
  if (++freed_ > kRemembered) {  // forget the oldest: those after the newest, going round
    auto it = allocations_.upper_bound(next_);
    for (std::size_t steps = 0; steps <= allocations_.size(); ++steps, ++it) {
      if (it == allocations_.end()) it = allocations_.begin();
      if (it->second.live) continue;
      allocations_.erase(it);
      --freed_;
      break;
    }
  }
  return why.empty();
}

const Allocation* DeviceMemory::find(const void* address) const {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  auto it = allocations_.upper_bound(at);
  if (it == allocations_.begin()) return nullptr;
  --it;
  return at < it->first + it->second.page_bytes ? &it->second : nullptr;
}
Allocation* DeviceMemory::find(const void* address) {
  return const_cast<Allocation*>(static_cast<const DeviceMemory*>(this)->find(address));
}

bool DeviceMemory::reserved(const void* address) const {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  return base_ != 0 && at >= base_ && at < base_ + range_;
}

std::string DeviceMemory::describe(const void* address) const {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  const Allocation* near = nullptr;
  auto it = allocations_.upper_bound(at);
  if (it != allocations_.end()) near = &it->second;
  if (it != allocations_.begin()) {
    const Allocation& before = std::prev(it)->second;
    if (near == nullptr || at - before.data < 2 * before.room || at - before.data < near->data - at)
      near = &before;
  }
  if (near == nullptr)
    return fmt::format("{} lies in device memory, where nothing was ever allocated", address);
  const char* const freed = near->live ? "" : ", which was freed";
  if (at < near->data) {
    return fmt::format("{} is {} bytes before allocation {} of {} bytes{}", address, near->data - at,
                       near->number, near->bytes, freed);
  }
  if (at < near->data + near->bytes) {
    return fmt::format("{} is byte {} of allocation {} of {} bytes{}", address, at - near->data, near->number,
                       near->bytes, freed);
  }
  return fmt::format("{} is {} bytes behind the end of allocation {} of {} bytes{}", address,
                     at - near->data - near->bytes, near->number, near->bytes, freed);
}

std::string DeviceMemory::broken_fence() const {
  const Access access;
  for (const auto& [pages, a] : allocations_) {
    if (a.live && !whole(a)) {
      return fmt::format("a fence around allocation {} of {} bytes was written to", a.number, a.bytes);
    }
  }
  return {};
}

void DeviceMemory::trim(std::size_t keep) {
  pool_cached_ = std::min(pool_cached_, keep > pool_used_ ? keep - pool_used_ : 0);
}

void DeviceMemory::forget_all() {
  for (auto& [pages, a] : allocations_) {
    if (!a.live) continue;
    unpoison(pointer(a.pages), a.page_bytes);
    madvise(pointer(a.pages), a.page_bytes, MADV_DONTNEED);
    mprotect(pointer(a.pages), a.page_bytes, PROT_NONE);
  }
  allocations_.clear();
  freed_ = used_ = pool_used_ = pool_used_high_ = pool_cached_ = pool_reserved_high_ = 0;
}

void DeviceMemory::set_access(bool accessible) {
  for (const auto& [pages, a] : allocations_) {
    if (a.live) mprotect(pointer(a.pages), a.page_bytes, accessible ? PROT_READ | PROT_WRITE : PROT_NONE);
  }
  hidden_ = !accessible;
}

void DeviceMemory::open() {
  if (open_++ == 0 && hidden_) set_access(true);
}

void DeviceMemory::close() {
  if (--open_ == 0 && settings().protect && !hidden_) set_access(false);
}

}  // namespace isobit::emulator
