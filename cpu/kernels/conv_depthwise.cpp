// The driver of strips, depthwise and of small groups (conv_depthwise.h). A task is a band of output rows of
// one sample, for some vectors of channels; it runs one pass, or the phases of an input gradient after each
// other, which meet the same part of dy (conv_strip_pass.h).
#include "cpu/kernels/conv_depthwise.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/numerics/order.h"
#include "cpu/kernels/conv_strip_pass.h"
#include "cpu/runtime/scratch.h"
#include "cpu/runtime/thread_pool.h"

namespace isobit::cpu::gemm {
namespace {

constexpr std::int64_t kTaskBytes = 256 << 10;  ///< of a band of the output
constexpr double kSerialWork = 1 << 18;         ///< multiply-adds that are not worth waking a thread
constexpr std::int64_t kLongestRow = std::int64_t{1} << 24;

template <class T>
void run(std::span<const Pass> passes) {
  double work = 0;
  std::int64_t filter = 0, offsets = 0, rows = 1, vectors = 1;
  std::vector<StripPass<T>> ready;
  ready.reserve(passes.size());
  for (const Pass& pass : passes) {
    const StripPass<T>& p = ready.emplace_back(pass);
    work += static_cast<double>(pass.n * p.outputs()) *
            static_cast<double>(p.taps() * group_of(pass) * p.channels());
    filter += p.filter_elements();
    offsets += p.offset_elements();
    rows = std::max(rows, p.rows());
    vectors = p.vectors();
  }
  const Scratch<T> filters(filter);
  const Scratch<std::int64_t> tables(offsets);
  filter = offsets = 0;
  for (StripPass<T>& p : ready) {
    p.prepare(filters.data() + filter, tables.data() + offsets);
    filter += p.filter_elements();
    offsets += p.offset_elements();
  }

  // Bands of about kTaskBytes of the output, an even number of rows; parts of at least two vectors, for the
  // last two may overlap.
  const Pass& any = passes[0];
  const std::int64_t threads = work < kSerialWork ? 1 : thread_count();
  double bytes = sizeof(T) * static_cast<double>(ready[0].channels()) / static_cast<double>(rows);
  for (const PassAxis& axis : any.axis) bytes *= static_cast<double>(axis.place);
  std::int64_t band = std::max<std::int64_t>(2, static_cast<std::int64_t>(kTaskBytes / std::max(bytes, 1.0)));
  if (threads > 1) band = std::min(band, strips_over(any.n * rows, 4 * threads));
  band = strips_over(std::min(band, rows), 2) * 2;
  const std::int64_t bands = strips_over(rows, band);
  std::int64_t parts = 1;
  if (threads > 1 && any.n * bands < 2 * threads && !any.then)
    parts = std::clamp<std::int64_t>(strips_over(2 * threads, any.n * bands), 1,
                                     std::max<std::int64_t>(1, vectors / 2));
  parallel_for(any.n * bands * parts, [&](std::int64_t task) {
    const std::int64_t n = task / (bands * parts), index = task / parts % bands, part = task % parts;
    for (const StripPass<T>& p : ready) {
      const std::int64_t begin = std::min(index * band, p.rows()), end = std::min(begin + band, p.rows());
      if (p.empty() || begin == end) continue;
      p.run(n, begin, end, part * vectors / parts, (part + 1) * vectors / parts);
      if (any.then) p.activate(n, begin, end);
    }
    if (ready[0].streams()) flush_strips();
  });
}

}  // namespace

const char* refuse_strips(const Pass& pass) {
  if (pass.dtype != DType::f32 && pass.dtype != DType::f64) return "elements to be widened";
  if (pass.bias.data != nullptr && pass.bias.dtype != pass.dtype) return "a bias of another type";
  const PassAxis &depth = pass.axis[0], &height = pass.axis[1], &width = pass.axis[2];
  // The products of extents fit 63 bits; filters alone may be huge.
  if (depth.taps < 1 || height.taps < 1 || width.taps < 1) return "no taps";
  if (!pass.depthwise && pass.channels != pass.columns)
    return "groups with more or fewer filters than channels";
  const std::int64_t group = group_of(pass);
  if (depth.taps > numerics::kBlock || height.taps > numerics::kBlock || width.taps > numerics::kBlock ||
      group > numerics::kBlock || depth.taps * height.taps * width.taps * group > numerics::kBlock)
    return group == 1 ? "more than one block of taps" : "more than one block of terms";
  if (depth.source < 1 || height.source < 1 || width.source < 1) return "an empty source";
  if (width.taps > 1 && width.tap_step != 1 && width.tap_step != -1) return "columns dilated";
  if (width.outputs > kLongestRow || width.source > kLongestRow) return "rows too long for a table";
  const auto with = [&]<class T>(T) -> const char* {
    const StripSet<T>* set = strip_set_of<T>(pass);
    if (set == nullptr)
      return pass.depthwise ? "no strips for the filter's width and stride"
                            : "no strips for the group, the filter's width and stride";
    if (pass.groups * pass.columns < set->lanes) return "fewer channels than a vector holds";
    return nullptr;
  };
  return pass.dtype == DType::f64 ? with(double{}) : with(float{});
}

void run_strips(std::span<const Pass> passes) {
  if (passes.empty() || passes[0].n == 0) return;
  passes[0].dtype == DType::f64 ? run<double>(passes) : run<float>(passes);
}

}  // namespace isobit::cpu::gemm
