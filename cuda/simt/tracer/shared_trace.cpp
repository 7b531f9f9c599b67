#include "cuda/simt/tracer/shared_trace.h"

#include <fmt/format.h>

namespace isobit::emulator::trace {

void SharedTrace::block_begins() {
  ++block_;
  for (int w = 0; w < kMaxThreads / kWarp; ++w) {
    meetings_[w] = full_meetings_[w] = 0;
    partial_[w].clear();
  }
}

void SharedTrace::warp_synced(int warp, unsigned mask) {
  const std::uint32_t number = ++meetings_[warp];
  if (mask == 0xffffffffu) {
    full_meetings_[warp] = number;
    partial_[warp].clear();
  } else {
    partial_[warp].push_back({mask, number});
  }
}

SharedTrace::Cell& SharedTrace::cell(std::size_t offset) {
  Cell& c = cells_[offset];
  if (c.block != block_) {
    c = Cell{};
    c.block = block_;
  }
  return c;
}

// Whether threads a and b of one warp were together in a __syncwarp after the moment.
bool SharedTrace::met_since(std::uint16_t a, std::uint16_t b, const Moment& moment) const {
  const int warp = a / kWarp;
  if (b / kWarp != warp) return false;
  if (full_meetings_[warp] > moment.meetings) return true;
  for (const Meeting& m : partial_[warp]) {
    if (m.number > moment.meetings && (m.mask >> a % kWarp & 1) != 0 && (m.mask >> b % kWarp & 1) != 0)
      return true;
  }
  return false;
}

bool SharedTrace::all_met_since(int warp, const Moment& moment) const {
  return full_meetings_[warp] > moment.meetings;
}

bool SharedTrace::races_with_write(const Cell& c, std::uint16_t me, std::int32_t barriers) const {
  return c.writer != kNobody && c.writer != me && c.write.barriers == barriers &&
         !met_since(c.writer, me, c.write);
}

bool SharedTrace::races_with_reads(const Cell& c, std::uint16_t me, std::int32_t barriers) const {
  if (c.reader == kNobody || c.reader == me || c.read.barriers != barriers) return false;
  if (c.reader != kMany) return !met_since(c.reader, me, c.read);
  return c.reader_warp != me / kWarp || !all_met_since(me / kWarp, c.read);
}

FaultKind SharedTrace::check(Runner& runner, const void* address, std::size_t bytes, AccessKind kind,
                             std::string& text) {
  const std::size_t offset = runner.shared().offset(address);
  const SharedArena::Variable* variable = nullptr;
  for (const SharedArena::Variable& v : runner.shared().variables()) {
    if (offset >= v.offset && offset + bytes <= v.offset + v.bytes) variable = &v;
  }
  const auto name_of_variable = [](const SharedArena::Variable& v) {
    return v.tag != nullptr ? v.tag->name : "the dynamic shared memory";
  };
  if (variable == nullptr) {
    const SharedArena::Variable* near = nullptr;
    for (const SharedArena::Variable& v : runner.shared().variables()) {
      if (near == nullptr || v.offset <= offset) near = &v;
    }
    text = fmt::format("shared memory, byte {} of {} ({} bytes)",
                       static_cast<std::ptrdiff_t>(offset) - static_cast<std::ptrdiff_t>(near->offset),
                       name_of_variable(*near), near->bytes);
    return FaultKind::out_of_bounds;
  }
  const std::uint16_t me = runner.thread()->linear;
  const auto barriers = static_cast<std::int32_t>(runner.epoch());
  const Moment now{barriers, meetings_[me / kWarp]};
  const auto say = [&](std::size_t i, const std::string& what) {
    text = fmt::format("byte {} of {}: {}", offset + i - variable->offset, name_of_variable(*variable), what);
  };
  for (std::size_t i = 0; i < bytes; ++i) {
    Cell& c = cell(offset + i);
    if (c.pending) {
      say(i, "an asynchronous copy to it has not been waited for");
      return FaultKind::pending_copy;
    }
    if (kind != AccessKind::write && !c.written) {
      say(i, "nobody has written it");
      return FaultKind::uninitialised;
    }
    if (!(kind == AccessKind::atomic && c.atomic) && races_with_write(c, me, barriers)) {
      say(i, fmt::format("thread {} of the block wrote it since the last barrier", c.writer));
      return FaultKind::shared_race;
    }
    if (kind == AccessKind::read) {
      const bool another = c.reader != kNobody && c.reader != me && c.read.barriers == barriers;
      const auto warp = static_cast<std::uint16_t>(me / kWarp);
      c.reader_warp = another && c.reader_warp != warp ? kMany : warp;
      c.reader = another ? kMany : me;
      c.read = now;
      continue;
    }
    if (races_with_reads(c, me, barriers)) {
      say(i, c.reader == kMany
                 ? std::string("other threads of the block read it since the last barrier")
                 : fmt::format("thread {} of the block read it since the last barrier", c.reader));
      return FaultKind::shared_race;
    }
    c.writer = me;
    c.write = now;
    c.written = true;
    c.atomic = kind == AccessKind::atomic;
  }
  return FaultKind::none;
}

void SharedTrace::set_pending(Runner& runner, const void* address, std::size_t bytes, bool pending) {
  const std::size_t offset = runner.shared().offset(address);
  const std::uint16_t me = runner.thread()->linear;
  for (std::size_t i = 0; i < bytes; ++i) {
    Cell& c = cell(offset + i);
    c.pending = pending;
    c.written = true;
    c.writer = me;
    c.write = {static_cast<std::int32_t>(runner.epoch()), meetings_[me / kWarp]};
  }
}

}  // namespace isobit::emulator::trace
