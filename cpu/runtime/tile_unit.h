// Whether this process multiplies on the processor's tile unit (AMX with bf16): the processor has it, the
// system saves its registers, and has given this process leave to use them, for which it is asked once.
//
// ISOBIT_AMX in the environment, read when the CPU device is made: `on`, the default; `off`: as if the
// processor had none; `emulated`: the model of the unit (cpu/kernels/amx_emulated.h) in its place, for tests
// of what chooses it.
#pragma once
#include <cstdint>

namespace isobit::cpu {

enum class TileUnit : std::uint8_t { none, amx, emulated };

/// What the algorithm `amx` runs on. Throws Error when ISOBIT_AMX says something else.
TileUnit tile_unit();
/// Why there is none; null when there is one.
const char* why_no_tile_unit();

}  // namespace isobit::cpu
