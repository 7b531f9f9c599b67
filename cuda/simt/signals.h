// Turns an access to what is no memory into a fault of the kernel that did it.
#pragma once

namespace isobit::emulator {

/// Installs the handler, once per process. Signals that are none of the emulator's go to whoever had them
/// before.
void catch_bad_accesses();
/// Gives the calling thread a stack for signals, so that a kernel's overflowing stack is told too.
void use_signal_stack();

}  // namespace isobit::emulator
