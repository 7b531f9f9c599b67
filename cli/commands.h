// The subcommands of the program. Each adds itself to the parser and leaves a function that runs it and
// returns the exit code: 0 done, 1 a usage or data error
// (thrown as isobit::Error) or bits that differ, 130 interrupted.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>

namespace isobit::cli {

using Run = std::function<int()>;

/// `chosen` is set when the command line names the subcommand.
void add_train(CLI::App& app, Run& chosen);
void add_predict(CLI::App& app, Run& chosen);
void add_filters(CLI::App& app, Run& chosen);
void add_viz(CLI::App& app, Run& chosen);
void add_devices(CLI::App& app, Run& chosen);
void add_bench(CLI::App& app, Run& chosen);
void add_verify(CLI::App& app, Run& chosen);
void add_explain(CLI::App& app, Run& chosen);
void add_compare(CLI::App& app, Run& chosen);
void add_support(CLI::App& app, Run& chosen);
void add_plan(CLI::App& app, Run& chosen);

}  // namespace isobit::cli
