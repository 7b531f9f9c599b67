// isobit verify --onnx of a build that cannot read ONNX files.
#include <isobit/error.h>

#include "cli/onnx_command.h"

namespace isobit::cli {

int verify_onnx(const OnnxArguments& /*arguments*/) {
  fail("verify",
       "this build reads no ONNX files ({}). On Debian: apt-get install libonnx-dev libprotobuf-dev "
       "libonnx-testdata, then configure and build again with -DISOBIT_ONNX=ON",
       ISOBIT_MISSING_ONNX);
}

}  // namespace isobit::cli
