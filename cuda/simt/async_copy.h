// cp.async: the bytes land when they are waited for, no sooner. Until then the destination holds NaN.
#pragma once

namespace isobit::emulator {

/// Copies the first `filled` of `bytes` (4, 8 or 16) and zeroes the rest.
void async_copy(void* shared, const void* global, int bytes, int filled, const char* file, int line);
void async_commit();
/// Returns when all of this thread's copies have landed but those of its `groups` newest commits.
void async_wait(int groups);

}  // namespace isobit::emulator
