#include "cuda/simt/tracer/tracer.h"

#include <fmt/format.h>
#include <link.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "cuda/simt/device_state.h"
#include "cuda/simt/index.h"
#include "cuda/simt/memory.h"
#include "cuda/simt/runner.h"
#include "cuda/simt/tracer/global_trace.h"
#include "cuda/simt/tracer/shared_trace.h"
#include "cuda/simt/tracer_hooks.h"

namespace isobit::emulator {
namespace trace {
namespace {

GlobalTrace& global() {
  static GlobalTrace& g = *new GlobalTrace;
  return g;
}
SharedTrace& shared() {
  static SharedTrace& s = *new SharedTrace;
  return s;
}

std::uint64_t traced = 0;
int counted_blocks = 0;

struct Segment {
  std::uintptr_t begin, end;
};

// Static data of the program and its libraries: constants, which kernels may read.
bool is_static(const void* address) {
  static const std::vector<Segment> segments = [] {
    std::vector<Segment> found;
    dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* out) {
          for (int i = 0; i < info->dlpi_phnum; ++i) {
            const auto& h = info->dlpi_phdr[i];
            if (h.p_type != PT_LOAD) continue;
            static_cast<std::vector<Segment>*>(out)->push_back(
                {info->dlpi_addr + h.p_vaddr, info->dlpi_addr + h.p_vaddr + h.p_memsz});
          }
          return 0;
        },
        &found);
    return found;
  }();
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  for (const Segment& s : segments) {
    if (at >= s.begin && at < s.end) return true;
  }
  return false;
}

bool within(const void* address, const void* begin, std::size_t bytes) {
  return address >= begin && address < static_cast<const char*>(begin) + bytes;
}

// threadIdx and its like, and the launch's arguments.
bool is_the_emulators(const Runner& runner, const void* address) {
  return within(address, &threadIdx, sizeof threadIdx) || within(address, &blockIdx, sizeof blockIdx) ||
         within(address, &blockDim, sizeof blockDim) || within(address, &gridDim, sizeof gridDim) ||
         within(address, runner.launch().payload, runner.launch().payload_bytes);
}

constexpr const char* kVerbs[] = {"reads", "writes", "updates"};

[[noreturn]] void report(Runner& runner, FaultKind kind, AccessKind how, std::size_t bytes, const void* pc,
                         const std::string& text) {
  runner.die(kind,
             fmt::format("{} {} bytes: {} (at {})", kVerbs[static_cast<int>(how)], bytes, text, place_of(pc)),
             {"", 0});
}

void check(Runner& runner, const void* address, std::size_t bytes, AccessKind kind, const void* pc) {
  std::string text;
  FaultKind fault = FaultKind::none;
  const bool in_shared = runner.shared().holds(address);
  if (in_shared) {
    fault = shared().check(runner, address, bytes, kind, text);
  } else if (DeviceMemory::instance().reserved(address)) {
    fault = global().check(address, bytes, kind, text);
  } else if (runner.owns_stack(address) || is_the_emulators(runner, address)) {
    return;
  } else if (is_static(address)) {
    if (kind == AccessKind::read) return;
    fault = FaultKind::host_pointer;
    text = fmt::format("{} is a static variable of the host", address);
  } else {
    fault = FaultKind::host_pointer;
    text = fmt::format("{} is no memory of the device", address);
  }
  if (fault == FaultKind::none && bytes <= 16 && (bytes & (bytes - 1)) == 0 &&
      reinterpret_cast<std::uintptr_t>(address) % bytes != 0) {
    fault = FaultKind::misaligned;
    text = fmt::format("{} is no multiple", address);
  }
  if (fault != FaultKind::none) report(runner, fault, kind, bytes, pc, text);
  ++traced;
  if (counting() && counted_blocks <= 2 && kind != AccessKind::atomic) {
    log({pc}, runner.launch().kernel, runner.thread()->linear, address, bytes, in_shared,
        kind == AccessKind::write);
  }
}

void launching() {
  global().launch_begins();
  counted_blocks = 0;
}
void block_began(Runner& runner) {
  ++counted_blocks;
  global().block_begins(runner);
  shared().block_begins();
}
void block_ended(Runner&) {
  if (counting()) flush_log();
}
void warp_synced(int warp, unsigned mask) {
  shared().warp_synced(warp, mask);
}
void copied(void* to, const void* from, std::size_t bytes) {
  global().host_copied(to, from, bytes);
}

void copy_issued(void* to, const void* from, int bytes, int filled, const char* file, int line) {
  Runner& runner = *Runner::current();
  std::string text;
  FaultKind fault = shared().check(runner, to, static_cast<std::size_t>(bytes), AccessKind::write, text);
  if (fault == FaultKind::none && filled > 0) {
    if (DeviceMemory::instance().reserved(from)) {
      fault = global().check(from, static_cast<std::size_t>(filled), AccessKind::read, text);
    } else {
      fault = FaultKind::host_pointer;
      text = fmt::format("{} is no global memory", from);
    }
  }
  if (fault != FaultKind::none) runner.die(fault, "cp.async: " + text, {file, line});
  shared().set_pending(runner, to, static_cast<std::size_t>(bytes), true);
  if (counting() && counted_blocks <= 2) {
    const Instruction copy{nullptr, file, line};
    const std::uint16_t thread = runner.thread()->linear;
    const void* const kernel = runner.launch().kernel;
    if (filled > 0) log(copy, kernel, thread, from, static_cast<std::size_t>(filled), false, false);
    log(copy, kernel, thread, to, static_cast<std::size_t>(bytes), true, true);
  }
}
void copy_landed(void* to, int bytes) {
  shared().set_pending(*Runner::current(), to, static_cast<std::size_t>(bytes), false);
}

constexpr TracerHooks kHooks{launching, block_began, block_ended, warp_synced,
                             copied,    copy_issued, copy_landed};
const bool linked = [] {
  tracer = &kHooks;
  return true;
}();

}  // namespace

void access(const void* address, std::size_t bytes, AccessKind kind, const void* pc) {
  Runner* const runner = Runner::current();
  if (runner == nullptr || !runner->in_kernel()) return;  // code of the host in the same files
  const Runner::Inside inside(*runner);
  check(*runner, address, bytes, kind, pc);
}

std::string Instruction::place() const {
  return file == nullptr ? place_of(pc) : fmt::format("{}:{}", file, line);
}

std::string place_of(const void* pc) {
  // The return address is that of the next instruction.
  const void* const call = static_cast<const char*>(pc) - 1;
  std::string place = kernel_name(call);
  struct Found {
    std::uintptr_t at, base;
    std::string file;
    bool done;
  } found{reinterpret_cast<std::uintptr_t>(call), 0, {}, false};
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* out) {
        auto& f = *static_cast<Found*>(out);
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& h = info->dlpi_phdr[i];
          if (h.p_type != PT_LOAD || f.at < info->dlpi_addr + h.p_vaddr ||
              f.at >= info->dlpi_addr + h.p_vaddr + h.p_memsz) {
            continue;
          }
          f.base = info->dlpi_addr;
          f.file = *info->dlpi_name != '\0' ? info->dlpi_name : "/proc/self/exe";
          return 1;
        }
        return 0;
      },
      &found);
  // addr2line reads the lines; it is there wherever a compiler is.
  char path[4096];
  const ssize_t length =
      found.file == "/proc/self/exe" ? readlink("/proc/self/exe", path, sizeof path - 1) : -1;
  if (length > 0) found.file.assign(path, static_cast<std::size_t>(length));
  const std::string command =
      fmt::format("addr2line -e '{}' {:#x} 2>/dev/null", found.file, found.at - found.base);
  if (std::FILE* const out = popen(command.c_str(), "r")) {
    std::array<char, 1024> line{};
    if (std::fgets(line.data(), line.size(), out) != nullptr) {
      std::string text = line.data();
      if (const auto end = text.find_first_of(" \n"); end != std::string::npos) text.resize(end);
      if (text.find("??") == std::string::npos && !text.empty()) place = text;
    }
    pclose(out);
  }
  return place;
}

}  // namespace trace

std::uint64_t accesses_traced() {
  return trace::traced;
}

}  // namespace isobit::emulator
