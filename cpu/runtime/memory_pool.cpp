// The caching pool: thread caches in front of free lists in front of the system.
#include "cpu/runtime/memory_pool.h"

#include <isobit/error.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <memory>
#include <new>

#include "cpu/runtime/poison.h"

namespace isobit::cpu {
namespace {

constexpr std::int64_t kAlignment = 64;
constexpr std::int64_t kLinearUpTo = 1024;
constexpr std::int64_t kMapFrom = std::int64_t{1} << 20;   // blocks of their own pages
constexpr std::int64_t kHugeFrom = std::int64_t{4} << 20;  // on 2 MiB borders, with huge pages
constexpr std::int64_t kHugePage = std::int64_t{2} << 20;
constexpr std::int64_t kCacheSlack = std::int64_t{256} << 20;  // cached beyond the peak of use
constexpr std::int64_t kSystemTail = kPoisons ? 64 : 0;        // never handed out, always poisoned

int class_of(std::int64_t bytes) {
  if (bytes <= kLinearUpTo) return static_cast<int>((bytes - 1) / kAlignment);
  const auto last = static_cast<std::uint64_t>(bytes - 1);
  const int exponent = 63 - std::countl_zero(last);  // 2^exponent < bytes <= 2^(exponent + 1)
  const int step = static_cast<int>((last >> (exponent - 3)) & 7);
  return 16 + (exponent - 10) * 8 + step;
}

std::int64_t size_of_class(int c) {
  if (c < 16) return (c + 1) * kAlignment;
  const int exponent = (c - 16) / 8 + 10;
  const std::int64_t step = (c - 16) % 8 + 1;
  return (std::int64_t{1} << exponent) + (step << (exponent - 3));
}

std::int64_t physical_memory() {
  static const std::int64_t bytes = [] {
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
    return pages > 0 && page > 0 ? std::int64_t{pages} * page : std::int64_t{1} << 47;
  }();
  return bytes;
}

void* map(std::int64_t size) {
  const auto wanted = static_cast<std::size_t>(size);
  const std::size_t extra = size >= kHugeFrom ? static_cast<std::size_t>(kHugePage) : 0;
  void* raw = mmap(nullptr, wanted + extra, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  if (extra == 0) return raw;
  char* begin = static_cast<char*>(raw);
  const std::size_t off = reinterpret_cast<std::uintptr_t>(begin) % extra;
  const std::size_t before = off == 0 ? 0 : extra - off;
  if (before != 0) munmap(begin, before);
  // The kernel unmaps whole pages: round what is kept up to them.
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGE_SIZE));
  const std::size_t kept = (wanted + page - 1) / page * page;
  if (before + kept < wanted + extra) munmap(begin + before + kept, wanted + extra - before - kept);
#ifdef MADV_HUGEPAGE
  madvise(begin + before, kept, MADV_HUGEPAGE);  // advice: a refusal costs speed only
#endif
  return begin + before;
}

}  // namespace

struct MemoryPool::ThreadCache {
  static constexpr int kSlots = 32;
  std::uint32_t epoch = 0;
  std::atomic<std::int64_t> allocations{0};  // written by the owner alone
  std::uint8_t count[kSmallClasses] = {};
  void* slots[kSmallClasses][kSlots];

  static int limit(int size_class) {
    return static_cast<int>(std::clamp<std::int64_t>((128 << 10) / size_of_class(size_class), 2, kSlots));
  }
};

namespace {

thread_local MemoryPool::ThreadCache* own_cache = nullptr;  // no destructor: cheap to read
thread_local bool own_cache_gone = false;

}  // namespace

// Ends a thread's cache with the thread.
struct ThreadCacheHolder {
  std::unique_ptr<MemoryPool::ThreadCache> cache;
  ~ThreadCacheHolder() {
    own_cache = nullptr;
    own_cache_gone = true;
    if (cache) MemoryPool::instance().forget(*cache);
  }
};

MemoryPool& MemoryPool::instance() {
  static MemoryPool* pool = new MemoryPool;  // never destroyed: tensors may outlive every static object
  return *pool;
}

MemoryPool::ThreadCache* MemoryPool::thread_cache() {
  if (own_cache != nullptr) [[likely]] {
    if (own_cache->epoch != epoch_.load(std::memory_order_relaxed)) [[unlikely]]
      flush(*own_cache);
    return own_cache;
  }
  if (own_cache_gone) return nullptr;
  thread_local ThreadCacheHolder holder;
  try {
    auto cache = std::make_unique<ThreadCache>();
    cache->epoch = epoch_.load(std::memory_order_relaxed);
    const std::lock_guard lock(mutex_);
    threads_.push_back(cache.get());
    holder.cache = std::move(cache);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  return own_cache = holder.cache.get();
}

void MemoryPool::count_use(std::int64_t size) {
  const std::int64_t now = current_.fetch_add(size, std::memory_order_relaxed) + size;
  std::int64_t peak = peak_.load(std::memory_order_relaxed);
  while (now > peak && !peak_.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
}

void* MemoryPool::allocate(std::int64_t bytes) {
  if (bytes == 0) return nullptr;
  if (bytes < 0) fail("allocate", "{} bytes asked for", bytes);
  if (bytes > physical_memory())
    throw OutOfMemory("allocate", fmt::format("{} bytes asked for, the machine has {}; {} in use, {} cached",
                                              bytes, physical_memory(), stats().current, stats().cached));
  const int size_class = class_of(bytes);
  void* data = nullptr;
  ThreadCache* cache = size_class < kSmallClasses ? thread_cache() : nullptr;
  if (cache != nullptr) {
    cache->allocations.store(cache->allocations.load(std::memory_order_relaxed) + 1,
                             std::memory_order_relaxed);
    if (cache->count[size_class] != 0) data = cache->slots[size_class][--cache->count[size_class]];
  } else {
    allocations_.fetch_add(1, std::memory_order_relaxed);
  }
  if (data == nullptr) data = take_central(size_class);
  if (data == nullptr) data = from_system(size_class, bytes);
  count_use(size_of_class(size_class));
  if constexpr (kPoisons) unpoison(data, static_cast<std::size_t>(bytes));
  return data;
}

void MemoryPool::deallocate(void* data, std::int64_t bytes) noexcept {
  if (data == nullptr) return;
  const int size_class = class_of(bytes);
  const std::int64_t size = size_of_class(size_class);
  if constexpr (kPoisons) poison(data, static_cast<std::size_t>(size));
  current_.fetch_sub(size, std::memory_order_relaxed);
  ThreadCache* cache = size_class < kSmallClasses ? thread_cache() : nullptr;
  if (cache == nullptr) {
    give_central(size_class, data);
    return;
  }
  if (cache->count[size_class] == ThreadCache::limit(size_class))
    give_central(size_class, cache->slots[size_class][--cache->count[size_class]]);
  cache->slots[size_class][cache->count[size_class]++] = data;
}

void* MemoryPool::take_central(int size_class) {
  const std::lock_guard lock(mutex_);
  std::vector<void*>& list = free_[size_class];
  if (list.empty()) return nullptr;
  void* data = list.back();
  list.pop_back();
  return data;
}

void MemoryPool::give_central(int size_class, void* data) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    free_[size_class].push_back(data);
  } catch (const std::bad_alloc&) {
    release(size_class, data);
  }
}

void* MemoryPool::from_system(int size_class, std::int64_t asked) {
  const std::int64_t size = size_of_class(size_class);
  const std::int64_t used = current_.load(std::memory_order_relaxed) + size;
  const std::int64_t bound = 2 * std::max(peak_.load(std::memory_order_relaxed), used) + kCacheSlack;
  if (size >= kMapFrom && held_.load(std::memory_order_relaxed) + size > bound) empty_central();
  const auto get = [&] {
    return size >= kMapFrom ? map(size + kSystemTail)
                            : std::aligned_alloc(kAlignment, static_cast<std::size_t>(size + kSystemTail));
  };
  void* data = get();
  if (data == nullptr) {
    empty_cache();
    data = get();
  }
  if (data == nullptr) {
    const MemoryStats now = stats();
    throw OutOfMemory("allocate",
                      fmt::format("{} bytes asked for, {} in use, {} cached: the system has no more", asked,
                                  now.current, now.cached));
  }
  if constexpr (kPoisons) poison(data, static_cast<std::size_t>(size + kSystemTail));
  held_.fetch_add(size, std::memory_order_relaxed);
  from_system_.fetch_add(1, std::memory_order_relaxed);
  return data;
}

void MemoryPool::release(int size_class, void* data) noexcept {
  const std::int64_t size = size_of_class(size_class);
  const auto whole = static_cast<std::size_t>(size + kSystemTail);
  if constexpr (kPoisons) unpoison(data, whole);
  if (size >= kMapFrom)
    munmap(data, whole);
  else
    std::free(data);
  held_.fetch_sub(size, std::memory_order_relaxed);
}

void MemoryPool::flush(ThreadCache& cache) noexcept {
  const std::uint32_t now = epoch_.load(std::memory_order_relaxed);
  for (int c = 0; c < kSmallClasses; ++c) {
    while (cache.count[c] != 0) release(c, cache.slots[c][--cache.count[c]]);
  }
  cache.epoch = now;
}

void MemoryPool::forget(ThreadCache& cache) noexcept {
  for (int c = 0; c < kSmallClasses; ++c) {
    while (cache.count[c] != 0) give_central(c, cache.slots[c][--cache.count[c]]);
  }
  allocations_.fetch_add(cache.allocations.load(std::memory_order_relaxed), std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  threads_.erase(std::find(threads_.begin(), threads_.end(), &cache));
}

void MemoryPool::empty_central() noexcept {
  const std::lock_guard lock(mutex_);
  for (int c = 0; c < kClasses; ++c) {
    for (void* data : free_[c]) release(c, data);
    free_[c].clear();
  }
}

void MemoryPool::empty_cache() {
  epoch_.fetch_add(1, std::memory_order_relaxed);
  thread_cache();  // a stale one is flushed
  empty_central();
}

MemoryStats MemoryPool::stats() const {
  MemoryStats s;
  s.current = current_.load(std::memory_order_relaxed);
  s.peak = peak_.load(std::memory_order_relaxed);
  s.cached = std::max<std::int64_t>(held_.load(std::memory_order_relaxed) - s.current, 0);
  s.from_system = from_system_.load(std::memory_order_relaxed);
  s.allocations = allocations_.load(std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  for (const ThreadCache* cache : threads_)
    s.allocations += cache->allocations.load(std::memory_order_relaxed);
  return s;
}

void MemoryPool::reset_peak() {
  peak_.store(current_.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

std::int64_t MemoryPool::rounded(std::int64_t bytes) {
  return bytes <= 0 ? 0 : size_of_class(class_of(bytes));
}

}  // namespace isobit::cpu
