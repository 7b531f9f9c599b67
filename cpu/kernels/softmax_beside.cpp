// softmax and log_softmax of rows of f32 with AVX-512, in which no step of a row waits for the one before it:
// while the exponentials of a row are computed, a row some rows before it is written, and the extent of one
// as far behind it is taken. The same bits as softmax.cpp's, which serves all the rest. Twin:
// cuda/kernels/softmax.cu.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/softmax_beside.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/ahead-inl.h"
#include "cpu/kernels/elementary_stages-inl.h"
#include "cpu/kernels/softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3
namespace {

using stages::Four;

/// ranges::exp_of.
HWY_INLINE Four exp_of(const Four& x) {
  using E = constants::Exp<float>;
  constexpr float kMagic = 0x1.8p+23f;
  const Four shifted = stages::fma(x, E::kLog2E, kMagic);
  const Four n = shifted - kMagic;
  const Four remainder = stages::fma(n, -E::kLn2High, x);
  const Four f = stages::fma(n, -E::kLn2Low, remainder);
  Four p = stages::fma(f, E::c[5], E::c[4]);
  p = stages::fma(p, f, E::c[3]);
  p = stages::fma(p, f, E::c[2]);
  p = stages::fma(p, f, E::c[1]);
  p = stages::fma(p, f, E::c[0]);
  const Four value = stages::fma(f, stages::fma(f, p, 1.0f), 1.0f);
  return stages::each(
      [&](int i) HWY_ATTR { return ranges::times_power(value.r[i], shift_left<23>(to_bits(shifted.r[i]))); });
}

/// What is written of a row before, by four registers or by one.
struct SharesBefore : NarrowShares {
  HWY_INLINE Four four(std::int64_t i) const {
    const Four e = stages::load_four(from + i), inverse(quotient.inverse);
    const Four near = stages::fma(e, inverse, e * quotient.rest);
    return stages::fma(stages::fnma(quotient.s, near, e), inverse, near);
  }
};
struct LogarithmsBefore : Logarithms<float, float> {
  HWY_INLINE Four four(std::int64_t i) const { return (stages::load_four(from + i) - m) - log_s; }
};

/// Elements from p to where the next line begins.
inline std::int64_t to_line(const float* p) {
  return static_cast<std::int64_t>(-reinterpret_cast<std::uintptr_t>(p) % kLineBytes / sizeof(float));
}

/// A row that is written beside another, past the caches where it fills lines.
template <bool kStream, class Before>
class Writing {
  static constexpr std::int64_t kSize = Vec<float>::size, kBlock = 4 * kSize;

 public:
  HWY_INLINE Writing(const Before& before, std::int64_t n)
      : before_(before), n_(n), done_(kStream ? to_line(before.to) : 0) {
    if (done_ == 0) return;
    // One by one: a register's store, though masked, would wait for the next line, too.
    HWY_ALIGN float head[kSize];
    Before short_of_line = before_;
    short_of_line.to = head;
    short_of_line.template write<false, true>(0, done_);
    for (std::int64_t i = 0; i < done_; ++i) before_.to[i] = head[i];
  }
  HWY_INLINE void block() {
    if (done_ + kBlock > n_) return;
    const Four y = before_.four(done_);
    put_four(y.r[0], y.r[1], y.r[2], y.r[3], before_.to + done_, kStream);
    done_ += kBlock;
  }
  HWY_INLINE void rest() {
    for (; done_ + kSize <= n_; done_ += kSize) before_.template write<kStream, false>(done_, kSize);
    if (done_ < n_) before_.template write<false, true>(done_, n_ - done_);
  }

 private:
  const Before before_;
  const std::int64_t n_;
  std::int64_t done_;
};

/// The sum of a narrow row's exponentials, which are stored in e unless this is log_softmax; meanwhile
/// another row is looked at and one is written.
template <bool kLog, bool kStream, class Before>
HWY_NOINLINE float sum_beside(const float* x, std::int64_t n, float largest, float* e, const float* ahead,
                              const float* asked, const float* asked_y, const Before& before,
                              Extent<float>& of_ahead) {
  constexpr std::int64_t size = Vec<float>::size, block = numerics::kLanes;
  static_assert(block == 4 * size);
  const Vec<float> m(largest);
  Looked looked(ahead);
  Writing<kStream, Before> writing(before, n);
  Four sum(0.0f);
  std::int64_t i = 0;
  for (; i + block <= n; i += block) {
    for (std::int64_t k = 0; k < block; k += size) {
      __builtin_prefetch(asked + i + k, 0, 2);
      if (!kStream) __builtin_prefetch(asked_y + i + k, 1, 2);
    }
    for (std::int64_t k = 0; k < block; k += size) looked.look(ahead + i + k);
    const Four exponentials = exp_of(stages::load_four(x + i) - m);
    if constexpr (!kLog)
      put_four(exponentials.r[0], exponentials.r[1], exponentials.r[2], exponentials.r[3], e + i, false);
    sum = sum + exponentials;
    writing.block();
  }
  LaneChains<float> chains{{sum.r[0], sum.r[1], sum.r[2], sum.r[3]}};
  const auto join = [&](auto tail, auto k, std::int64_t at, std::int64_t lanes) HWY_ATTR {
    looked.look(tail.value ? ahead + n - size : ahead + at);
    const Vec<float> v = ranges::exp_of(load_some<float, tail.value>(x + at, lanes) - m);
    if constexpr (!kLog) store_some<tail.value>(v, e + at, lanes);
    const Vec<float> joined = chains.chain[k] + v;
    chains.chain[k] = tail.value ? select(first_n<float>(lanes), joined, chains.chain[k]) : joined;
  };
  if (i < n)
    repeat<4>([&](auto k) HWY_ATTR {
      const std::int64_t at = i + k * size, left = n - at;
      if (left > 0) __builtin_prefetch(asked + at, 0, 2);
      if (left >= size) {
        join(std::false_type(), k, at, size);
      } else if (left > 0) {
        join(std::true_type(), k, at, left);
      }
    });
  writing.rest();
  of_ahead = looked.extent();
  return chains.join();
}

/// Bytes from which on rows go past the caches even where two share a line.
inline constexpr std::int64_t kLongRow = 2048;

/// A row on its way: its extent, then its sum, then it is written.
struct OnTheWay {
  Extent<float> of;
  float sum = 0;
  bool narrow = false;  // the shares of the sum, too
};

template <bool kLog, bool kStream>
void rows_beside(std::int64_t rows, std::int64_t columns, const float* x, float* y) {
  constexpr std::int64_t kRing = 16, kAsked = 16384 / sizeof(float);
  for_rows(rows, columns * 40, [&](std::int64_t begin, std::int64_t end) {
    // So short rows that several are on their way: the processor would see the end of more than one.
    const std::int64_t apart = columns >= 512 ? 1 : columns >= 256 ? 2 : columns >= 128 ? 4 : 8;
    const std::int64_t asked = apart + std::max<std::int64_t>(kAsked / columns, 1);
    const std::int64_t step = (columns + 15) / 16 * 16;
    const Scratch<float> room(kLog ? 0 : 2 * apart * step);
    OnTheWay ring[kRing];
    const auto at = [&](std::int64_t row) -> OnTheWay& { return ring[row % kRing]; };
    const auto exponentials_of = [&](std::int64_t row) {
      return kLog ? nullptr : room.data() + (row & (2 * apart - 1)) * step;
    };
    const auto logarithms = [&](std::int64_t row) HWY_ATTR {
      const OnTheWay& r = at(row);
      return LogarithmsBefore{
          {x + row * columns, Vec<float>(r.of.largest), log(Vec<float>(r.sum)), y + row * columns}};
    };
    const auto write = [&](std::int64_t row) HWY_ATTR {
      if constexpr (kLog) {
        write_row<false, float>(logarithms(row), columns);
      } else {
        write_shares<false>(exponentials_of(row), at(row).sum, at(row).narrow, columns, y + row * columns);
      }
    };
    for (std::int64_t row = begin; row < std::min(begin + apart, end); ++row)
      at(row).of = extent(x + row * columns, columns);
    for (std::int64_t row = begin; row < end; ++row) {
      OnTheWay& now = at(row);
      const std::int64_t behind = std::min(row + apart, end - 1), last = row - apart;
      const float *const in = x + row * columns, *const ahead = x + behind * columns;
      float* const e = exponentials_of(row);
      Extent<float> of_ahead;
      if (last >= begin && now.of.narrow && (kLog || at(last).narrow)) {
        const std::int64_t asked_at = std::min(row + asked, rows - 1) * columns;
        // A line that two rows share is not written past the caches: it is to be there by then.
        if (kStream && to_line(y + asked_at) != 0) __builtin_prefetch(y + asked_at, 1);
        const auto sum = [&](const auto& before) {
          return sum_beside<kLog, kStream>(in, columns, now.of.largest, e, ahead, x + asked_at, y + asked_at,
                                           before, of_ahead);
        };
        if constexpr (kLog) {
          now.sum = sum(logarithms(last));
        } else {
          now.sum = sum(
              SharesBefore{{exponentials_of(last), Quotients(Vec<float>(at(last).sum)), y + last * columns}});
        }
      } else {
        if (last >= begin) write(last);
        const RowAhead<float> next(x, rows, columns, row + apart);
        now.sum = exponentials<!kLog>(in, columns, now.of, e,
                                      [&](auto, std::int64_t i, std::int64_t lanes)
                                          HWY_ATTR { next.ask(i, lanes); });
        of_ahead = narrow_extent(ahead, columns);
      }
      now.narrow = now.of.narrow && now.sum <= Quotients::kMost;
      if (row + apart < end)
        at(row + apart).of = of_ahead.narrow ? of_ahead : Extent<float>{row_maximum(ahead, columns)};
    }
    for (std::int64_t row = std::max(end - apart, begin); row < end; ++row) write(row);
    if (kStream) hwy::FlushStream();
  });
}

}  // namespace
#endif

bool softmax_beside([[maybe_unused]] bool log, [[maybe_unused]] std::int64_t rows,
                    [[maybe_unused]] std::int64_t columns, [[maybe_unused]] const float* x,
                    [[maybe_unused]] float* y) {
#if HWY_TARGET == HWY_AVX3
  if (columns < numerics::kLanes || rows < 4 * thread_count() || kOneByOne) return false;
  const std::int64_t row_bytes = columns * static_cast<std::int64_t>(sizeof(float));
  const bool stream = past_caches(y, rows * row_bytes, row_bytes) ||
                      (rows * row_bytes > last_level_cache() && row_bytes >= kLongRow);
  if (log) {
    stream ? rows_beside<true, true>(rows, columns, x, y) : rows_beside<true, false>(rows, columns, x, y);
  } else {
    stream ? rows_beside<false, true>(rows, columns, x, y) : rows_beside<false, false>(rows, columns, x, y);
  }
  return true;
#else
  return false;
#endif
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
