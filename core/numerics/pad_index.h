// The index map of every padding mode: which element of an axis a coordinate reads. The one place where it is
// computed, for the kernels of both sides and for the trace of a convolution (isobit/explain.h). (The
// definition in cpu/reference/ writes its own, because it judges.)
#pragma once
#include <isobit/pad_mode.h>

#include <cstdint>

#include "core/numerics/host_device.h"

namespace isobit::numerics {

/// The element of an axis of `extent` >= 1 elements that coordinate `i` reads, however far outside it lies;
/// -1 where it reads the constant. Beyond the first bounce reflect and symmetric go on mirroring, so they
/// have the periods 2 * extent - 2 and 2 * extent (NumPy's rule); a single element reflects to itself.
template <class I>
HOST_DEVICE inline I pad_source(PadMode mode, I i, I extent) {
  if (0 <= i && i < extent) return i;
  if (mode == PadMode::constant) return -1;
  if (mode == PadMode::replicate) return i < 0 ? 0 : extent - 1;
  if (extent == 1) return 0;
  const I period = mode == PadMode::circular    ? extent
                   : mode == PadMode::symmetric ? 2 * extent
                                                : 2 * extent - 2;
  I rest = i % period;
  if (rest < 0) rest += period;
  if (rest < extent) return rest;
  return mode == PadMode::symmetric ? period - 1 - rest : period - rest;
}

}  // namespace isobit::numerics
