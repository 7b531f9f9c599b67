// What isobit train was asked for.
#pragma once
#include <isobit/train.h>

#include <CLI/CLI.hpp>
#include <string>

namespace isobit::cli {

struct TrainArguments {
  std::string data, model = "lenet", device = "cpu", out, resume, plan;
  train::Options options;
  train::RunOptions run;
  int threads = 0;
  bool json = false;
  std::string given;  ///< the options that shape the run and stand on the command line, for resuming
};

/// Declares the options on `command`; `a` must outlive it.
void declare(CLI::App& command, TrainArguments& a);
/// After parsing: fills in what depends on other options, and refuses what cannot work before anything is
/// read. Throws Error.
void settle(const CLI::App& command, TrainArguments& a);
/// Makes sure that `path`, of that option, can be written, now, rather than after an hour of training. Throws
/// Error.
void check_writable(const char* option, const std::string& path);

}  // namespace isobit::cli
