#include "benchmarks/operand.h"

#include <isobit/error.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

namespace isobit::bench {
namespace {

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Close>;

template <class T>
double error_of(std::span<const T> theirs, std::span<const T> ours) {
  double worst = 0, squares = 0;
  bool bad = false;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const double a = theirs[i], b = ours[i], d = std::abs(a - b);
    bad = bad || !(d <= std::numeric_limits<double>::max());
    worst = std::max(worst, d);
    squares += b * b;
  }
  if (bad) return std::numeric_limits<double>::infinity();
  if (worst == 0) return 0;
  return worst / std::sqrt(squares / static_cast<double>(ours.size()));
}

}  // namespace

TemporaryFile::TemporaryFile() {
  const char* folder = std::getenv("TMPDIR");
  path_ = std::string(folder != nullptr && *folder != '\0' ? folder : "/tmp") + "/isobit-bench-XXXXXX";
  const int file = mkstemp(path_.data());
  if (file < 0) fail("bench", "no temporary file {}: {}", path_, std::strerror(errno));
  close(file);
}

TemporaryFile::~TemporaryFile() {
  unlink(path_.c_str());
}

nlohmann::json Operand::describe() const {
  if (!file_) {
    auto file = std::make_unique<TemporaryFile>();
    const Tensor here = tensor_.to(Device::cpu());
    const File out(std::fopen(file->path().c_str(), "wb"));
    const auto bytes = static_cast<std::size_t>(here.bytes());
    if (!out || std::fwrite(here.raw(), 1, bytes, out.get()) != bytes || std::fflush(out.get()) != 0)
      fail("bench", "{} could not be written: {}; TMPDIR names another folder", file->path(),
           std::strerror(errno));
    file_ = std::move(file);
  }
  const auto extents = tensor_.shape().extents();
  return {{"path", file_->path()},
          {"shape", std::vector<std::int64_t>(extents.begin(), extents.end())},
          {"dtype", std::string(name_of(tensor_.dtype()))}};
}

Tensor read_tensor(const std::string& path, const Shape& shape, DType dtype) {
  Tensor result = empty(shape, {.dtype = dtype});
  const auto bytes = static_cast<std::size_t>(result.bytes());
  const File in(std::fopen(path.c_str(), "rb"));
  if (!in || std::fread(result.mutable_raw(), 1, bytes, in.get()) != bytes || std::fgetc(in.get()) != EOF)
    fail("bench", "{} does not hold the {} bytes of {} {}", path, bytes, dtype, shape);
  return result;
}

double relative_error(const Tensor& theirs, const Tensor& ours) {
  const DType wide = ours.dtype() == DType::f64 ? DType::f64 : DType::f32;
  const Tensor a = theirs.to(Device::cpu()).to(wide), b = ours.to(Device::cpu()).to(wide);
  return wide == DType::f64 ? error_of(a.data<double>(), b.data<double>())
                            : error_of(a.data<float>(), b.data<float>());
}

double tolerance(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return 1e-10;
    case DType::f16:
      return 1e-2;
    case DType::bf16:
      return 5e-2;
    default:
      return 1e-3;
  }
}

}  // namespace isobit::bench
