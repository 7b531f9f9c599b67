// conv_backward_filter of depthwise convolutions and of small groups with as many filters as channels,
// straight from x and dy (depthwise_gradient.h, group_gradient.h). Order: the batch tree of
// conv_backward_filter.cpp. Loops, outermost first:
//
//   task   some vectors of channels, some rows of taps, all samples
//   leaf, block of 256 positions
//   chunk  as many positions as stay in the cache for all channels; the block's sums wait in a buffer
//   up to three rows of taps
//   vector of channels
//
// Nothing is copied. Elements outside of x are found by a table of columns and by rows marked as outside.
// Twins: cuda/kernels/conv_depthwise.cu, and for groups conv_backward_filter.cu.
#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include "core/numerics/order.h"
#include "cpu/kernels/conv_backward_filter.h"
#include "cpu/kernels/conv_border.h"
#include "cpu/kernels/conv_filter_runs.h"
#include "cpu/kernels/conv_forward.h"
#include "cpu/kernels/depthwise_gradient.h"
#include "cpu/kernels/group_gradient.h"
#include "cpu/runtime/scratch.h"
#include "cpu/runtime/thread_pool.h"

namespace isobit::cpu::kernels {
namespace {

using gemm::Gradient;
using gemm::GradientRun;
using gemm::GradientSet;
using numerics::kBlock;

constexpr std::int64_t kChunkBytes = 256 << 10;      ///< of dy: a block of 256 channels
constexpr std::int64_t kGroupChunkBytes = 32 << 10;  ///< the same for groups, a vector of which takes longer
constexpr std::int64_t kChunkPositions = 32;         ///< at least
constexpr std::int64_t kWayBytes = 4096;  ///< of the first-level cache: what is so far apart collides
constexpr std::int64_t kFirstLevelBytes = 8 * kWayBytes;
constexpr double kTouchBytes = 16 << 20;          ///< of x and dy together
constexpr std::uintptr_t kAheadBytes = 16 << 10;  ///< that are asked for before they are read
constexpr double kSerialWork = 1 << 18;           ///< multiply-adds that are not worth waking a thread
constexpr std::int64_t kLongestRow = std::int64_t{1} << 24;

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

template <class T>
const GradientSet<T>* set_of(const ConvGeometry& g) {
  const AxisGeometry& width = g.axis[2];
  return g.groups == g.c ? gemm::gradients<T>(width.filter, width.stride)
                         : gemm::group_gradients<T>(g.c_per_group(), width.filter, width.stride);
}

template <class T>
class StripGradient {
 public:
  StripGradient(const ConvGeometry& g, const T* x, const T* dy, T* dw)
      : g_(g),
        depth_(g.axis[0]),
        height_(g.axis[1]),
        width_(g.axis[2]),
        x_(x),
        dy_(dy),
        dw_(dw),
        set_(*set_of<T>(g)),
        positions_(g.positions()),
        leaf_samples_(numerics::leaf_samples(positions_)),
        leaves_(divide_up(g.n, leaf_samples_)),
        vectors_(divide_up(g.c, set_.lanes)),
        tap_rows_(depth_.filter * height_.filter),
        row_taps_(width_.filter * g.c_per_group()),
        row_size_(row_taps_ * set_.lanes),
        columns_((width_.out - 1) * width_.stride + width_.filter) {}

  void run() {
    const Scratch<std::int64_t> offsets(2 * columns_);
    const gemm::BorderAxis axis{width_.in, width_.mode};
    for (std::int64_t u = 0; u < columns_; ++u) {
      const std::int64_t column = axis.at(u - width_.pad_before);
      offsets[u] = column < 0 ? -1 : column * g_.c;
      offsets[columns_ + u] = -1;
    }
    offsets_ = offsets.data();
    const double work = static_cast<double>(g_.n * positions_) * static_cast<double>(g_.terms() * g_.k);
    const std::int64_t threads = work < kSerialWork ? 1 : thread_count();
    // Two vectors at least, for the last two may overlap; rows of taps are shared out where those do not
    // suffice.
    const std::int64_t parts = threads == 1 ? 1 : std::clamp<std::int64_t>(vectors_ / 2, 1, 2 * threads);
    const std::int64_t groups = parts >= threads ? 1 : std::min(tap_rows_, divide_up(threads, parts));
    parallel_for(parts * groups, [&](std::int64_t task) {
      const std::int64_t part = task / groups, group = task % groups;
      Task(*this, part * vectors_ / parts, (part + 1) * vectors_ / parts, group * tap_rows_ / groups,
           (group + 1) * tap_rows_ / groups)
          .run();
    });
    offsets_ = nullptr;
  }

 private:
  // One task's buffers: [vectors][tap rows][taps][channels of a group][lanes] each.
  class Task {
   public:
    Task(const StripGradient& all, std::int64_t first_vector, std::int64_t last_vector,
         std::int64_t first_row, std::int64_t last_row)
        : all_(all),
          first_vector_(first_vector),
          vectors_(last_vector - first_vector),
          touches_(all.bytes() >= kTouchBytes),
          first_row_(first_row),
          rows_(last_row - first_row),
          size_(vectors_ * rows_ * all.row_size_),
          packs_(all.packs(rows_)),
          chunk_(std::clamp<std::int64_t>(
              (all.g_.groups == all.g_.c ? kChunkBytes : kGroupChunkBytes) /
                  std::max<std::int64_t>(vectors_ * all.set_.lanes * std::int64_t{sizeof(T)}, 1),
              kChunkPositions, kBlock)),
          // The chunk's block, the leaf's total, the levels of the tree.
          buffers_((2 + levels()) * size_),
          runs_(chunk_),
          sources_(chunk_ * rows_),
          offsets_(chunk_ * rows_),
          slots_(packs_ ? chunk_ * rows_ : 0),
          ring_(packs_ ? rows_ * all.columns_ * 2 * all.set_.lanes : 0) {
      std::fill_n(border_, kMostLanes,
                  static_cast<T>(gemm::stored(all.g_.pad_value, sizeof(T) == 8 ? DType::f64 : DType::f32)));
    }

    void run() {
      const std::int64_t n = all_.g_.n;
      for (std::int64_t leaf = 0; leaf < all_.leaves_; ++leaf) {
        const std::int64_t sample = leaf * all_.leaf_samples_;
        const std::int64_t count = std::min(all_.leaf_samples_, n - sample) * all_.positions_;
        for (std::int64_t begin = 0; begin < count; begin += kBlock)
          run_block(sample * all_.positions_, begin, std::min(begin + kBlock, count));
        join(leaf);
      }
    }

   private:
    std::int64_t levels() const {
      return all_.leaves_ > 1 ? std::bit_width(static_cast<std::uint64_t>(all_.leaves_ - 1)) : 0;
    }
    T* partial() const { return buffers_.data(); }
    T* total() const { return buffers_.data() + size_; }
    T* level(std::int64_t i) const { return buffers_.data() + (2 + i) * size_; }

    // Positions [begin, end) of the leaf whose first position of the batch is `origin`.
    void run_block(std::int64_t origin, std::int64_t begin, std::int64_t end) {
      Gradient<T> tile;
      tile.runs = runs_.data();
      tile.rows = sources_.data();
      tile.offsets = offsets_.data();
      tile.tap_rows = rows_;
      tile.inside_begin = all_.inside_begin();
      tile.inside_end = all_.inside_end();
      tile.first_column = -all_.width_.pad_before;
      tile.border = border_;
      tile.channels = all_.g_.c;
      tile.first_vector = first_vector_;
      tile.vectors = vectors_;
      tile.ring = packs_ ? ring_.data() : nullptr;
      tile.slots = slots_.data();
      tile.ring_columns = all_.columns_;
      tile.columns = all_.width_.in;
      for (std::int64_t at = begin; at < end;) {
        const std::int64_t stop = std::min(at + chunk_, end);
        plan(origin + at, origin + stop);
        if (packs_) place_rows();
        if (touches_) touch();
        tile.count = count_;
        tile.start = at > begin ? partial() : nullptr;
        tile.total = stop == end && begin > 0 ? total() : nullptr;
        tile.sums = stop == end ? total() : partial();
        for (std::int64_t row = 0; row < rows_;) {
          const std::int64_t rows = std::min(all_.set_.rows, rows_ - row);
          tile.first_row = row;
          all_.set_.kernel[rows - 1](tile);
          row += rows;
        }
        at = stop;
      }
    }

    // The rows of dy that positions [begin, end) of the batch touch, and what their taps read.
    void plan(std::int64_t begin, std::int64_t end) {
      const AxisGeometry &depth = all_.depth_, &height = all_.height_, &width = all_.width_;
      const gemm::BorderAxis planes{depth.in, depth.mode}, lines{height.in, height.mode};
      count_ = 0;
      for (std::int64_t at = begin; at < end; ++count_) {
        const std::int64_t q = at % width.out, p = at / width.out % height.out,
                           o = at / width.out / height.out % depth.out, n = at / all_.positions_;
        GradientRun<T>& run = runs_[count_];
        run = {all_.dy_ + at * all_.g_.c, q, std::min(width.out, q + end - at), true};
        at += run.end - q;
        for (std::int64_t i = 0; i < rows_; ++i) {
          const std::int64_t t = (first_row_ + i) / height.filter, r = (first_row_ + i) % height.filter;
          const std::int64_t plane = planes.at(o * depth.stride + t * depth.dilation - depth.pad_before);
          const std::int64_t line =
              plane < 0 ? -1 : lines.at(p * height.stride + r * height.dilation - height.pad_before);
          run.whole = run.whole && line >= 0;
          sources_[count_ * rows_ + i] =
              line < 0 ? all_.x_
                       : all_.x_ + ((n * depth.in + plane) * height.in + line) * width.in * all_.g_.c;
          offsets_[count_ * rows_ + i] = line < 0 ? all_.offsets_ + all_.columns_ : all_.offsets_;
        }
      }
    }

    // Which slots of the ring hold the rows of x that a planned run reads: a row that the run before has, as
    // far as this one reads, stays where it is.
    void place_rows() const {
      for (std::int64_t i = 0; i < count_; ++i) {
        const bool covered =
            i > 0 && runs_[i - 1].first <= runs_[i].first && runs_[i - 1].end >= runs_[i].end;
        gemm::GradientSlot* const slots = slots_.data() + i * rows_;
        for (std::int64_t j = i * rows_; j < (i + 1) * rows_; ++j) {
          slots_[j] = {-1, true};
          for (std::int64_t k = (i - 1) * rows_; covered && k < i * rows_; ++k)
            if (sources_[j] == sources_[k] && offsets_[j] == offsets_[k])
              slots_[j] = {slots_[k].index, false};
        }
        const auto taken = [&](std::int64_t index) {
          return std::any_of(slots, slots + rows_, [&](const auto& slot) { return slot.index == index; });
        };
        std::int64_t next = 0;
        for (std::int64_t j = 0; j < rows_; ++j) {
          if (!slots[j].fresh) continue;
          while (taken(next)) ++next;
          slots[j].index = next;
        }
      }
    }

    // Reads what the planned positions are the first to read, in the order of memory: out of the caches the
    // processor fetches ahead of that. The kernels take a vector of every pixel in turn, which it does not
    // see.
    void touch() const {
      const AxisGeometry& width = all_.width_;
      const std::int64_t fresh = std::min(all_.height_.stride, std::min(all_.height_.filter, rows_));
      for (std::int64_t i = 0; i < count_; ++i) {
        const GradientRun<T>& run = runs_[i];
        touch(run.dy, run.end - run.first);
        const std::int64_t first = std::min(run.first * width.stride, width.in),
                           end = std::min(run.end * width.stride, width.in);
        for (std::int64_t row = rows_ - fresh; row < rows_; ++row)
          if (offsets_[i * rows_ + row] == all_.offsets_)
            touch(sources_[i * rows_ + row] + first * all_.g_.c, end - first);
      }
    }
    // This task's channels of some pixels.
    void touch(const T* from, std::int64_t pixels) const {
      constexpr std::int64_t kLine = 64 / sizeof(T);
      const bool whole = vectors_ == all_.vectors_;
      const std::int64_t channel = whole ? 0 : first_vector_ * all_.set_.lanes,
                         runs = whole ? std::min<std::int64_t>(pixels, 1) : pixels,
                         size = whole ? pixels * all_.g_.c
                                      : std::min(vectors_ * all_.set_.lanes, all_.g_.c - channel);
      from += channel;
      for (std::int64_t run = 0; run < runs; ++run, from += all_.g_.c)
        for (std::int64_t at = 0; at < size; at += kLine) {
          const std::uintptr_t ahead = reinterpret_cast<std::uintptr_t>(from + at) + kAheadBytes;
          __builtin_prefetch(reinterpret_cast<const void*>(ahead));
          static_cast<void>(*static_cast<const volatile T*>(from + at));
        }
    }

    // The leaf's total to the levels of the tree; after the last leaf, to dw.
    void join(std::int64_t leaf) const {
      const bool last = leaf + 1 == all_.leaves_;
      T* const sum = total();
      std::int64_t i = 0;
      for (; leaf >> i != 0 && (last || (leaf >> i & 1) != 0); ++i) {
        if ((leaf >> i & 1) == 0) continue;
        const T* const from = level(i);
        for (std::int64_t e = 0; e < size_; ++e) sum[e] = from[e] + sum[e];
      }
      if (!last) {
        std::copy_n(sum, size_, level(i));
        return;
      }
      const std::int64_t lanes = all_.set_.lanes, c = all_.g_.c, taps = all_.row_taps_;
      for (std::int64_t v = 0; v < vectors_; ++v) {
        const std::int64_t first = (first_vector_ + v) * lanes, channel = std::min(first, c - lanes);
        const std::int64_t known = first - channel;  // stored with the vector before
        for (std::int64_t tap = 0; tap < rows_ * taps; ++tap)
          std::copy_n(sum + (v * rows_ * taps + tap) * lanes + known, lanes - known,
                      all_.dw_ + (first_row_ * taps + tap) * c + first);
      }
    }

    static constexpr std::int64_t kMostLanes = 16;
    const StripGradient& all_;
    const std::int64_t first_vector_, vectors_;
    const bool touches_;
    const std::int64_t first_row_, rows_, size_;
    const bool packs_;
    const std::int64_t chunk_;
    const Scratch<T> buffers_;
    const Scratch<GradientRun<T>> runs_;
    const Scratch<const T*> sources_;
    const Scratch<const std::int64_t*> offsets_;
    const Scratch<gemm::GradientSlot> slots_;
    const Scratch<T> ring_;
    std::int64_t count_ = 0;
    alignas(64) T border_[kMostLanes];
  };

  double bytes() const {
    return static_cast<double>(g_.n * (depth_.in * height_.in * width_.in + positions_)) *
           static_cast<double>(g_.c * std::int64_t{sizeof(T)});
  }

  // Whether the rows of x that a run of dy meets collide in the first-level cache, a pair of vectors of each
  // pixel, and would not once they lie together.
  bool packs(std::int64_t rows) const {
    constexpr std::int64_t kSize = sizeof(T);
    const std::int64_t pair = 2 * set_.lanes * kSize, held = (rows + 1) * columns_ * pair,
                       reach = std::min(kWayBytes, kWayBytes / std::gcd(g_.c * kSize, kWayBytes) * pair);
    return set_.pairs && rows <= set_.rows && held > 2 * kFirstLevelBytes / kWayBytes * reach &&
           held <= kFirstLevelBytes;
  }

  // The positions of a row all of whose columns lie inside x.
  std::int64_t inside_begin() const { return first_inside(width_, 0); }
  std::int64_t inside_end() const { return end_inside(width_, width_.filter - 1); }

  const ConvGeometry& g_;
  const AxisGeometry &depth_, &height_, &width_;
  const T *const x_, *const dy_;
  T* const dw_;
  const GradientSet<T>& set_;
  const std::int64_t positions_, leaf_samples_, leaves_, vectors_, tap_rows_, row_taps_, row_size_, columns_;
  const std::int64_t* offsets_ = nullptr;  ///< of every column that the taps read, and as many -1
};

}  // namespace

void conv_backward_filter_strips(const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  if (dw.dtype == DType::f64) {
    StripGradient<double>(g, x.as<double>(), dy.as<double>(), dw.as<double>()).run();
  } else {
    StripGradient<float>(g, x.as<float>(), dy.as<float>(), dw.as<float>()).run();
  }
}

namespace {

// Of depthwise problems and small groups.
const char* refuse_strips(const ConvGeometry& g, ConstView x, View dw) {
  if (dw.dtype != DType::f32 && dw.dtype != DType::f64) return "elements to be widened";
  const AxisGeometry& width = g.axis[2];
  if (g.n == 0 || g.positions() == 0 || x.numel == 0 || g.terms() == 0) return "nothing to sum";
  if (width.dilation != 1) return "columns dilated";
  if (width.out > kLongestRow || width.in > kLongestRow) return "rows too long for a table";
  if (g.axis[0].filter * g.axis[1].filter > kBlock) return "a filter of too many rows";
  const auto with = [&]<class T>(T) -> const char* {
    const GradientSet<T>* set = set_of<T>(g);
    if (set == nullptr)
      return g.groups == g.c ? "no strips for the filter's width and stride"
                             : "no strips for the group, the filter's width and stride";
    if (g.c < set->lanes) return "fewer channels than a vector holds";
    return nullptr;
  };
  return dw.dtype == DType::f64 ? with(double{}) : with(float{});
}

}  // namespace

const char* refuse_conv_backward_filter_strips(const ConvGeometry& g, ConstView x, ConstView, View dw) {
  if (const char* reason = refuse_depthwise(g)) return reason;
  return refuse_strips(g, x, dw);
}

const char* refuse_conv_backward_filter_group_strips(const ConvGeometry& g, ConstView x, ConstView, View dw) {
  if (const char* reason = refuse_even_groups(g)) return reason;
  return refuse_strips(g, x, dw);
}

}  // namespace isobit::cpu::kernels
