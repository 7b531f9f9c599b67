// Matrix products on the tile unit (amx_unit.h), of fast mode: rows of a times columns of b, sums in f32.
//
// f32 is multiplied as the sum of two bf16 (three products: what is left of both is below 2^-16 of a product
// and is left out), or rounded to one (Math::fast_bf16); bf16 as it is; f16 as two bf16, whose four products
// are exact. An element's sum is over slabs of 32 terms in order, each added as the unit does; within 256 or
// 512 terms the products of low parts come first. Neither threads nor blocks change it.
//
// A task owns a block of at most 256 x 256 sums (512 lines where the other operand has few), which it keeps
// in its caches while it packs block after block of terms: the operands are read where they lie, once for
// each block of the other's lines. A kernel of 32 x 32 sums has four tiles of them, and two of either
// operand: four products of 16 cycles to four loads of 8, so that b's part of a block (32 KiB) fits the first
// cache and a's comes from the second.
#pragma once
#include <isobit/arithmetic.h>
#include <isobit/dtype.h>

#include <cstdint>

#include "cpu/runtime/tile_unit.h"

namespace isobit::cpu::amx {

/// One operand: its lines are the rows of a or the columns of b. It is read in segments that lie together.
class Operand {
 public:
  /// along_terms: a segment is some terms of a line; else one term of some lines.
  explicit Operand(bool along_terms) : along_terms_(along_terms) {}
  virtual ~Operand() = default;
  bool along_terms() const { return along_terms_; }
  /// Elements [first, first + count) of the line or term `at`, widened to f32: in `room`, which holds count,
  /// or where they are f32 already.
  virtual const float* segment(std::int64_t batch, std::int64_t at, std::int64_t first, std::int64_t count,
                               float* room) const = 0;
  /// The same where it lies, in pieces, each but the last of a multiple of 32 elements; how many. They end at
  /// the same elements for every `at`.
  struct Piece {
    const float* from;
    std::int64_t count;
  };
  static constexpr int kMostPieces = 16;  // of 512 elements
  virtual int pieces(std::int64_t batch, std::int64_t at, std::int64_t first, std::int64_t count, float* room,
                     Piece* to) const {
    to[0] = {segment(batch, at, first, count, room), count};
    return 1;
  }

 protected:
  Operand(const Operand&) = default;
  Operand& operator=(const Operand&) = default;

 private:
  bool along_terms_;
};

/// What becomes of the sums; called from any thread, once for each.
class Result {
 public:
  virtual ~Result() = default;
  /// Columns [first, first + count) of a row.
  virtual void store(std::int64_t batch, std::int64_t row, std::int64_t first, std::int64_t count,
                     float* sums) const = 0;

 protected:
  Result() = default;
  Result(const Result&) = default;
  Result& operator=(const Result&) = default;
};

struct Product {
  std::int64_t batches = 1, rows = 0, columns = 0, terms = 0;
  DType dtype = DType::f32;  ///< of both operands
  const Operand *a = nullptr, *b = nullptr;
  const Result* result = nullptr;
};

/// Why the unit does not multiply elements of this type in the arithmetic in force; else null.
const char* refuse(DType dtype);
/// What a problem is to the unit: the extents of a product, how many elements are multiplied in all, and how
/// many bytes its tensors have.
struct Size {
  std::int64_t rows, columns, terms;
  double multiplied, bytes;
};
/// Why exact arithmetic is as good; else null.
const char* refuse_small(const Size& size);
/// Runs it in the arithmetic in force.
void run_product(const Product& product, TileUnit unit);

}  // namespace isobit::cpu::amx
