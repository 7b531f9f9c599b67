// NumPy's files: .npz archives of named arrays, as numpy.savez and numpy.savez_compressed write them. What
// isobit/io.h says of all readers holds here.
#pragma once
#include <isobit/io.h>

namespace isobit::io {

/// Arrays of dtype f8, f4, f2, i8, i4, u1 and bool, little-endian, in the order of the archive; those in
/// Fortran's order are brought to C's. Members are stored or deflated. Throws Error for every archive that is
/// not exactly right: checksums, sizes or offsets that do not fit, names that occur twice or do not end in
/// .npy, other dtypes, archives in parts, with passwords or of more than 4 GiB.
NamedTensors read_npz(const std::string& path, Device device = {});
NamedTensors decode_npz(std::span<const std::uint8_t> bytes, std::string_view name, Device device = {});

/// Stored without compression; bf16 as f4, which holds every value. Written atomically. Throws Error when a
/// name is empty or occurs twice, or the archive would pass 4 GiB.
void write_npz(const std::string& path, const NamedTensors& tensors);
std::vector<std::uint8_t> encode_npz(const NamedTensors& tensors);

}  // namespace isobit::io
