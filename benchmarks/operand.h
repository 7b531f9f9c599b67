// A tensor that peers get as a file.
#pragma once
#include <isobit/tensor.h>

#include <nlohmann/json.hpp>
#include <string>

namespace isobit::bench {

/// A file in the temporary folder that is gone with the object.
class TemporaryFile {
 public:
  TemporaryFile();
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// A tensor on the device that is measured; its elements become a file when a peer first asks for them.
class Operand {
 public:
  explicit Operand(Tensor tensor) : tensor_(std::move(tensor)) {}
  const Tensor& tensor() const { return tensor_; }
  Tensor& tensor() { return tensor_; }
  /// {"path", "shape", "dtype"}: raw little-endian elements, row-major.
  nlohmann::json describe() const;

 private:
  Tensor tensor_;
  mutable std::unique_ptr<TemporaryFile> file_;
};

/// A tensor of that shape and type on the CPU from a file as a peer writes it. Throws Error when the file
/// has another size.
Tensor read_tensor(const std::string& path, const Shape& shape, DType dtype);

/// Largest |theirs - ours| divided by the root of the mean square of ours; infinite for NaN and for values
/// other than 0 where ours are 0 throughout. Of one shape.
double relative_error(const Tensor& theirs, const Tensor& ours);

/// What relative_error two correct libraries stay below whose sums have different orders: the type's rounding
/// of the result, and the growth of errors over a long sum.
double tolerance(DType dtype);

}  // namespace isobit::bench
