// Files: safetensors, PNG, JPEG, the digest of named tensors.
#include <isobit/io.h>
#include <nanobind/stl/map.h>

#include "layer.h"
#include "module.h"

namespace isobit::python {
namespace {

std::span<const std::uint8_t> bytes_of(const nb::bytes& b) {
  return {static_cast<const std::uint8_t*>(b.data()), b.size()};
}
nb::bytes to_bytes(const std::vector<std::uint8_t>& v) {
  return nb::bytes(v.data(), v.size());
}

/// Of a reader by path and a decoder of bytes: max_pixels, path or (bytes, name).
void image_reader(nb::module_& m, const char* read_name, Tensor (*read)(const std::string&, io::ImageLimits),
                  const char* decode_name,
                  Tensor (*decode)(std::span<const std::uint8_t>, std::string_view, io::ImageLimits),
                  const char* doc) {
  m.def(
      read_name,
      [read](const std::string& path, IntArg max_pixels) {
        const io::ImageLimits limits{max_pixels("max_pixels")};
        return unlocked([&] { return read(path, limits); });
      },
      "path"_a, "max_pixels"_a = io::ImageLimits{}.max_pixels, doc);
  m.def(
      decode_name,
      [decode](nb::bytes bytes, const std::string& name, IntArg max_pixels) {
        const io::ImageLimits limits{max_pixels("max_pixels")};
        const auto content = bytes_of(bytes);
        return unlocked([&] { return decode(content, name, limits); });
      },
      "bytes"_a, "name"_a = "bytes", "max_pixels"_a = io::ImageLimits{}.max_pixels, doc);
}

void bind_safetensors(nb::module_& m) {
  nb::class_<io::SafeTensors>(m, "SafeTensors", "The tensors of a file, and the free text beside them.")
      .def_prop_ro(
          "tensors", [](const io::SafeTensors& s) { return to_dict(s.tensors); },
          "By name, in the order in which their elements lie in the file.")
      .def_ro("metadata", &io::SafeTensors::metadata)
      .def(
          "__getitem__", [](const io::SafeTensors& s, const std::string& name) { return s.at(name); },
          "name"_a)
      .def(
          "__contains__", [](const io::SafeTensors& s, const std::string& name) { return s.contains(name); },
          "name"_a)
      .def("__len__", [](const io::SafeTensors& s) { return s.tensors.size(); });
  m.def(
      "read_safetensors",
      [](const std::string& path, DeviceArg device) {
        const Device d = device("device");
        return unlocked([&] { return io::read_safetensors(path, d); });
      },
      "path"_a, "device"_a = nb::none(), "ValueError for every file that is not exactly right.");
  m.def(
      "decode_safetensors",
      [](nb::bytes bytes, const std::string& name, DeviceArg device) {
        return io::decode_safetensors(bytes_of(bytes), name, device("device"));
      },
      "bytes"_a, "name"_a = "bytes", "device"_a = nb::none());
  m.def(
      "write_safetensors",
      [](const std::string& path, nb::handle tensors, const io::Metadata& metadata) {
        const nn::StateDict named = to_state(tensors, "tensors");
        unlocked([&] { io::write_safetensors(path, named, metadata); });
      },
      "path"_a, "tensors"_a, "metadata"_a = nb::dict(),
      nb::sig("def write_safetensors(path: str, tensors: collections.abc.Mapping[str, _core.Tensor], "
              "metadata: "
              "collections.abc.Mapping[str, str] = {}) -> None"),
      "Written atomically: beside, and renamed; equal contents give equal files.");
  m.def(
      "encode_safetensors",
      [](nb::handle tensors, const io::Metadata& metadata) {
        return to_bytes(io::encode_safetensors(to_state(tensors, "tensors"), metadata));
      },
      "tensors"_a, "metadata"_a = nb::dict(),
      nb::sig("def encode_safetensors(tensors: collections.abc.Mapping[str, _core.Tensor], metadata: "
              "collections.abc.Mapping[str, str] = {}) -> bytes"));
  m.def(
      "digest", [](nb::handle tensors) { return io::digest(to_state(tensors, "tensors")); }, "tensors"_a,
      nb::sig("def digest(tensors: collections.abc.Mapping[str, _core.Tensor]) -> str"),
      "SHA-256 over names, dtypes, shapes and values, whatever the order.");
}

}  // namespace

void bind_io(nb::module_& parent) {
  nb::module_ m = parent.def_submodule("io", "Files: safetensors, PNG, JPEG, the digest of named tensors.");
  bind_safetensors(m);
  image_reader(m, "read_png", io::read_png, "decode_png", io::decode_png,
               "u8 [h, w, c] on the CPU, rows from the top.");
  image_reader(m, "read_jpeg", io::read_jpeg, "decode_jpeg", io::decode_jpeg,
               "Gray or RGB, by the exact integer transform; CMYK is refused.");
  image_reader(m, "read_image", io::read_image, "decode_image", io::decode_image,
               "PNG or JPEG, told apart by the first bytes.");
  m.def(
      "write_png",
      [](const std::string& path, const Tensor& image) { unlocked([&] { io::write_png(path, image); }); },
      "path"_a, "image"_a, "u8 [h, w] or [h, w, c], c 1 to 4, from any device; written atomically.");
  m.def(
      "encode_png",
      [](const Tensor& image) { return to_bytes(unlocked([&] { return io::encode_png(image); })); },
      "image"_a);
}

}  // namespace isobit::python
