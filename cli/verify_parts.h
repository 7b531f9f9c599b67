// isobit verify in several processes: a device computes one thing at a time, so that a second processor is of
// use to a second process only.
#pragma once
#include <isobit/verify.h>

#include <nlohmann/json.hpp>
#include <string>

namespace isobit::cli {

/// Runs the problems of `options` in `jobs` processes, this one among them, and joins their reports.
/// `options.choose` must not be set. Throws Error when a process ends without a report.
verify::Report run_in_processes(verify::Options options, int jobs);

/// What `isobit verify --json` prints.
nlohmann::ordered_json to_json(const verify::Report& report);

}  // namespace isobit::cli
