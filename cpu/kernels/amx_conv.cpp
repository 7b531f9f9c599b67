// The three convolutions on the tile unit, as the products that conv_pass.h describes:
//
//                     rows                 terms                columns
//   forward           positions of y       (taps, channels)     filters
//   backward_input    positions of a phase (taps, filters)      channels
//   backward_filter   (taps, channels)     positions of y       filters
//
// No matrix is built: a block reads the runs of channels that its positions and taps meet, the border among
// them, as it packs. Twin: cuda/kernels/tensor_conv.cu.
#include <algorithm>
#include <array>

#include "core/numerics/pad_index.h"
#include "cpu/kernels/amx.h"
#include "cpu/kernels/amx_operands.h"
#include "cpu/kernels/amx_pack.h"
#include "cpu/kernels/amx_product.h"
#include "cpu/kernels/conv_backward_input.h"
#include "cpu/kernels/conv_border.h"
#include "cpu/kernels/conv_forward.h"
#include "cpu/kernels/conv_pass.h"

namespace isobit::cpu::kernels {
namespace {

using amx::Operand;
using gemm::Pass;
using gemm::PassAxis;

std::int64_t positions(const Pass& p) {
  return p.axis[0].outputs * p.axis[1].outputs * p.axis[2].outputs;
}
std::int64_t taps(const Pass& p) {
  return p.axis[0].taps * p.axis[1].taps * p.axis[2].taps;
}

/// A counter over three axes, the last the fastest.
struct Digits {
  std::array<std::int64_t, 3> at{};
  Digits(std::int64_t index, std::int64_t middle, std::int64_t last) {
    at[2] = index % last;
    at[1] = index / last % middle;
    at[0] = index / last / middle;
  }
  void next(std::int64_t middle, std::int64_t last) {
    if (++at[2] < last) return;
    at[2] = 0;
    if (++at[1] < middle) return;
    at[1] = 0;
    ++at[0];
  }
};

/// The source of a pass where positions meet (taps, channels). Which of the two are lines is along_terms'
/// choice: a segment is always of (taps, channels) at one position.
class Windows final : public Operand {
 public:
  Windows(const Pass& pass, bool along_terms)
      : Operand(along_terms), p_(pass), border_(static_cast<float>(pass.border)), taps_(taps(pass)) {
    for (std::int64_t i = 0; i < taps_.size(); ++i) {
      const Digits tap(i, p_.axis[1].taps, p_.axis[2].taps);
      std::int64_t element = 0;
      for (std::size_t a = 0; a < 3; ++a)
        element = element * p_.axis[a].source + tap.at[a] * p_.axis[a].tap_step;
      taps_[i] = element * p_.groups * p_.channels;
    }
  }

  const float* segment(std::int64_t group, std::int64_t at, std::int64_t first, std::int64_t count,
                       float* room) const override {
    float* to = room;
    for_each_run(group, at, first, count, [&](const gemm::Source& from, std::int64_t run) {
      if (from.data == nullptr)
        gemm::fill_few(border_, to, run);
      else if (from.dtype == DType::f32)
        gemm::copy_few(from.as<float>(), to, run);
      else
        gemm::widen(from, to, run);
      to += run;
    });
    return room;
  }

  int pieces(std::int64_t group, std::int64_t at, std::int64_t first, std::int64_t count, float* room,
             Piece* to) const override {
    const bool whole = p_.channels % amx::kTerms == 0 && first % amx::kTerms == 0;
    if (p_.source.dtype != DType::f32 || (!whole && first % p_.channels + count > p_.channels))
      return Operand::pieces(group, at, first, count, room, to);
    int pieces = 0;
    for_each_run(group, at, first, count, [&](const gemm::Source& from, std::int64_t run) {
      if (from.data == nullptr) gemm::fill_few(border_, room, run);
      const float* const at_run = from.data == nullptr ? room : from.as<float>();
      if (along_terms() && pieces > 0 && to[pieces - 1].from + to[pieces - 1].count == at_run)
        to[pieces - 1].count += run;  // the neighbouring tap's
      else
        to[pieces++] = {at_run, run};
    });
    return pieces;
  }

 private:
  /// fn(source, run) for the runs of channels; no source where a tap meets the border.
  template <class Fn>
  void for_each_run(std::int64_t group, std::int64_t at, std::int64_t first, std::int64_t count,
                    const Fn& fn) const {
    const PassAxis &depth = p_.axis[0], &height = p_.axis[1], &width = p_.axis[2];
    const std::int64_t in_sample = depth.outputs * height.outputs * width.outputs;
    const Digits position(at % in_sample, height.outputs, width.outputs);
    std::int64_t index = first / p_.channels, channel = first % p_.channels, corner = at / in_sample;
    const std::int64_t pitch = p_.groups * p_.channels;
    bool inside = true;
    for (std::size_t i = 0; i < 3; ++i) {
      const PassAxis& axis = p_.axis[i];
      const std::int64_t from = position.at[i] * axis.step + axis.tap_first,
                         to = from + (axis.taps - 1) * axis.tap_step;
      inside = inside && std::min(from, to) >= 0 && std::max(from, to) < axis.source;
      corner = corner * axis.source + from;
    }
    if (inside) {
      const gemm::Source source = p_.source.at(corner * pitch + group * p_.channels);
      for (; count > 0; channel = 0, ++index) {
        const std::int64_t run = std::min(count, p_.channels - channel);
        fn(source.at(taps_[index] + channel), run);
        count -= run;
      }
      return;
    }
    Digits tap(index, height.taps, width.taps);
    for (; count > 0; channel = 0, tap.next(height.taps, width.taps)) {
      const std::int64_t run = std::min(count, p_.channels - channel);
      std::int64_t element = at / in_sample;
      for (std::size_t i = 0; i < 3 && element >= 0; ++i) {
        const PassAxis& axis = p_.axis[i];
        const std::int64_t from = numerics::pad_source(
            axis.mode, position.at[i] * axis.step + axis.tap_first + tap.at[i] * axis.tap_step, axis.source);
        element = from < 0 ? -1 : element * axis.source + from;
      }
      fn(element < 0 ? gemm::Source{nullptr, p_.source.dtype}
                     : p_.source.at(element * pitch + group * p_.channels + channel),
         run);
      count -= run;
    }
  }

  const Pass& p_;
  float border_;
  Scratch<std::int64_t> taps_;  // how far each lies from the first, in elements of the source
};

/// The filter of a pass, its columns as lines: along them where they lie together, else along the channels of
/// a tap.
class Filter final : public Operand {
 public:
  explicit Filter(const Pass& pass) : Operand(pass.column_stride != 1), p_(pass) {}

  const float* segment(std::int64_t group, std::int64_t at, std::int64_t first, std::int64_t count,
                       float* room) const override {
    const std::int64_t start = group * p_.group_stride;
    if (!along_terms()) {
      const std::int64_t element =
          tap_element(tap_of(at / p_.channels)) + at % p_.channels * p_.channel_stride;
      return amx::in_f32(p_.filter.at(start + element + first), count, room);
    }
    Digits tap = tap_of(first / p_.channels);
    std::int64_t channel = first % p_.channels;
    for (float* to = room; count > 0; channel = 0, tap.next(p_.axis[1].taps, p_.axis[2].taps)) {
      const std::int64_t run = std::min(count, p_.channels - channel);
      const gemm::Source from =
          p_.filter.at(start + tap_element(tap) + channel * p_.channel_stride + at * p_.column_stride);
      if (from.dtype != DType::f32)
        gemm::widen(from, to, run);
      else if (to == room && run == count)
        return from.as<float>();
      else
        gemm::copy_few(from.as<float>(), to, run);
      to += run;
      count -= run;
    }
    return room;
  }

 private:
  Digits tap_of(std::int64_t index) const { return {index, p_.axis[1].taps, p_.axis[2].taps}; }
  std::int64_t tap_element(const Digits& tap) const {
    std::int64_t index = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      const PassAxis& axis = p_.axis[i];
      index = index * axis.filter + axis.filter_first + tap.at[i] * axis.filter_step;
    }
    return index * p_.tap_stride;
  }
  const Pass& p_;
};

/// The output of a pass: + bias, relu, rounded, and what follows.
class Places final : public amx::Result {
 public:
  explicit Places(const Pass& pass)
      : p_(pass), bias_(pass.bias.data != nullptr ? pass.groups * pass.columns : 0) {
    if (pass.bias.data != nullptr) gemm::widen(pass.bias, bias_.data(), bias_.size());
  }

  void store(std::int64_t group, std::int64_t row, std::int64_t first, std::int64_t count,
             float* sums) const override {
    const PassAxis &depth = p_.axis[0], &height = p_.axis[1], &width = p_.axis[2];
    const std::int64_t in_sample = depth.outputs * height.outputs * width.outputs;
    const Digits position(row % in_sample, height.outputs, width.outputs);
    std::int64_t place = row / in_sample;
    for (std::size_t i = 0; i < 3; ++i) {
      const PassAxis& axis = p_.axis[i];
      place = place * axis.place + axis.place_first + position.at[i] * axis.place_step;
    }
    const std::int64_t column = group * p_.columns + first;
    if (bias_.size() > 0)
      for (std::int64_t i = 0; i < count; ++i) sums[i] += bias_[column + i];
    if (p_.relu)
      for (std::int64_t i = 0; i < count; ++i) sums[i] = sums[i] < 0 ? 0 : sums[i];
    void* const to = static_cast<char*>(p_.out) + (place * p_.pitch() + column) * size_of(p_.dtype);
    if (p_.dtype == DType::f32)
      gemm::copy_few(sums, static_cast<float*>(to), count);
    else
      gemm::narrow(sums, to, p_.dtype, count);
    if (p_.then != nullptr) p_.then->apply({to, p_.dtype, count}, p_.first_column + column, count);
  }

 private:
  const Pass& p_;
  Scratch<float> bias_;
};

void run_pass(const Pass& pass, TileUnit unit) {
  const Windows windows(pass, true);
  const Filter filter(pass);
  const Places places(pass);
  amx::Product p;
  p.batches = pass.groups;
  p.rows = pass.n * positions(pass);
  p.columns = pass.columns;
  p.terms = taps(pass) * pass.channels;
  p.dtype = pass.dtype;
  p.a = &windows;
  p.b = &filter;
  p.result = &places;
  amx::run_product(p, unit);
}

void run_filter(const ConvGeometry& g, ConstView x, ConstView dy, View dw, TileUnit unit) {
  const std::int64_t filters = g.k_per_group();
  conv_forward_as_pass(g, x, {}, {}, {nullptr, dw.dtype, 0}, [&](const Pass& pass) {
    const Windows windows(pass, false);
    amx::Matrix columns({dy.data, dy.dtype}, false);
    columns.pitch = g.k;
    columns.batch = filters;
    amx::Rows out;
    out.to = dw;
    out.pitch = g.k;
    out.batch = filters;
    amx::Product p;
    p.batches = g.groups;
    p.rows = g.terms();
    p.columns = filters;
    p.terms = g.n * g.positions();
    p.dtype = x.dtype;
    p.a = &windows;
    p.b = &columns;
    p.result = &out;
    amx::run_product(p, unit);
  });
}

const char* refuse(const ConvGeometry& g, DType dtype, std::int64_t rows, std::int64_t columns,
                   std::int64_t terms) {
  if (const char* why = why_no_tile_unit()) return why;
  if (const char* why = amx::refuse(dtype)) return why;
  return amx::refuse_small(
      {rows, columns, terms, static_cast<double>(g.y_size()) * static_cast<double>(g.terms()),
       static_cast<double>(g.x_size() + g.w_size() + g.y_size()) * static_cast<double>(size_of(dtype))});
}

}  // namespace

const char* refuse_conv_forward_amx_emulated(const ConvGeometry&, ConstView x, ConstView, const Epilogue&,
                                             View) {
  return amx::refuse(x.dtype);
}
void conv_forward_amx_emulated(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                               View y) {
  conv_forward_as_pass(g, x, w, epilogue, y, [](const Pass& p) { run_pass(p, TileUnit::emulated); });
}
const char* refuse_conv_forward_amx(const ConvGeometry& g, ConstView x, ConstView, const Epilogue&, View) {
  return refuse(g, x.dtype, g.n * g.positions(), g.k_per_group(), g.terms());
}
void conv_forward_amx(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue, View y) {
  conv_forward_as_pass(g, x, w, epilogue, y, [](const Pass& p) { run_pass(p, tile_unit()); });
}

const char* refuse_conv_backward_input_amx_emulated(const ConvGeometry&, ConstView dy, ConstView, View) {
  return amx::refuse(dy.dtype);
}
void conv_backward_input_amx_emulated(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  conv_backward_input_as_passes(g, dy, w, dx, [](const Pass& p) { run_pass(p, TileUnit::emulated); });
}
const char* refuse_conv_backward_input_amx(const ConvGeometry& g, ConstView dy, ConstView, View) {
  std::int64_t phases = 1;
  for (const AxisGeometry& axis : g.axis) phases *= std::min(axis.stride, axis.in);
  return refuse(g, dy.dtype, g.c == 0 ? 0 : g.x_size() / g.c / std::max<std::int64_t>(phases, 1),
                g.c_per_group(), g.taps() * g.k_per_group() / std::max<std::int64_t>(phases, 1));
}
void conv_backward_input_amx(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  conv_backward_input_as_passes(g, dy, w, dx, [](const Pass& p) { run_pass(p, tile_unit()); });
}

const char* refuse_conv_backward_filter_amx_emulated(const ConvGeometry&, ConstView x, ConstView, View) {
  return amx::refuse(x.dtype);
}
void conv_backward_filter_amx_emulated(const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  run_filter(g, x, dy, dw, TileUnit::emulated);
}
const char* refuse_conv_backward_filter_amx(const ConvGeometry& g, ConstView x, ConstView, View) {
  return refuse(g, x.dtype, g.terms(), g.k_per_group(), g.n * g.positions());
}
void conv_backward_filter_amx(const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  run_filter(g, x, dy, dw, tile_unit());
}

}  // namespace isobit::cpu::kernels
