// Equality by bits, and digests.
#include <isobit/tensor.h>

#include <cstring>
#include <vector>

#include "core/io/sha256.h"
#include "core/tensor/impl.h"

namespace isobit {

namespace {

template <class Bits>
void canonicalize(void* elements, std::int64_t count, Bits infinity, Bits quiet_nan) {
  auto* bits = static_cast<Bits*>(elements);
  const Bits magnitude = static_cast<Bits>(~(Bits{1} << (sizeof(Bits) * 8 - 1)));
  for (std::int64_t i = 0; i < count; ++i)
    if ((bits[i] & magnitude) > infinity) bits[i] = quiet_nan;
}

std::vector<char> canonical_bytes(const Tensor& t) {
  std::vector<char> bytes(static_cast<std::size_t>(t.bytes()));
  t.copy_to_host(bytes.data());
  canonicalize_nans(t.dtype(), bytes.data(), t.numel());
  return bytes;
}

}  // namespace

void canonicalize_nans(DType dtype, void* elements, std::int64_t count) {
  switch (dtype) {
    case DType::f32:
      return canonicalize<std::uint32_t>(elements, count, 0x7f800000u, 0x7fc00000u);
    case DType::f64:
      return canonicalize<std::uint64_t>(elements, count, 0x7ff0000000000000u, 0x7ff8000000000000u);
    case DType::f16:
      return canonicalize<std::uint16_t>(elements, count, 0x7c00u, 0x7e00u);
    case DType::bf16:
      return canonicalize<std::uint16_t>(elements, count, 0x7f80u, 0x7fc0u);
    default:
      return;
  }
}

std::int64_t first_difference(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || !(a.shape() == b.shape()))
    fail("first_difference", "tensors of different form, {} {} and {} {}", a.dtype(), a.shape(), b.dtype(),
         b.shape());
  const std::vector<char> one = canonical_bytes(a), two = canonical_bytes(b);
  if (one.empty() || std::memcmp(one.data(), two.data(), one.size()) == 0) return -1;
  std::size_t at = 0;
  while (one[at] == two[at]) ++at;
  return static_cast<std::int64_t>(at) / size_of(a.dtype());
}

bool equal_bits(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && first_difference(a, b) < 0;
}

std::string Tensor::digest() const {
  io::Sha256 sha;
  const std::string head = fmt::format("{} {}\n", dtype(), shape());
  sha.update(head.data(), head.size());
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "digests are of little-endian bytes");
  const std::vector<char> bytes = canonical_bytes(*this);
  sha.update(bytes.data(), bytes.size());
  return sha.hex();
}

}  // namespace isobit
