#include "cuda/simt/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#include "cuda/simt/sanitizers.h"

#if !defined(__x86_64__) && !defined(__aarch64__)
#include <ucontext.h>
#endif

#if defined(__x86_64__)
extern "C" void isobit_emulator_switch(void** from, void* to) __attribute__((visibility("hidden")));
__asm__(R"(
.text
.p2align 4
.globl isobit_emulator_switch
.hidden isobit_emulator_switch
.type isobit_emulator_switch, @function
isobit_emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size isobit_emulator_switch, .-isobit_emulator_switch
)");
#elif defined(__aarch64__)
extern "C" void isobit_emulator_switch(void** from, void* to) __attribute__((visibility("hidden")));
__asm__(R"(
.text
.p2align 4
.globl isobit_emulator_switch
.hidden isobit_emulator_switch
.type isobit_emulator_switch, %function
isobit_emulator_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size isobit_emulator_switch, .-isobit_emulator_switch
)");
#endif

namespace isobit::emulator {
namespace {

// The context that is being left: the sanitizer tells its stack's bounds only on arrival in the next.
[[maybe_unused]] thread_local Context* leaving = nullptr;

#if !defined(__x86_64__) && !defined(__aarch64__)
ucontext_t& fallback_of(void*& slot) {
  if (slot == nullptr) slot = new ucontext_t;
  return *static_cast<ucontext_t*>(slot);
}
#endif

}  // namespace

Context::~Context() {
  if constexpr (kTsan) {
    if (owns_tsan_fiber_) __tsan_destroy_fiber(tsan_fiber_);
  }
#if !defined(__x86_64__) && !defined(__aarch64__)
  delete static_cast<ucontext_t*>(fallback_);
#endif
}

void Context::prepare(void* stack, std::size_t bytes, std::size_t skip, void (*entry)()) {
  stack_ = stack;
  stack_bytes_ = bytes;
  fake_stack_ = nullptr;
  unpoison(stack, bytes);
  if constexpr (kTsan) {
    if (owns_tsan_fiber_) __tsan_destroy_fiber(tsan_fiber_);
    tsan_fiber_ = __tsan_create_fiber(0);
    owns_tsan_fiber_ = true;
  }
  const std::uintptr_t top = (reinterpret_cast<std::uintptr_t>(stack) + bytes - skip) & ~std::uintptr_t{63};
#if defined(__x86_64__)
  // Six registers, the address that `ret` takes, and a return address of null to end the unwinding.
  auto* frame = reinterpret_cast<std::uintptr_t*>(top) - 8;
  for (int i = 0; i < 8; ++i) frame[i] = 0;
  frame[6] = reinterpret_cast<std::uintptr_t>(entry);
  stack_pointer_ = frame;
#elif defined(__aarch64__)
  auto* frame = reinterpret_cast<std::uintptr_t*>(top) - 20;
  for (int i = 0; i < 20; ++i) frame[i] = 0;
  frame[11] = reinterpret_cast<std::uintptr_t>(entry);  // x30
  stack_pointer_ = frame;
#else
  ucontext_t& context = fallback_of(fallback_);
  getcontext(&context);
  context.uc_stack.ss_sp = stack;
  context.uc_stack.ss_size = top - reinterpret_cast<std::uintptr_t>(stack);
  context.uc_link = nullptr;
  makecontext(&context, entry, 0);
#endif
}

void Context::switch_to(Context& next) {
  if constexpr (kTsan) {
    if (tsan_fiber_ == nullptr) tsan_fiber_ = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(next.tsan_fiber_, 0);
  }
  if constexpr (kAsan) {
    leaving = this;
    __sanitizer_start_switch_fiber(&fake_stack_, next.stack_, next.stack_bytes_);
  }
#if defined(__x86_64__) || defined(__aarch64__)
  isobit_emulator_switch(&stack_pointer_, next.stack_pointer_);
#else
  swapcontext(&fallback_of(fallback_), &fallback_of(next.fallback_));
#endif
  if constexpr (kAsan) {
    __sanitizer_finish_switch_fiber(fake_stack_, const_cast<const void**>(&leaving->stack_),
                                    &leaving->stack_bytes_);
  }
}

void Context::entered() {
  if constexpr (kAsan) {
    __sanitizer_finish_switch_fiber(nullptr, const_cast<const void**>(&leaving->stack_),
                                    &leaving->stack_bytes_);
  }
}

Stacks::Stacks(std::size_t count) : count_(count) {
  void* const memory =
      mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  base_ = static_cast<char*>(memory);
}

Stacks::~Stacks() {
  munmap(base_, bytes());
}

void* Stacks::at(std::size_t i) {
  for (; guarded_ <= i; ++guarded_) mprotect(base_ + guarded_ * kBytes, kGuard, PROT_NONE);
  return base_ + i * kBytes + kGuard;
}

}  // namespace isobit::emulator
