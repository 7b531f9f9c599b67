// The orders in which the emulator can run a kernel, by name: what `isobit verify` goes through. A kernel
// that is right gives the same bits in each.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace isobit::emulator {

/// "forward order", "reverse order", "shuffled order", "warps ahead"
std::vector<std::string> variants();
/// From now on kernels run that way; "" sets back what was before the first call. Throws Error when there is
/// no such variant.
void set_variant(std::string_view name);

}  // namespace isobit::emulator
