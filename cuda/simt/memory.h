// The device's memory: a reserved range of addresses in which every allocation has inaccessible pages around
// it and fences up to them, starts as NaN, and is not handed out again until the whole range has gone round.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace isobit::emulator {

struct Allocation {
  std::uintptr_t data = 0;   // what the caller got: 256-byte aligned
  std::size_t bytes = 0;     // what the caller asked for
  std::size_t room = 0;      // `bytes` rounded up to 256
  std::uintptr_t pages = 0;  // first accessible byte; the last one is that of the room
  std::size_t page_bytes = 0;
  std::uint64_t number = 0;  // the how manieth
  bool live = true;
  bool pooled = false;                     // from the stream-ordered pool
  std::unique_ptr<std::uint8_t[]> shadow;  // the tracer's, one byte each
};

class DeviceMemory {
 public:
  static DeviceMemory& instance();

  /// Null when the simulated device is full.
  void* allocate(std::size_t bytes, bool pooled);
  /// Whether `data` was the start of a live allocation. Says in `why` what else it was.
  bool release(const void* data, std::string& why);
  /// Of which allocation this is a byte, be it live or freed; null when of none.
  const Allocation* find(const void* address) const;
  Allocation* find(const void* address);
  /// Whether the address lies in the reserved range, allocated or not.
  bool reserved(const void* address) const;
  /// A sentence about an address in the range: which allocation is near and how far.
  std::string describe(const void* address) const;
  /// Names an allocation whose fence was written to; empty when all are whole.
  std::string broken_fence() const;
  void forget_all();
  template <class F>
  void for_each_live(F&& f) {
    for (auto& [pages, a] : allocations_) {
      if (a.live) f(a);
    }
  }

  std::size_t used() const { return used_; }
  std::size_t pool_used() const { return pool_used_; }
  std::size_t pool_used_high() const { return pool_used_high_; }
  std::size_t pool_cached() const { return pool_cached_; }
  std::size_t pool_reserved_high() const { return pool_reserved_high_; }
  void reset_high() { pool_used_high_ = pool_used_, pool_reserved_high_ = pool_used_ + pool_cached_; }
  /// Gives cached memory of the pool back until no more than `keep` bytes are reserved.
  void trim(std::size_t keep);
  std::uint64_t release_threshold = 0;

  /// Under ISOBIT_SIMT_PROTECT=1 memory is accessible only while at least one of these lives.
  class Access {
   public:
    Access() { instance().open(); }
    ~Access() { instance().close(); }
    Access(const Access&) = delete;
    Access& operator=(const Access&) = delete;
  };

 private:
  DeviceMemory();
  void reserve();
  std::uintptr_t find_room(std::size_t bytes);
  void open();
  void close();
  void set_access(bool accessible);
  bool whole(const Allocation& a) const;

  std::uintptr_t base_ = 0, next_ = 0;
  std::size_t range_ = 0, page_ = 4096;
  std::map<std::uintptr_t, Allocation> allocations_;  // by their first page, the freed ones included
  std::size_t freed_ = 0;
  std::size_t used_ = 0, pool_used_ = 0, pool_used_high_ = 0, pool_cached_ = 0, pool_reserved_high_ = 0;
  std::uint64_t count_ = 0;
  int open_ = 0;
  bool hidden_ = false;  // inaccessible now
};

}  // namespace isobit::emulator
