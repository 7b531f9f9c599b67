#include "cuda/simt/async_copy.h"

#include <fmt/format.h>

#include <cstdint>
#include <cstring>

#include "cuda/simt/runner.h"
#include "cuda/simt/tracer_hooks.h"

namespace isobit::emulator {

void async_copy(void* shared, const void* global, int bytes, int filled, const char* file, int line) {
  Runner::current()->async_copy(shared, global, bytes, filled, {file, line});
}
void async_commit() {
  Runner::current()->async_commit();
}
void async_wait(int groups) {
  Runner::current()->async_wait(groups);
}

void Runner::async_copy(void* destination, const void* source, int bytes, int filled, Place place) {
  const Inside inside(*this);
  if ((bytes != 4 && bytes != 8 && bytes != 16) || filled < 0 || filled > bytes) {
    die(FaultKind::bad_async_copy, fmt::format("cp.async of {} of {} bytes", filled, bytes), place);
  }
  if (!shared_.holds(destination))
    die(FaultKind::bad_async_copy, "cp.async to what is not shared memory", place);
  const auto size = static_cast<std::uintptr_t>(bytes);
  if (reinterpret_cast<std::uintptr_t>(destination) % size != 0 ||
      reinterpret_cast<std::uintptr_t>(source) % size != 0) {
    die(FaultKind::misaligned,
        fmt::format("cp.async of {} bytes, {} <- {}, which are not multiples", bytes, destination, source),
        place);
  }
  if (tracer != nullptr) tracer->copy_issued(destination, source, bytes, filled, place.file, place.line);
  std::memset(destination, 0xff, size);
  copies_.push_back({destination, source, static_cast<std::uint8_t>(bytes), static_cast<std::uint8_t>(filled),
                     commits_[current_->linear], current_->copies});
  current_->copies = static_cast<std::int32_t>(copies_.size()) - 1;
}

void Runner::async_commit() {
  ++commits_[current_->linear];
}

void Runner::async_wait(int groups) {
  const Inside inside(*this);
  // Copies form a chain, newest first; those in the newest `groups` commits, and those not committed, stay
  // open.
  std::int32_t* link = &current_->copies;
  while (*link >= 0) {
    AsyncCopy& copy = copies_[static_cast<std::size_t>(*link)];
    if (copy.group < commits_[current_->linear] - groups) {
      std::memcpy(copy.destination, copy.source, copy.filled);
      std::memset(static_cast<char*>(copy.destination) + copy.filled, 0, copy.bytes - copy.filled);
      if (tracer != nullptr) tracer->copy_landed(copy.destination, copy.bytes);
      *link = copy.previous;
    } else {
      link = &copy.previous;
    }
  }
}

}  // namespace isobit::emulator
