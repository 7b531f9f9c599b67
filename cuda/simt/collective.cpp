// Collectives of a warp, and the diagnosis of those that cannot be completed.
#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <string_view>

#include "cuda/simt/device_state.h"
#include "cuda/simt/index.h"
#include "cuda/simt/runner.h"
#include "cuda/simt/tracer_hooks.h"

namespace isobit::emulator {
namespace {

bool same(const Place& a, const Place& b) {
  return a.line == b.line && (a.file == b.file || std::string_view(a.file) == b.file);
}

}  // namespace

// The slow path: names what is wrong with a request, if anything is.
void Runner::check_partners(const Request& request, const Warp& state, const Thread* warp, int lane) {
  const std::string_view name = request.operation->name;
  if ((request.mask >> lane & 1) == 0) {
    die(FaultKind::bad_mask,
        fmt::format("{}: the mask {:#010x} does not name lane {}, which calls", name, request.mask, lane),
        request.place);
  }
  if (const unsigned gone = request.mask & state.done; gone != 0) {
    const int other = std::countr_zero(gone);
    const bool exists = warp + other < threads_.data() + threads_.size();
    die(FaultKind::bad_lane,
        fmt::format("{}: the mask {:#010x} names lane {}, which {}", name, request.mask, other,
                    exists ? "has returned" : "the block does not have"),
        request.place);
  }
  for (unsigned rest = request.mask & state.posted; rest != 0; rest &= rest - 1) {
    const int other = std::countr_zero(rest);
    const Request& posted = *warp[other].request;
    if (posted.operation != request.operation || !same(posted.place, request.place)) {
      die(FaultKind::mixed_collectives,
          fmt::format("{}: lane {} waits in {} at {}:{} instead", name, other, posted.operation->name,
                      posted.place.file, posted.place.line),
          request.place);
    }
    if (posted.mask != request.mask) {
      die(FaultKind::bad_mask,
          fmt::format("{}: lane {} says mask {:#010x}, lane {} says {:#010x}", name, lane, request.mask,
                      other, posted.mask),
          request.place);
    }
  }
}

void Runner::collective(Request& request) {
  const Inside inside(*this);
  Thread& me = *current_;
  const int lane = me.linear % kWarp, first = me.linear - lane;
  Warp& state = warps_[static_cast<std::size_t>(first / kWarp)];
  Thread* const warp = &threads_[static_cast<std::size_t>(first)];
  const Request* const leader = state.leader;
  const bool as_leader = leader != nullptr && leader->mask == request.mask &&
                         leader->operation == request.operation && leader->place.line == request.place.line &&
                         leader->place.file == request.place.file;
  if ((request.mask >> lane & 1) == 0 || (request.mask & state.done) != 0 ||
      (!as_leader && (request.mask & state.posted) != 0)) {
    check_partners(request, state, warp, lane);
  }
  if (leader == nullptr) state.leader = &request;
  me.request = &request;
  state.posted |= 1u << lane;
  if ((request.mask & ~state.posted) == 0) {
    Request* lanes[kWarp] = {};
    for (unsigned rest = request.mask; rest != 0; rest &= rest - 1) {
      const int other = std::countr_zero(rest);
      lanes[other] = warp[other].request;
    }
    request.operation->compute(lanes, request.mask);
    if (tracer != nullptr && request.operation->orders_memory)
      tracer->warp_synced(first / kWarp, request.mask);
    state.posted &= ~request.mask;
    state.leader = state.posted == 0 ? nullptr : warp[std::countr_zero(state.posted)].request;
    wake_warp(first, request.mask);
  }
  wait();
}

void Runner::die(FaultKind kind, std::string text, Place place) {
  in_kernel_ = false;
  {
    const std::string at = place.line != 0 ? fmt::format(" ({}:{})", place.file, place.line) : "";
    device_fault(kind, fmt::format("{}: {}{}", where(), text, at));
  }
  // This stack is left for good: nothing on it may own memory.
  text.clear();
  text.shrink_to_fit();
  launch_->dead = true;
  leave_for_main();
  __builtin_unreachable();
}

std::string Runner::where() const {
  std::string text = fmt::format("kernel {}, block ({},{},{})", kernel_name(launch_->kernel), blockIdx.x,
                                 blockIdx.y, blockIdx.z);
  if (current_ != nullptr) {
    const uint3 t = current_->index;
    text += fmt::format(", thread ({},{},{})", t.x, t.y, t.z);
  }
  return text;
}

// Nobody can go on. Says for each place how many threads wait there, and for whom.
void Runner::report_deadlock() {
  current_ = nullptr;
  std::string text = fmt::format("{}: deadlock, {} of {} threads have returned", where(), done_, count_);
  std::vector<const Thread*> told;
  for (const Thread& t : threads_) {
    if (t.done) continue;
    const Place place = t.at_barrier ? t.barrier_place : t.request->place;
    bool known = false;
    for (const Thread* other : told) {
      known = known || same(place, other->at_barrier ? other->barrier_place : other->request->place);
    }
    if (known || told.size() == 8) continue;
    told.push_back(&t);
    int waiting = 0;
    for (const Thread& u : threads_) {
      if (!u.done && same(place, u.at_barrier ? u.barrier_place : u.request->place)) ++waiting;
    }
    text += fmt::format("; {} wait at {} {}:{}, the first is ({},{},{})", waiting,
                        t.at_barrier ? "the barrier" : t.request->operation->name, place.file, place.line,
                        t.index.x, t.index.y, t.index.z);
    if (!t.at_barrier) text += fmt::format(" with mask {:#010x}", t.request->mask);
  }
  device_fault(FaultKind::deadlock, text);
}

}  // namespace isobit::emulator
