#include "cuda/simt/runner.h"

#include <fmt/format.h>

#include "core/numerics/fp_mode.h"
#include "cuda/simt/device_state.h"
#include "cuda/simt/index.h"
#include "cuda/simt/signals.h"
#include "cuda/simt/tracer_hooks.h"

namespace isobit::emulator {

constinit thread_local uint3 threadIdx{0, 0, 0};
constinit thread_local uint3 blockIdx{0, 0, 0};
constinit thread_local dim3 blockDim{1, 1, 1};
constinit thread_local dim3 gridDim{1, 1, 1};

namespace {

constinit thread_local Runner* active = nullptr;

// The i-th of n in a shuffled order: a step that shares no factor with n visits every number once.
std::uint64_t shuffled(std::uint64_t i, std::uint64_t n, std::uint64_t seed) {
  std::uint64_t step = (n * 618 / 1000 + seed * 7) % n;
  const auto common = [](std::uint64_t a, std::uint64_t b) {
    while (b != 0) {
      const std::uint64_t rest = a % b;
      a = b;
      b = rest;
    }
    return a;
  };
  while (common(step, n) != 1) step = step + 1 < n ? step + 1 : 1;
  return (i * step + seed) % n;
}

}  // namespace

Runner::Runner() : stacks_(std::make_unique<Stacks>(kMaxThreads)) {
  free_.reserve(kMaxThreads);
  copies_.reserve(1024);
}

Runner::~Runner() = default;

Runner* Runner::current() {
  return active;
}

void Runner::prepare_launch(Launch& launch) {
  launch_ = &launch;
  blockDim = launch.block;
  gridDim = launch.grid;
  const dim3 b = launch.block;
  count_ = static_cast<int>(b.x * b.y * b.z);
  if (b.x != block_shape_.x || b.y != block_shape_.y || b.z != block_shape_.z) {
    block_shape_ = b;
    threads_.assign(static_cast<std::size_t>(count_), Thread{});
    for (unsigned i = 0; i < threads_.size(); ++i) {
      threads_[i].index = {i % b.x, i / b.x % b.y, i / b.x / b.y};
      threads_[i].linear = static_cast<std::uint16_t>(i);
    }
  }
  order_.resize(static_cast<std::size_t>(count_));
  for (int i = 0; i < count_; ++i) {
    order_[static_cast<std::size_t>(i)] =
        static_cast<std::uint16_t>(launch.schedule == Schedule::reverse ? count_ - 1 - i : i);
  }
}

void Runner::run(Launch& launch) {
  const numerics::FpMode exact;
  use_signal_stack();
  Runner* const outer = active;
  active = this;
  prepare_launch(launch);
  const std::uint64_t plane = std::uint64_t{launch.grid.x} * launch.grid.y;
  const std::uint64_t blocks = plane * launch.grid.z;
  while (!launch.dead.load(std::memory_order_relaxed)) {
    std::uint64_t i = launch.next_block.fetch_add(1, std::memory_order_relaxed);
    if (i >= blocks) break;
    if (launch.schedule == Schedule::reverse) i = blocks - 1 - i;
    if (launch.schedule == Schedule::shuffled) i = shuffled(i, blocks, launch.seed);
    random_state_ = (launch.seed + 1) * 0x9e3779b97f4a7c15u ^ (i + 1) * 0xbf58476d1ce4e5b9u;
    run_block({static_cast<unsigned>(i % launch.grid.x),
               static_cast<unsigned>(i / launch.grid.x % launch.grid.y), static_cast<unsigned>(i / plane)});
  }
  current_ = nullptr;
  active = outer;
}

void Runner::run_block(uint3 block) {
  blockIdx = block;
  current_ = nullptr;
  next_ = done_ = waiting_ = trues_ = barriers_ = 0;
  ready_begin_ = ready_end_ = 0;
  dead_ = false;
  for (Thread& t : threads_) {
    t.started = t.done = t.at_barrier = false;
    t.request = nullptr;
    t.copies = -1;
  }
  for (int first = 0; first < count_; first += kWarp) {
    warps_[static_cast<std::size_t>(first / kWarp)] = {
        0, count_ - first < kWarp ? ~0u << (count_ - first) : 0u, nullptr};
  }
  copies_.clear();
  commits_.fill(0);
  shared_.reset(launch_->shared);
  if (tracer != nullptr) tracer->block_began(*this);
  if (launch_->schedule == Schedule::shuffled) {  // warps in any order, and the lanes within them
    for (std::size_t i = order_.size(); i > 1; --i) {
      const std::size_t from = i % kWarp == 0 ? i - kWarp : i / kWarp * kWarp;
      std::swap(order_[i - 1], order_[from + random() % (i - from)]);
    }
    for (std::size_t warps = order_.size() / kWarp; warps > 1; --warps) {
      const std::size_t other = random() % warps;
      for (std::size_t lane = 0; lane < kWarp; ++lane) {
        std::swap(order_[(warps - 1) * kWarp + lane], order_[other * kWarp + lane]);
      }
    }
  }
  while (done_ < count_ && !dead_) {
    if (Fiber* const next = pick()) {
      main_.switch_to(next->context);
    } else {
      report_deadlock();
      dead_ = true;
    }
  }
  if (dead_) return abandon();
  current_ = nullptr;
  if (tracer != nullptr) tracer->block_ended(*this);
  if (const SharedArena::Variable* v = shared_.broken()) {
    device_fault(FaultKind::shared_fence,
                 fmt::format("{}: written beyond the {} bytes of {}", where(), v->bytes,
                             v->tag != nullptr ? v->tag->name : "the dynamic shared memory"));
    launch_->dead = true;
  }
}

// The fibers' stacks hold threads that will never go on; device code has no destructors that would be missed.
void Runner::abandon() {
  launch_->dead = true;
  free_.clear();
  for (auto& fiber : fibers_) {
    prepare_fiber(*fiber);
    free_.push_back(fiber.get());
  }
}

void Runner::prepare_fiber(Fiber& fiber) {
  // Stacks that all began at the same place of a page would fight for the same lines of the cache.
  const std::size_t skip = static_cast<std::size_t>(fiber.index) * 7 % 256 * 64;
  fiber.context.prepare(fiber.stack, stacks_->usable(), skip, fiber_entry);
}

void Runner::fiber_entry() {
  Context::entered();
  active->fiber_main(*active->starting_);
}

void Runner::fiber_main(Fiber& me) {
  for (;;) {
    while (ready_begin_ == ready_end_ && next_ < count_) {
      Thread& thread = threads_[order_[static_cast<std::size_t>(next_++)]];
      start(thread, me);
      in_kernel_ = true;
      launch_->invoke(launch_->payload);
      in_kernel_ = false;
      finish(thread);
    }
    free_.push_back(&me);
    Fiber* const next = pick();
    if (next != &me) me.context.switch_to(next != nullptr ? next->context : main_);
  }
}

void Runner::start(Thread& thread, Fiber& fiber) {
  thread.fiber = &fiber;
  thread.started = true;
  current_ = &thread;
  threadIdx = thread.index;
}

void Runner::finish(Thread& thread) {
  thread.done = true;
  ++done_;
  warps_[thread.linear / kWarp].done |= 1u << thread.linear % kWarp;
  if (waiting_ > 0) {
    die(FaultKind::returned_before_barrier,
        fmt::format("the thread returned while {} threads wait at the barrier {}:{}", waiting_,
                    barrier_first_->barrier_place.file, barrier_first_->barrier_place.line),
        barrier_first_->barrier_place);
  }
}

Fiber* Runner::pick() {
  if (ready_begin_ != ready_end_) return pop()->fiber;
  if (next_ < count_) return free_fiber();
  return nullptr;
}

Fiber* Runner::free_fiber() {
  if (free_.empty()) {
    auto fiber = std::make_unique<Fiber>();
    fiber->index = static_cast<int>(fibers_.size());
    fiber->stack = stacks_->at(fibers_.size());
    fibers_.push_back(std::move(fiber));
    Fiber& made = *fibers_.back();
    prepare_fiber(made);
    free_.push_back(&made);
  }
  starting_ = free_.back();
  free_.pop_back();
  return starting_;
}

void Runner::wait() {
  Thread* const me = current_;
  Fiber* const mine = me->fiber;
  Fiber* const next = pick();
  if (next != mine) mine->context.switch_to(next != nullptr ? next->context : main_);
  current_ = me;
  threadIdx = me->index;
}

void Runner::leave_for_main() {
  dead_ = true;
  current_->fiber->context.switch_to(main_);
}

void Runner::push_back(Thread* thread) {
  ready_[ready_end_++ % ready_.size()] = thread;
}
void Runner::push_front(Thread* thread) {
  ready_[--ready_begin_ % ready_.size()] = thread;
}

Thread* Runner::pop() {
  if (launch_->schedule == Schedule::shuffled) {
    const std::uint64_t draw = random();
    if (draw % 4 == 0) {
      const unsigned other = ready_begin_ + static_cast<unsigned>((draw >> 8) % (ready_end_ - ready_begin_));
      std::swap(ready_[ready_begin_ % ready_.size()], ready_[other % ready_.size()]);
    }
  }
  return ready_[ready_begin_++ % ready_.size()];
}

std::uint64_t Runner::random() {
  random_state_ ^= random_state_ << 13;
  random_state_ ^= random_state_ >> 7;
  random_state_ ^= random_state_ << 17;
  return random_state_;
}

int Runner::barrier(BarrierKind kind, bool predicate, Place place) {
  const Inside inside(*this);
  Thread& me = *current_;
  if (done_ > 0) {
    die(FaultKind::returned_before_barrier,
        fmt::format("{} of {} threads have returned without coming to this barrier", done_, count_), place);
  }
  if (waiting_ == 0) {
    barrier_first_ = &me;
    barrier_kind_ = kind;
    trues_ = 0;
  } else if (const Place& first = barrier_first_->barrier_place;
             first.line != place.line || kind != barrier_kind_ ||
             (first.file != place.file && std::string_view(first.file) != place.file)) {
    const uint3 other = barrier_first_->index;
    die(FaultKind::divergent_barrier,
        fmt::format("this barrier is not the one where thread ({},{},{}) waits, {}:{}", other.x, other.y,
                    other.z, first.file, first.line),
        place);
  }
  me.barrier_place = place;
  me.at_barrier = true;
  trues_ += predicate ? 1 : 0;
  if (++waiting_ == count_) {
    barrier_result_ = kind == BarrierKind::all   ? trues_ == count_
                      : kind == BarrierKind::any ? trues_ > 0
                                                 : trues_;
    waiting_ = 0;
    ++barriers_;
    wake_block();
  }
  wait();
  return barrier_result_;
}

void Runner::wake_block() {
  for (Thread& t : threads_) t.at_barrier = false;
  if (launch_->schedule == Schedule::ahead) {  // the warp that came last goes first
    const int warp = current_->linear / kWarp * kWarp;
    for (int i = 0; i < count_; ++i) push_back(&threads_[static_cast<std::size_t>((warp + i) % count_)]);
    return;
  }
  for (const std::uint16_t i : order_) push_back(&threads_[i]);
}

void Runner::wake_warp(int first, unsigned mask) {
  bool front = launch_->schedule == Schedule::ahead;
  if (launch_->schedule == Schedule::shuffled) front = random() % 2 == 0;
  const bool backwards = (launch_->schedule == Schedule::reverse) != front;
  for (int i = 0; i < kWarp; ++i) {
    const int lane = backwards ? kWarp - 1 - i : i;
    if ((mask >> lane & 1) == 0) continue;
    Thread* const thread = &threads_[static_cast<std::size_t>(first + lane)];
    thread->request = nullptr;
    front ? push_front(thread) : push_back(thread);
  }
}

bool Runner::owns_stack(const void* address) const {
  const auto* base = static_cast<const char*>(stacks_->base());
  return address >= base && address < base + stacks_->bytes();
}

}  // namespace isobit::emulator
