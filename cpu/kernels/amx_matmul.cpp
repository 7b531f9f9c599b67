// matmul on the tile unit: each operand as it lies, transposed or not. Twin: matmul_product in
// cuda/kernels/tensor_conv.cu.
#include <algorithm>

#include "cpu/kernels/amx.h"
#include "cpu/kernels/amx_operands.h"
#include "cpu/kernels/amx_product.h"

namespace isobit::cpu::kernels {
namespace {

void run(const MatmulGeometry& geometry, ConstView a, ConstView b, View c, TileUnit unit) {
  MatmulGeometry g = geometry;
  if (g.stride_b == 0 && g.stride_a == g.m * g.k && !g.transpose_a) {  // one product with more rows
    g.m *= g.batch;
    g.batch = 1;
  }
  amx::Matrix rows({a.data, a.dtype}, !g.transpose_a), columns({b.data, b.dtype}, g.transpose_b);
  rows.pitch = g.transpose_a ? g.m : g.k;
  rows.batch = g.stride_a;
  columns.pitch = g.transpose_b ? g.k : g.n;
  columns.batch = g.stride_b;
  amx::Rows out;
  out.to = c;
  out.pitch = g.n;
  out.batch = g.m * g.n;
  amx::Product p;
  p.batches = g.batch;
  p.rows = g.m;
  p.columns = g.n;
  p.terms = g.k;
  p.dtype = a.dtype;
  p.a = &rows;
  p.b = &columns;
  p.result = &out;
  amx::run_product(p, unit);
}

}  // namespace

const char* refuse_matmul_amx_emulated(const MatmulGeometry&, ConstView a, ConstView, View) {
  return amx::refuse(a.dtype);
}
void matmul_amx_emulated(const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  run(g, a, b, c, TileUnit::emulated);
}

const char* refuse_matmul_amx(const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  if (const char* why = why_no_tile_unit()) return why;
  if (const char* why = amx::refuse(a.dtype)) return why;
  const bool one = g.stride_b == 0 && g.stride_a == g.m * g.k && !g.transpose_a;
  return amx::refuse_small(
      {one ? g.batch * g.m : g.m, g.n, g.k, static_cast<double>(c.numel) * static_cast<double>(g.k),
       static_cast<double>(a.numel + b.numel + c.numel) * static_cast<double>(size_of(a.dtype))});
}
void matmul_amx(const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  run(g, a, b, c, tile_unit());
}

}  // namespace isobit::cpu::kernels
