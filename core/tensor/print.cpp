// NumPy-like text of tensors.
#include <isobit/tensor.h>

#include <algorithm>
#include <vector>

#include "core/numerics/half.h"
#include "core/tensor/impl.h"

namespace isobit {

namespace {

template <class T>
T element(const char* bytes, std::int64_t i) {
  return reinterpret_cast<const T*>(bytes)[i];
}

std::string text_of(DType dtype, const char* bytes, std::int64_t i) {
  switch (dtype) {
    case DType::f32:
      return fmt::format("{:.6g}", element<float>(bytes, i));
    case DType::f64:
      return fmt::format("{:.10g}", element<double>(bytes, i));
    case DType::f16:
      return fmt::format("{:.4g}", numerics::f16_to_f32(element<std::uint16_t>(bytes, i)));
    case DType::bf16:
      return fmt::format("{:.3g}", numerics::bf16_to_f32(element<std::uint16_t>(bytes, i)));
    case DType::i32:
      return fmt::format("{}", element<std::int32_t>(bytes, i));
    case DType::i64:
      return fmt::format("{}", element<std::int64_t>(bytes, i));
    case DType::u8:
      return fmt::format("{}", element<std::uint8_t>(bytes, i));
    default:
      return element<std::uint8_t>(bytes, i) ? "true" : "false";
  }
}

/// Writes one axis: brackets around its parts, the middle left out when there are too many.
class Printer {
 public:
  Printer(const Tensor& t, int edge) : shape_(t.shape()), dtype_(t.dtype()), edge_(edge), bytes_(t.bytes()) {
    t.copy_to_host(bytes_.data());
    visit(0, 0, [&](std::int64_t i) { width_ = std::max(width_, text_of(dtype_, bytes_.data(), i).size()); });
  }

  std::string text() {
    std::string out;
    write(0, 0, out);
    return out;
  }

 private:
  bool skips(int axis) const { return shape_[axis] > 2 * std::int64_t{edge_}; }

  template <class F>
  void visit(int axis, std::int64_t index, const F& f) {
    if (axis == shape_.rank()) return f(index);
    for (std::int64_t i = 0; i < shape_[axis]; ++i) {
      if (skips(axis) && i == edge_) i = shape_[axis] - edge_;
      visit(axis + 1, index * shape_[axis] + i, f);
    }
  }

  void write(int axis, std::int64_t index, std::string& out) {
    if (axis == shape_.rank()) {
      out += fmt::format("{:>{}}", text_of(dtype_, bytes_.data(), index), width_);
      return;
    }
    const bool innermost = axis + 1 == shape_.rank();
    const std::string separator =
        innermost
            ? ", "
            : "," + std::string(innermost ? 0 : shape_.rank() - axis - 1, '\n') + std::string(axis + 1, ' ');
    out += "[";
    for (std::int64_t i = 0; i < shape_[axis]; ++i) {
      if (i > 0) out += separator;
      if (skips(axis) && i == edge_) {
        out += "..." + separator;
        i = shape_[axis] - edge_;
      }
      write(axis + 1, index * shape_[axis] + i, out);
    }
    out += "]";
  }

  Shape shape_;
  DType dtype_;
  int edge_;
  std::size_t width_ = 0;
  std::vector<char> bytes_;
};

}  // namespace

std::string Tensor::to_string(int edge) const {
  if (!defined()) return "tensor(undefined)";
  if (edge < 1) fail("to_string", "edge {} must be at least 1", edge);
  const std::string values = numel() == 0 ? "[]" : Printer(*this, edge).text();
  return fmt::format("{}\n{} {} on {}", values, dtype(), shape(), device());
}

}  // namespace isobit
