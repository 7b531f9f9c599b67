// From a run-time element type to a compile-time one.
#pragma once
#include <isobit/dtype.h>

#include <cstdint>

namespace isobit {

/// Calls body(T{}) for the C++ type that dtype names.
template <class Body>
void with_dtype(DType dtype, const Body& body) {
  switch (dtype) {
    case DType::f32:
      return body(float{});
    case DType::f64:
      return body(double{});
    case DType::f16:
      return body(f16{});
    case DType::bf16:
      return body(bf16{});
    case DType::i32:
      return body(std::int32_t{});
    case DType::i64:
      return body(std::int64_t{});
    case DType::u8:
      return body(std::uint8_t{});
    default:
      return body(bool{});
  }
}

}  // namespace isobit
