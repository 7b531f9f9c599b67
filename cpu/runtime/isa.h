// Which instruction set the CPU kernels run with. The results do not depend on it (docs/numerics.md); tests
// force each one in turn. ISOBIT_ISA=scalar|avx2|avx512 in the environment is read when the choice is first
// asked for or used.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace isobit::cpu {

enum class Isa { scalar, avx2, avx512 };

/// "scalar", "avx2" or "avx512".
std::string_view isa_name(Isa isa);

/// The one with that name, if there is one.
std::optional<Isa> isa_from_name(std::string_view name);

/// Those that this processor and this build have, worst first. A build for a newer baseline (-march) has no
/// scalar one.
std::vector<Isa> available_isas();

/// The best of them.
Isa best_isa();

/// The one that the next kernel call uses: the last set_isa, else ISOBIT_ISA, else the best.
/// Throws when ISOBIT_ISA names none of the choices, or one that is not available.
Isa current_isa();

/// From now on kernels of all threads use `isa`; not to be called while one runs. Throws when it is not
/// available.
void set_isa(Isa isa);

/// Applies ISOBIT_ISA if nothing was chosen yet. The CPU device calls it when it is made, before any kernel
/// runs.
void initialize_isa();

}  // namespace isobit::cpu
