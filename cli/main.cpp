// The isobit program: parses the command line, runs a subcommand, turns errors into messages and exit codes.
#include <isobit/error.h>

#include <cstdio>
#include <exception>

#include "cli/commands.h"

int main(int argc, char** argv) {
  CLI::App app{
      "isobit: convolutional networks whose answers are the same bits on every device.\n"
      "\n"
      "  isobit train --out lenet.safetensors      train LeNet on Fashion-MNIST, 3 epochs\n"
      "  isobit predict lenet.safetensors shoe.png classify a picture with it\n"
      "  isobit devices                            what can compute here\n"
      "  isobit verify                             do all devices give the same bits\n"
      "  isobit compare lenet.safetensors --against torch   where and why two implementations differ\n"
      "  isobit explain conv ic1ih5oc1kh3ph1 --at 0,0,0,0   every tap of one output of a convolution\n"
      "\n"
      "Each subcommand explains itself: isobit train --help"};
  app.name("isobit");
  app.set_version_flag("--version", ISOBIT_VERSION);
  app.require_subcommand(1);
  isobit::cli::Run run;
  isobit::cli::add_train(app, run);
  isobit::cli::add_predict(app, run);
  isobit::cli::add_filters(app, run);
  isobit::cli::add_viz(app, run);
  isobit::cli::add_devices(app, run);
  isobit::cli::add_bench(app, run);
  isobit::cli::add_verify(app, run);
  isobit::cli::add_explain(app, run);
  isobit::cli::add_compare(app, run);
  isobit::cli::add_support(app, run);
  isobit::cli::add_plan(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 1;
  }
  try {
    return run();
  } catch (const isobit::Error& error) {
    std::fflush(stdout);
    fmt::print(stderr, "isobit: {}\n", error.what());
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "isobit: out of memory: try a smaller --batch or --micro-batch\n");
  } catch (const std::exception& error) {
    fmt::print(stderr, "isobit: {}\n", error.what());
  }
  return 1;
}
