#include "cuda/simt/tracer/global_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cuda/simt/device_state.h"
#include "cuda/simt/index.h"

namespace isobit::emulator::trace {
namespace {

// An atomic update orders blocks: whoever updates a word comes after all who updated it before (a ticket).
std::unordered_map<std::uintptr_t, std::vector<std::uint32_t>> updates;  // of this launch: word to blocks
std::unordered_set<std::uint32_t> before;  // the blocks known to come before this one

}  // namespace

void GlobalTrace::launch_begins() {
  updates.clear();
  last_ = nullptr;
  if (++launch_ < 0xfff) return;
  launch_ = 1;  // the stamps of old launches would look new
  DeviceMemory::instance().for_each_live([](Allocation& a) {
    if (a.shadow == nullptr) return;
    Cell* const c = cells(a);
    for (std::size_t i = 0; i < a.bytes; ++i) c[i] = {c[i].write != 0 ? kHost : 0, 0};
  });
}

void GlobalTrace::block_begins(const Runner& runner) {
  const dim3 grid = runner.launch().grid;
  const std::uint64_t linear =
      blockIdx.x + std::uint64_t{grid.x} * (blockIdx.y + std::uint64_t{grid.y} * blockIdx.z);
  block_ = static_cast<std::uint32_t>(linear % (kMany - 2)) + 1;
  before.clear();
  last_ = nullptr;
}

GlobalTrace::Cell* GlobalTrace::cells(Allocation& a) {
  if (a.shadow == nullptr) a.shadow.reset(new std::uint8_t[a.bytes * sizeof(Cell)]());
  return reinterpret_cast<Cell*>(a.shadow.get());
}

bool GlobalTrace::other_block(std::uint32_t stamp) const {
  if (stamp >> 20 != launch_) return false;
  const std::uint32_t block = block_of(stamp);
  return block != block_ && before.count(block) == 0;
}

void GlobalTrace::meet(std::uintptr_t address) {
  std::vector<std::uint32_t>& blocks = updates[address & ~std::uintptr_t{3}];
  before.insert(blocks.begin(), blocks.end());
  if (blocks.empty() || blocks.back() != block_) blocks.push_back(block_);
}

FaultKind GlobalTrace::check(const void* address, std::size_t bytes, AccessKind kind, std::string& text) {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  Allocation* a = last_;
  if (a == nullptr || at < a->data || at >= a->data + a->bytes) {
    a = last_ = DeviceMemory::instance().find(address);
  }
  if (a == nullptr || !a->live || at < a->data || at + bytes > a->data + a->bytes) {
    text = DeviceMemory::instance().describe(address);
    const bool freed = a != nullptr && !a->live;
    last_ = nullptr;
    return freed ? FaultKind::use_after_free : FaultKind::out_of_bounds;
  }
  if (kind == AccessKind::atomic) meet(at);
  Cell* const c = cells(*a) + (at - a->data);
  const std::uint32_t now = stamp(kind);
  for (std::size_t i = 0; i < bytes; ++i) {
    const Cell cell = c[i];
    if (kind != AccessKind::write && cell.write == 0) {
      text = fmt::format("{}: nobody has written it",
                         DeviceMemory::instance().describe(static_cast<const char*>(address) + i));
      return FaultKind::uninitialised;
    }
    if (other_block(cell.write) && !(kind == AccessKind::atomic && (cell.write & 1) != 0)) {
      text = fmt::format("{}: block {} of the grid wrote it in the same launch",
                         DeviceMemory::instance().describe(static_cast<const char*>(address) + i),
                         block_of(cell.write) - 1);
      return FaultKind::global_race;
    }
    if (kind == AccessKind::read) {
      const bool many = cell.read >> 20 == launch_ && block_of(cell.read) != block_;
      c[i].read = many ? (launch_ << 20 | kMany << 1) : now;
      continue;
    }
    if (other_block(cell.read) && (kind == AccessKind::write || (cell.read & 1) == 0)) {
      text = fmt::format("{}: another block read it in the same launch",
                         DeviceMemory::instance().describe(static_cast<const char*>(address) + i));
      return FaultKind::global_race;
    }
    c[i].write = now;
  }
  return FaultKind::none;
}

void GlobalTrace::host_copied(void* to, const void* from, std::size_t bytes) {
  DeviceMemory& memory = DeviceMemory::instance();
  const Allocation* const source = from != nullptr && memory.reserved(from) ? memory.find(from) : nullptr;
  const Cell* const in = source == nullptr || source->shadow == nullptr
                             ? nullptr
                             : reinterpret_cast<const Cell*>(source->shadow.get()) +
                                   (reinterpret_cast<std::uintptr_t>(from) - source->data);
  if (memory.reserved(to)) {
    Allocation* const a = memory.find(to);
    Cell* const out = cells(*a) + (reinterpret_cast<std::uintptr_t>(to) - a->data);
    for (std::size_t i = 0; i < bytes; ++i) {
      const bool written = source == nullptr || (in != nullptr && in[i].write != 0);
      out[i] = {written ? kHost : 0, 0};
    }
    return;
  }
  if (source == nullptr) return;
  for (std::size_t i = 0; i < bytes; ++i) {
    if (in != nullptr && in[i].write != 0) continue;
    device_fault(FaultKind::uninitialised, fmt::format("the host copies {}: nobody has written it",
                                                       memory.describe(static_cast<const char*>(from) + i)));
    return;
  }
}

}  // namespace isobit::emulator::trace
