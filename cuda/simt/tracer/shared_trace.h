// What is known of the bytes of the running block's shared memory: who touched them last, and what lies
// between.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cuda/simt/runner.h"
#include "cuda/simt/tracer/tracer.h"

namespace isobit::emulator::trace {

class SharedTrace {
 public:
  SharedTrace() : cells_(SharedArena::kBytes) {}
  void block_begins();
  void warp_synced(int warp, unsigned mask);
  FaultKind check(Runner& runner, const void* address, std::size_t bytes, AccessKind kind, std::string& text);
  void set_pending(Runner& runner, const void* address, std::size_t bytes, bool pending);

 private:
  static constexpr std::uint16_t kNobody = 0xffff, kMany = 0xfffe;
  // A moment in the life of a block: barriers passed, and meetings of the warp.
  struct Moment {
    std::int32_t barriers = -1;
    std::uint32_t meetings = 0;
  };
  struct Cell {
    std::uint32_t block = 0;  // of which block this speaks; any other's is void
    std::uint16_t writer = kNobody, reader = kNobody;
    std::uint16_t reader_warp = 0;  // of all the readers, kMany when they are of several
    bool written = false, pending = false, atomic = false;
    Moment write, read;
  };
  struct Meeting {
    unsigned mask;
    std::uint32_t number;
  };

  Cell& cell(std::size_t offset);
  bool met_since(std::uint16_t a, std::uint16_t b, const Moment& moment) const;
  bool all_met_since(int warp, const Moment& moment) const;
  bool races_with_write(const Cell& c, std::uint16_t me, std::int32_t barriers) const;
  bool races_with_reads(const Cell& c, std::uint16_t me, std::int32_t barriers) const;

  std::vector<Cell> cells_;
  std::uint32_t block_ = 0;
  std::uint32_t meetings_[kMaxThreads / kWarp] = {};
  std::uint32_t full_meetings_[kMaxThreads / kWarp] = {};  // the number of the last one of all lanes
  std::vector<Meeting> partial_[kMaxThreads / kWarp];
};

}  // namespace isobit::emulator::trace
