// The threads of the host that run a launch's blocks.
#pragma once

namespace isobit::emulator {

struct Launch;

/// Runs all blocks, on the calling thread and on others where that pays; returns when all are done.
void run_on_workers(Launch& launch);

}  // namespace isobit::emulator
