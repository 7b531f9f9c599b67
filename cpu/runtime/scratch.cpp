// A thread's stack of chunks: objects lie in the chunk on top, or in a further one that is, up to a MiB, at
// least twice as large. When the stack is empty again several chunks are given back in favour of one of their
// total size, so that a repeated call settles in a single chunk. Large chunks are whole huge pages: panels
// and slabs that are streamed through then need few translations.
#include "cpu/runtime/scratch.h"

#include <isobit/error.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <limits>
#include <vector>

#include "cpu/runtime/poison.h"

namespace isobit::cpu::detail {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kFirstChunk = std::size_t{64} << 10;
constexpr std::size_t kHugeFrom = std::size_t{1} << 19;  ///< such chunks take whole huge pages
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kKeptAtMost = std::size_t{64} << 20;
constexpr std::size_t kGrownAtMost = std::size_t{1}
                                     << 20;  ///< beyond that a chunk is no larger than asked for

std::atomic<std::int64_t> held_by_all{0}, most_held{0};

void count_held(std::int64_t change) noexcept {
  const std::int64_t now = held_by_all.fetch_add(change, std::memory_order_relaxed) + change;
  std::int64_t most = most_held.load(std::memory_order_relaxed);
  while (now > most && !most_held.compare_exchange_weak(most, now, std::memory_order_relaxed)) {
  }
}

struct Chunk {
  std::byte* data = nullptr;
  std::size_t size = 0, used = 0;
};

class Stack {
 public:
  Stack() = default;
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  ~Stack() { free_from(0); }

  void* take(std::size_t bytes, ScratchMark* mark) {
    // Under the sanitizer a poisoned line lies between two objects. An object without bytes takes a line too:
    // the one behind it is not the first of the stack, whose end frees the chunks.
    const std::size_t size = (std::max<std::size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment +
                             (kPoisons ? kAlignment : 0);
    if (chunks_.empty()) add(std::max(size, next_size_));
    *mark = {top_, chunks_[top_].used};
    if (chunks_[top_].size - chunks_[top_].used < size) {
      if (top_ + 1 < chunks_.size() && chunks_[top_ + 1].size < size) free_from(top_ + 1);
      if (top_ + 1 == chunks_.size()) add(std::max(size, std::min(2 * chunks_[top_].size, kGrownAtMost)));
      ++top_;
    }
    Chunk& chunk = chunks_[top_];
    std::byte* data = chunk.data + chunk.used;
    chunk.used += size;
    unpoison(data, bytes);
    return data;
  }

  void give_back(const ScratchMark& mark) noexcept {
    for (; top_ > mark.chunk; --top_) give_back_in(chunks_[top_], 0);
    give_back_in(chunks_[top_], mark.used);
    if (top_ != 0 || mark.used != 0) return;
    const std::size_t total = held();
    if (chunks_.size() == 1 && total <= kKeptAtMost) return;
    free_from(0);
    next_size_ = total <= kKeptAtMost ? total : kFirstChunk;
  }

  /// Gives all of it back to the system when no object is left.
  void release() noexcept {
    if (top_ != 0 || chunks_.empty() || chunks_[0].used != 0) return;
    free_from(0);
    next_size_ = kFirstChunk;
  }

  std::size_t held() const noexcept {
    std::size_t sum = 0;
    for (const Chunk& chunk : chunks_) sum += chunk.size;
    return sum;
  }

 private:
  static void give_back_in(Chunk& chunk, std::size_t used) noexcept {
    poison(chunk.data + used, chunk.used - used);
    chunk.used = used;
  }

  void add(std::size_t size) {
    chunks_.reserve(chunks_.size() + 1);
    const bool huge = size >= kHugeFrom && size <= std::numeric_limits<std::size_t>::max() - kHugePage;
    if (huge) size = (size + kHugePage - 1) / kHugePage * kHugePage;
    void* data = std::aligned_alloc(huge ? kHugePage : kAlignment, size == 0 ? kAlignment : size);
    if (data == nullptr)
      throw OutOfMemory("scratch", fmt::format("{} bytes of working memory asked for, {} held by this thread",
                                               size, held()));
#ifdef MADV_HUGEPAGE
    if (huge) madvise(data, size, MADV_HUGEPAGE);  // advice: a refusal costs speed only
#endif
    poison(data, size);
    chunks_.push_back({static_cast<std::byte*>(data), size, 0});
    count_held(static_cast<std::int64_t>(size));
  }

  void free_from(std::size_t first) noexcept {
    for (; chunks_.size() > first; chunks_.pop_back()) {
      unpoison(chunks_.back().data, chunks_.back().size);
      std::free(chunks_.back().data);
      count_held(-static_cast<std::int64_t>(chunks_.back().size));
    }
    if (first == 0) top_ = 0;
  }

  std::vector<Chunk> chunks_;
  std::size_t top_ = 0;
  std::size_t next_size_ = kFirstChunk;
};

thread_local Stack stack;

}  // namespace

void* take_scratch(std::size_t bytes, ScratchMark* mark) {
  return stack.take(bytes, mark);
}

void give_scratch_back(const ScratchMark& mark) noexcept {
  stack.give_back(mark);
}

std::size_t scratch_held() noexcept {
  return stack.held();
}

void release_scratch() noexcept {
  stack.release();
}

ScratchStats scratch_stats() noexcept {
  return {held_by_all.load(std::memory_order_relaxed), most_held.load(std::memory_order_relaxed)};
}

void reset_scratch_peak() noexcept {
  most_held.store(held_by_all.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

void fail_scratch(std::int64_t count, std::size_t size) {
  fail("scratch", "{} elements of {} bytes are no size of working memory", count, size);
}

}  // namespace isobit::cpu::detail
