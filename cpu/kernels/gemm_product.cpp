// The driver of products (gemm_product.h). An element of c is the blocked chain over the terms. Twin:
// cuda/kernels/gemm.cu. Loops, outermost first:
//
//   task   some rows (at most 512) and panels of columns of one product of the batch
//   chunk  256 columns
//   block  of 256 terms: the chunk's columns of b are copied to panels, which stay in the second-level cache;
//          the sums of the blocks before lie in c (for f16 and bf16 in f32 scratch)
//   group  40 rows of a, copied too where they would meet in the same sets of the first-level cache, as rows
//   do
//          whose pitch is a power of two, and where a is transposed, f16 or bf16
//   tile   10 rows, panel of two vectors of columns
//
// What comes next waits in memory and is asked for while tiles multiply: the next rows of a always, the next
// panels of b while the last rows of a block are computed. Otherwise few rows (a linear layer's batch) would
// spend a third of the time on copying b.
#include "cpu/kernels/gemm_product.h"

#include <algorithm>
#include <array>

#include "core/numerics/order.h"
#include "cpu/kernels/gemm_panels.h"
#include "cpu/kernels/gemm_tile.h"
#include "cpu/runtime/thread_pool.h"

namespace isobit::cpu::gemm {
namespace {

using numerics::kBlock;

constexpr std::int64_t kTaskRows = 512, kChunkColumns = 256, kGroupRows = 40;
constexpr std::int64_t kLine = 64, kSets = 64;  ///< of the first-level cache; what it has decides no bit
constexpr std::int64_t kRowsOfASet = 3;
constexpr double kLeastWork = 1 << 19, kMuchWork = 1 << 26;

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// A part of memory, row after row, whose lines are asked for some at a time.
class Ahead {
 public:
  Ahead() = default;
  Ahead(Source from, std::int64_t pitch, std::int64_t rows, std::int64_t elements)
      : row_(static_cast<const char*>(from.data)),
        pitch_(pitch * size_of(from.dtype)),
        bytes_(elements * size_of(from.dtype)),
        rows_(rows) {}

  std::int64_t lines() const { return rows_ * (divide_up(bytes_, kLine) + 1); }
  void fetch(std::int64_t lines) {
    for (; lines > 0 && rows_ > 0; --lines) {
      __builtin_prefetch(row_ + at_, 0, 2);
      at_ += kLine;
      if (at_ < bytes_ + kLine) continue;
      at_ = 0;
      row_ += pitch_;
      --rows_;
    }
  }

 private:
  const char* row_ = nullptr;
  std::int64_t pitch_ = 0, bytes_ = 0, rows_ = 0, at_ = 0;
};

template <class T>
class ProductRunner {
 public:
  explicit ProductRunner(const Product& product)
      : p_(product),
        tiles_(tiles<T>(p_.n)),
        panels_(panel_count(tiles_, p_.n)),
        narrow_(size_of(p_.dtype) != sizeof(T)),
        in_place_(!narrow_ && p_.a_term == 1 && spread()) {
    plan_tasks();
  }

  void run() {
    const bool widen_bias = p_.bias.data != nullptr && narrow_;
    const Scratch<T> bias(widen_bias ? p_.n : 0);
    if (widen_bias) widen(p_.bias, bias.data(), p_.n);
    bias_ = widen_bias ? bias.data() : p_.bias.template as<T>();
    parallel_for(p_.batch * row_parts_ * column_parts_, [&](std::int64_t task) {
      const std::int64_t row = task / column_parts_ % row_parts_, column = task % column_parts_;
      run_task({task / (column_parts_ * row_parts_), row * p_.m / row_parts_, (row + 1) * p_.m / row_parts_,
                column * panels_ / column_parts_, (column + 1) * panels_ / column_parts_});
    });
  }

 private:
  struct Part {
    std::int64_t index, row_begin, row_end, panel_begin, panel_end;
  };
  // Terms [begin, end) of the panels [from, to): what is copied of b at a time.
  struct Slice {
    std::int64_t begin, end, from, to;
  };

  // Whether the rows of a tile lie in different sets of the first-level cache.
  bool spread() const {
    std::array<std::int64_t, kSets> rows{};
    for (std::int64_t i = 0; i < tiles_.tallest; ++i)
      if (++rows[static_cast<std::size_t>(i * p_.row_stride * std::int64_t{sizeof(T)} / kLine % kSets)] >
          kRowsOfASet)
        return false;
    return true;
  }

  void plan_tasks() {
    row_parts_ = divide_up(p_.m, kTaskRows);
    const double work =
        static_cast<double>(p_.batch) * static_cast<double>(p_.m) * static_cast<double>(p_.k * p_.n);
    const std::int64_t threads = thread_count(),
                       wanted = threads == 1 ? 1 : (work < kMuchWork ? 2 : 4) * threads;
    while (p_.batch * row_parts_ * column_parts_ < wanted) {
      const std::int64_t rows = p_.m / row_parts_, panels = panels_ / column_parts_;
      if (rows >= 2 * kGroupRows && (rows >= panels * tiles_.width() || panels < 2)) {
        row_parts_ *= 2;
      } else if (panels >= 2) {
        column_parts_ *= 2;
      } else {
        break;
      }
    }
  }

  std::int64_t columns_of(const Slice& s) const {
    return std::min(s.to * tiles_.width(), p_.n) - s.from * tiles_.width();
  }
  Source b_at(const Part& part, const Slice& s) const {
    return p_.b.at(part.index * p_.b_stride + s.begin * p_.b_term +
                   s.from * tiles_.width() * p_.column_stride);
  }
  Source a_at(const Part& part, const Slice& s, std::int64_t row) const {
    return p_.a.at(part.index * p_.a_stride + row * p_.row_stride + s.begin * p_.a_term);
  }
  Ahead ahead_of_b(const Part& part, const Slice& s) const {
    if (s.end == s.begin) return {};
    return p_.column_stride == 1 ? Ahead(b_at(part, s), p_.b_term, s.end - s.begin, columns_of(s))
                                 : Ahead(b_at(part, s), p_.column_stride, columns_of(s), s.end - s.begin);
  }
  Ahead ahead_of_a(const Part& part, const Slice& s, std::int64_t row) const {
    const std::int64_t rows = std::min(kGroupRows, part.row_end - row);
    if (rows <= 0) return {};
    return p_.a_term == 1 ? Ahead(a_at(part, s, row), p_.row_stride, rows, s.end - s.begin)
                          : Ahead(a_at(part, s, row), p_.a_term, s.end - s.begin, rows);
  }

  // The slice after s of a task, or one without terms.
  Slice next(const Part& part, Slice s) const {
    s.begin = s.end;
    if (s.begin == p_.k) {
      s.begin = 0;
      s.from = s.to;
      s.to = std::min(s.from + chunk_, part.panel_end);
      if (s.from == s.to) return {0, 0, s.from, s.to};
    }
    s.end = std::min(s.begin + kBlock, p_.k);
    return s;
  }

  void run_task(const Part& part) const {
    const std::int64_t chunk = std::min(chunk_, part.panel_end - part.panel_begin);
    const std::int64_t rows = part.row_end - part.row_begin, width = chunk * tiles_.width();
    const Scratch<T> b(std::min(kBlock, p_.k) * width);
    const Scratch<T> a(in_place_ ? 0 : kGroupRows * a_pitch(std::min(kBlock, p_.k)));
    const Scratch<T> sums(narrow_ ? rows * width : 0);
    const Scratch<Panel<T>> panels(panels_);
    lay_out_panels(tiles_, p_.n, panels.data());
    for (Slice s = next(part, {0, p_.k, 0, part.panel_begin}); s.end > 0; s = next(part, s)) {
      T* to = b.data();
      for (std::int64_t i = s.from; i < s.to; ++i) {
        Panel<T>& panel = panels[i];
        panel.b = to;
        panel.ldb = panel.vectors * tiles_.lanes;
        pack_panel(b_at(part, {s.begin, s.end, i, i + 1}), p_.b_term, p_.column_stride, s.end - s.begin,
                   panel.columns, panel.ldb, to);
        to += (s.end - s.begin) * panel.ldb;
      }
      run_slice(part, s, panels.data(), a.data(), sums.data(), width);
      if (narrow_ && s.end == p_.k) {
        const std::int64_t first = s.from * tiles_.width();
        for (std::int64_t row = 0; row < rows; ++row)
          narrow(sums.data() + row * width,
                 static_cast<char*>(p_.c) +
                     ((part.index * p_.m + part.row_begin + row) * p_.n + first) * size_of(p_.dtype),
                 p_.dtype, columns_of(s));
      }
    }
  }

  // An odd number of lines, so that the rows of a tile lie in different sets.
  static std::int64_t a_pitch(std::int64_t terms) {
    constexpr std::int64_t elements = kLine / sizeof(T);
    return (divide_up(terms, elements) | 1) * elements;
  }

  void run_slice(const Part& part, const Slice& s, const Panel<T>* panels, T* copy, T* sums,
                 std::int64_t sums_pitch) const {
    const std::int64_t terms = s.end - s.begin;
    const Run run{0, terms};
    const std::array<std::int64_t, 2> block_runs{0, 1};
    std::array<const T*, TileSet<T>::kMaxHeight> rows{};
    std::array<T*, TileSet<T>::kMaxHeight> outs{};
    Tile<T> tile;
    tile.rows = rows.data();
    tile.out = outs.data();
    tile.runs = &run;
    tile.block_runs = block_runs.data();
    tile.accumulate = s.begin > 0;
    const bool last = s.end == p_.k;
    tile.relu = last && p_.relu;
    const bool by_terms = p_.a_term != 1;  // a copy [terms, rows]
    Ahead next_b = ahead_of_b(part, next(part, s));
    // The next panels are fetched during the last two groups.
    const std::int64_t calls =
        divide_up(std::min(2 * kGroupRows, part.row_end - part.row_begin), tiles_.tallest) * (s.to - s.from);
    const std::int64_t lines_of_b = divide_up(next_b.lines(), calls);

    for (std::int64_t first = part.row_begin; first < part.row_end; first += kGroupRows) {
      const std::int64_t count = std::min(kGroupRows, part.row_end - first);
      Ahead next_a = ahead_of_a(part, s, first + kGroupRows);
      const std::int64_t lines_of_a =
          divide_up(next_a.lines(), divide_up(count, tiles_.tallest) * (s.to - s.from));
      const Source from = a_at(part, s, first);
      const T* base = copy;
      std::int64_t step_of_row = a_pitch(terms);
      if (in_place_) {
        base = from.template as<T>();
        step_of_row = p_.row_stride;
      } else if (by_terms) {
        pack_panel(from, p_.a_term, 1, terms, count, count, copy);
        step_of_row = 1;
        tile.step = count;
      } else {
        pack_panel(from, p_.row_stride, 1, count, terms, step_of_row, copy);
      }
      for (std::int64_t i = 0; i < count;) {
        const std::int64_t height = tiles_.height(count - i);
        for (std::int64_t j = 0; j < height; ++j) {
          const std::int64_t row = first + i + j;
          rows[static_cast<std::size_t>(j)] = base + (i + j) * step_of_row;
          outs[static_cast<std::size_t>(j)] =
              narrow_ ? sums + (row - part.row_begin) * sums_pitch
                      : static_cast<T*>(p_.c) + (part.index * p_.m + row) * p_.n + s.from * tiles_.width();
        }
        for (std::int64_t j = s.from; j < s.to; ++j) {
          const Panel<T>& panel = panels[j];
          next_a.fetch(lines_of_a);
          if (part.row_end - first <= 2 * kGroupRows) next_b.fetch(lines_of_b);
          tile.b = panel.b;
          tile.ldb = panel.ldb;
          tile.columns = panel.columns;
          tile.out_shift = panel.column - s.from * tiles_.width();
          tile.bias = last && bias_ != nullptr ? bias_ + panel.column : nullptr;
          tiles_.kernel[height - 1][panel.vectors - 1](tile);
        }
        i += height;
      }
    }
  }

  const Product& p_;
  const TileSet<T>& tiles_;
  const std::int64_t panels_;
  const bool narrow_, in_place_;
  const std::int64_t chunk_ = std::max<std::int64_t>(
      1, kChunkColumns* std::int64_t{sizeof(float)} / std::int64_t{sizeof(T)} / tiles_.width());
  std::int64_t row_parts_ = 1, column_parts_ = 1;
  const T* bias_ = nullptr;
};

}  // namespace

template <class T>
void run_product(const Product& product) {
  ProductRunner<T>(product).run();
}
template void run_product<float>(const Product&);
template void run_product<double>(const Product&);

const char* refuse_product(double batch, double m, double k, double n) {
  if (batch * m * k * n < kLeastWork) return "little work";
  if (m < 40) return "so few rows are not worth a copy of b";
  if (n < 64) return "so few columns are not worth a copy of a";
  if (k < 32) return "so few terms are not worth copies";
  return nullptr;
}

}  // namespace isobit::cpu::gemm
