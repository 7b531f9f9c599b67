// isobit verify --onnx: the test cases of ONNX, which nobody of this project wrote. Built where the libraries
// that read them are there (cmake/IsobitOnnx.cmake); otherwise the command says what is missing.
#pragma once
#include <isobit/device.h>

#include <string>
#include <vector>

namespace isobit::cli {

struct OnnxArguments {
  std::string folder;           ///< empty: where Debian's package libonnx-testdata has them
  std::vector<Device> devices;  ///< empty: the CPU
  std::string only;
  bool json = false;
};
/// The exit code: 0 when nothing failed and something ran.
int verify_onnx(const OnnxArguments& arguments);

}  // namespace isobit::cli
