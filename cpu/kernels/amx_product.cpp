// The blocks of amx_product.h. Twin: cuda/kernels/tensor_product.cu.
#include "cpu/kernels/amx_product.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "core/numerics/fma.h"
#include "cpu/kernels/amx_emulated.h"
#include "cpu/kernels/amx_pack.h"
#include "cpu/kernels/amx_unit.h"
#include "cpu/runtime/scratch.h"
#include "cpu/runtime/thread_pool.h"
#include "isobit/error.h"

namespace isobit::cpu::amx {
namespace {

constexpr std::int64_t kPanel = 32;                            // lines of an operand that a kernel multiplies
constexpr std::int64_t kLinesOfBlock = 256, kMostLines = 512;  // of a block; where the other has few
constexpr std::int64_t kLine = 16;  // words: at powers of two panels would share sets of the first cache
constexpr std::int64_t kTile = kTileBytes / 4;    // 32-bit words
constexpr std::int64_t kSums = kPanel * kPanel;   // of a kernel
constexpr std::uint32_t kExponents = 0x7f807f80;  // of the two bf16 in a word

std::int64_t panels(std::int64_t lines) {
  return (lines + kPanel - 1) / kPanel;
}

/// Which parts of a and b are multiplied, in order.
struct Split {
  int parts = 1, products = 1;
  std::pair<int, int> of[4] = {{0, 0}};
  /// Terms of a block: 32 KiB a panel.
  std::int64_t terms() const { return 512 / parts; }
};
Split split_of(DType dtype) {
  if (dtype == DType::f16) return {2, 4, {{1, 1}, {0, 1}, {1, 0}, {0, 0}}};
  if (dtype == DType::f32 && current_math() == Math::fast) return {2, 3, {{0, 1}, {1, 0}, {0, 0}}};
  return {};
}

/// A block of lines and terms of an operand, packed: [panel][part][slab][tile of 16 lines].
class Packed {
 public:
  Packed(const Split& split, std::int64_t most_lines, std::int64_t terms)
      : split_(split),
        part_((std::min(terms, split.terms()) + kTerms - 1) / kTerms * 2 * kTile + kLine),
        words_(panels(most_lines) * split.parts * part_),
        room_(2 * std::max(kMostLines, split.terms())) {}

  /// as_b: tiles hold pairs in rows, as the unit wants b; else lines in rows.
  void fill(const Operand& from, std::int64_t batch, std::int64_t first_line, std::int64_t lines,
            std::int64_t first_term, std::int64_t terms, bool as_b) {
    slabs_ = (terms + kTerms - 1) / kTerms;
    finite_ = from.along_terms() ? fill_lines(from, batch, first_line, lines, first_term, terms)
                                 : fill_terms(from, batch, first_line, lines, first_term, terms);
    if (from.along_terms() == as_b)
      for (std::int64_t i = 0; i < panels(lines) * split_.parts; ++i)
        transpose_tiles(words_.data() + i * part_, 2 * slabs_);
  }
  /// The first tile of a panel's part.
  const std::uint32_t* at(std::int64_t panel, int part) const {
    return words_.data() + (panel * split_.parts + part) * part_;
  }
  std::int64_t slabs() const { return slabs_; }
  bool finite() const { return finite_; }

 private:
  bool fill_lines(const Operand& from, std::int64_t batch, std::int64_t first_line, std::int64_t lines,
                  std::int64_t first_term, std::int64_t terms) {
    bool finite = true;
    for (std::int64_t i = 0; i < panels(lines) * kPanel; ++i) {
      auto* const high = halves(i / kPanel, 0) + i % kPanel / kLines * 2 * kTile + i % kLines * kTerms;
      auto* const low = split_.parts > 1 ? high + 2 * part_ : nullptr;
      Operand::Piece parts[Operand::kMostPieces] = {{room_.data(), terms}};
      int count = 1;
      if (i < lines)
        count = from.pieces(batch, first_line + i, first_term, terms, room_.data(), parts);
      else if (i == lines)
        std::fill_n(room_.data(), terms, 0.0f);
      std::int64_t to = 0;
      for (const Operand::Piece& p : std::span(parts, static_cast<std::size_t>(count))) {
        finite =
            pack_terms(p.from, p.count, high + to, low != nullptr ? low + to : nullptr, 4 * kTile) && finite;
        to += p.count / kTerms * 4 * kTile;
      }
    }
    return finite;
  }
  bool fill_terms(const Operand& from, std::int64_t batch, std::int64_t first_line, std::int64_t lines,
                  std::int64_t first_term, std::int64_t terms) {
    bool finite = true;
    float *const even_room = room_.data(), *const odd_room = even_room + kMostLines;
    for (std::int64_t pair = 0; pair < slabs_ * kPairs; ++pair) {
      Operand::Piece even[Operand::kMostPieces], odd[Operand::kMostPieces];
      const auto read = [&](std::int64_t t, float* room, Operand::Piece* to) {
        return from.pieces(batch, first_term + t, first_line, lines, room, to);
      };
      int count = 1;
      if (2 * pair < terms) {
        count = read(2 * pair, even_room, even);
      } else {
        std::fill_n(even_room, lines, 0.0f);
        even[0] = {even_room, lines};
      }
      if (2 * pair + 1 < terms) {
        read(2 * pair + 1, odd_room, odd);
      } else {
        std::fill_n(odd_room, lines, 0.0f);
        for (int i = 0; i < count; ++i) odd[i] = {odd_room, even[i].count};
      }
      std::uint32_t* high = words_.data() + pair / kPairs * 2 * kTile + pair % kPairs * kLines;
      for (int i = 0; i < count; ++i) {
        finite = pack_pairs(even[i].from, odd[i].from, even[i].count, high,
                            split_.parts > 1 ? high + part_ : nullptr, split_.parts * part_, kTile) &&
                 finite;
        high += even[i].count / kPanel * split_.parts * part_;
      }
    }
    return finite;
  }
  std::uint16_t* halves(std::int64_t panel, int part) {
    return reinterpret_cast<std::uint16_t*>(words_.data() + (panel * split_.parts + part) * part_);
  }

  const Split& split_;
  std::int64_t part_;  // words between the parts of a panel
  Scratch<std::uint32_t> words_;
  Scratch<float> room_;
  std::int64_t slabs_ = 0;
  bool finite_ = true;
};

/// sums[2 x 2 tiles] += a's panel times b's, or = where they are the first.
template <class Unit>
void multiply(const Split& split, const Packed& a, std::int64_t a_panel, const Packed& b,
              std::int64_t b_panel, bool first, float* sums) {
  if (first) {
    Unit::template zero<0>();
    Unit::template zero<1>();
    Unit::template zero<2>();
    Unit::template zero<3>();
  } else {
    Unit::template load<0>(sums, kRowBytes);
    Unit::template load<1>(sums + kTile, kRowBytes);
    Unit::template load<2>(sums + 2 * kTile, kRowBytes);
    Unit::template load<3>(sums + 3 * kTile, kRowBytes);
  }
  for (int i = 0; i < split.products; ++i) {
    const std::uint32_t *from_a = a.at(a_panel, split.of[i].first),
                        *from_b = b.at(b_panel, split.of[i].second);
    for (std::int64_t slab = 0; slab < a.slabs(); ++slab, from_a += 2 * kTile, from_b += 2 * kTile) {
      Unit::template load<4>(from_a, kRowBytes);
      Unit::template load<6>(from_b, kRowBytes);
      Unit::template dot<0, 4, 6>();
      Unit::template load<7>(from_b + kTile, kRowBytes);
      Unit::template dot<1, 4, 7>();
      Unit::template load<5>(from_a + kTile, kRowBytes);
      Unit::template dot<2, 5, 6>();
      Unit::template dot<3, 5, 7>();
    }
  }
  Unit::template store<0>(sums, kRowBytes);
  Unit::template store<1>(sums + kTile, kRowBytes);
  Unit::template store<2>(sums + 2 * kTile, kRowBytes);
  Unit::template store<3>(sums + 3 * kTile, kRowBytes);
}

// ---- infinities and NaN among numbers that were split ----
//
// inf times the low part of a finite number is infinite of that part's sign, or NaN: it says nothing about
// the product. Sums that such an element takes part in are those of the high parts alone.

float widened(std::uint32_t word, int odd) {
  const std::uint32_t bits = odd != 0 ? word & 0xffff0000u : word << 16;
  float v = 0;
  std::memcpy(&v, &bits, sizeof v);
  return v;
}

/// The word of a line's pair in a panel: in rows of lines as a has it, of pairs as b.
std::uint32_t word_of(const std::uint32_t* panel, std::int64_t line, std::int64_t pair, bool as_b) {
  const std::uint32_t* const tile = panel + (pair / kPairs * 2 + line / kLines) * kTile;
  const std::int64_t i = line % kLines, p = pair % kPairs;
  std::uint32_t word = 0;
  std::memcpy(&word, tile + (as_b ? p * kLines + i : i * kPairs + p), sizeof word);
  return word;
}

bool has_one(const std::uint32_t* panel, std::int64_t line, std::int64_t pairs, bool as_b) {
  for (std::int64_t p = 0; p < pairs; ++p) {
    const std::uint32_t exponents = word_of(panel, line, p, as_b) & kExponents;
    if ((exponents & 0xffff0000u) == (kExponents & 0xffff0000u) ||
        (exponents & 0xffffu) == (kExponents & 0xffffu))
      return true;
  }
  return false;
}

/// `before`: the sums that these were added to.
void mend(const Packed& a, std::int64_t a_panel, const Packed& b, std::int64_t b_panel, const float* before,
          float* sums) {
  const std::uint32_t *const rows = a.at(a_panel, 0), *const columns = b.at(b_panel, 0);
  const std::int64_t pairs = a.slabs() * kPairs;
  bool in_column[kPanel];
  for (std::int64_t j = 0; j < kPanel; ++j) in_column[j] = has_one(columns, j, pairs, true);
  for (std::int64_t i = 0; i < kPanel; ++i) {
    const bool in_row = has_one(rows, i, pairs, false);
    for (std::int64_t j = 0; j < kPanel; ++j) {
      if (!in_row && !in_column[j]) continue;
      const std::int64_t at = (i / kLines * 2 + j / kLines) * kTile + i % kLines * kLines + j % kLines;
      float sum = before[at];
      for (std::int64_t p = 0; p < pairs; ++p) {
        const std::uint32_t x = word_of(rows, i, p, false), y = word_of(columns, j, p, true);
        for (const int odd : {0, 1}) sum = numerics::fma(widened(x, odd), widened(y, odd), sum);
      }
      sums[at] = sum;
    }
  }
}

/// How many lines a block has: many, so that the other operand is seldom packed, unless threads had no task.
std::pair<std::int64_t, std::int64_t> block_lines(const Product& p) {
  const auto blocks = [](std::int64_t lines, std::int64_t block) { return (lines + block - 1) / block; };
  constexpr std::int64_t kFew = 128;
  std::int64_t rows = p.columns <= kFew ? kMostLines : kLinesOfBlock,
               columns = p.rows <= kFew ? kMostLines : kLinesOfBlock;
  const std::int64_t wanted = thread_count() > 1 ? 3 * std::int64_t{thread_count()} : 1;
  while (p.batches * blocks(p.rows, rows) * blocks(p.columns, columns) < wanted &&
         (rows > kPanel || columns > kPanel)) {
    std::int64_t& longer = std::min(rows, p.rows) >= std::min(columns, p.columns) ? rows : columns;
    std::int64_t& other = &longer == &rows ? columns : rows;
    (longer > kPanel ? longer : other) /= 2;
  }
  return {rows, columns};
}

template <class Unit>
void run(const Product& p) {
  const Split split = split_of(p.dtype);
  const auto [block_rows, block_columns] = block_lines(p);
  const std::int64_t down = (p.rows + block_rows - 1) / block_rows,
                     across = (p.columns + block_columns - 1) / block_columns;
  parallel_for(p.batches * down * across,
               [&, block_rows = block_rows, block_columns = block_columns](std::int64_t task) {
                 const std::int64_t batch = task / (down * across), row = task / across % down * block_rows,
                                    column = task % across * block_columns;
                 const std::int64_t rows = std::min(block_rows, p.rows - row),
                                    columns = std::min(block_columns, p.columns - column);
                 const std::int64_t high = panels(rows), wide = panels(columns);
                 Packed a(split, rows, p.terms), b(split, columns, p.terms);
                 const Scratch<float> sums(high * wide * kSums);  // [row panel][column panel][2 x 2 tiles]
                 if (p.terms == 0) std::fill_n(sums.data(), sums.size(), 0.0f);
                 for (std::int64_t term = 0; term < p.terms; term += split.terms()) {
                   const std::int64_t terms = std::min(split.terms(), p.terms - term);
                   a.fill(*p.a, batch, row, rows, term, terms, false);
                   b.fill(*p.b, batch, column, columns, term, terms, true);
                   const bool mending = split.parts > 1 && !(a.finite() && b.finite());
                   const Scratch<float> before(mending ? kSums : 0);
                   const Tiles<Unit> tiles;
                   for (std::int64_t j = 0; j < wide; ++j)
                     for (std::int64_t i = 0; i < high; ++i) {
                       float* const to = sums.data() + (i * wide + j) * kSums;
                       if (mending && term == 0) std::fill_n(before.data(), kSums, 0.0f);
                       if (mending && term > 0) std::copy_n(to, kSums, before.data());
                       multiply<Unit>(split, a, i, b, j, term == 0, to);
                       if (mending) mend(a, i, b, j, before.data(), to);
                     }
                 }
                 float line[kMostLines];
                 for (std::int64_t i = 0; i < rows; ++i) {
                   for (std::int64_t j = 0; j < columns; j += kLines) {
                     const std::int64_t tile =
                         (i / kPanel * wide + j / kPanel) * 4 + i % kPanel / kLines * 2 + j % kPanel / kLines;
                     std::memcpy(line + j, sums.data() + tile * kTile + i % kLines * kLines, kRowBytes);
                   }
                   p.result->store(batch, row + i, column, columns, line);
                 }
               });
}

}  // namespace

const char* refuse(DType dtype) {
  if (dtype == DType::f64) return "f64 stays exact";
  if (dtype == DType::f32 && current_math() == Math::fast_f16)
    return "the tile unit multiplies bf16, not f16";
  return nullptr;
}

const char* refuse_small(const Size& size) {
  if (size.rows < kLines || size.columns < kLines) return "fewer than 16 rows or columns fill no tile";
  if (size.terms < kTerms) return "fewer than 32 terms fill no tile";
  // A core multiplies exactly some 100 elements a nanosecond, and memory gives it some 10 bytes.
  constexpr double kCached = 16 << 20, kWorth = 24;
  if (size.bytes > kCached && size.multiplied < kWorth * size.bytes)
    return "memory takes longer than so few products";
  return nullptr;
}

void run_product(const Product& product, TileUnit unit) {
  if (product.rows == 0 || product.columns == 0) return;
  switch (unit) {
    case TileUnit::amx:
      return run<Amx>(product);
    case TileUnit::emulated:
      return run<EmulatedAmx>(product);
    case TileUnit::none:
      fail("amx", "there is no tile unit: {}", why_no_tile_unit());
  }
}

}  // namespace isobit::cpu::amx
