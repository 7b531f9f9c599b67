// What the support matrix executes.
#pragma once
#include <isobit/ops.h>

#include <functional>
#include <string>
#include <vector>

namespace isobit::verify {

/// An op on inputs of some shapes, all of them differentiable.
struct SupportEntry {
  std::string op, mode;
  std::vector<Shape> inputs;
  std::function<Tensor(const std::vector<Tensor>&)> run;
};

using SupportEntries = std::vector<SupportEntry>;
SupportEntries support_entries();

/// Parts of it.
void add_convolutions(SupportEntries& all);
void add_padding(SupportEntries& all);
void add_pooling(SupportEntries& all);
void add_images(SupportEntries& all);

inline constexpr PadMode kAllModes[] = {PadMode::constant, PadMode::reflect, PadMode::symmetric,
                                        PadMode::replicate, PadMode::circular};
inline constexpr const char* kRanks[] = {"", "1-D", "2-D", "3-D"};
/// [n, extents of one to three axes, c]
Shape support_image(int axes, std::int64_t n, std::int64_t c);

}  // namespace isobit::verify
