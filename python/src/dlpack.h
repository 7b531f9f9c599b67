// The structures of DLPack (https://dmlc.github.io/dlpack), as its specification lays them out: version 0,
// and 1.x.
#pragma once
#include <cstdint>

namespace isobit::python::dlpack {

enum DeviceType : std::int32_t { kCpu = 1, kCuda = 2, kCudaHost = 3, kCudaManaged = 13 };
enum TypeCode : std::uint8_t { kInt = 0, kUInt = 1, kFloat = 2, kBfloat = 4, kBool = 6 };
constexpr std::uint64_t kReadOnly = 1;

struct Device {
  std::int32_t type = kCpu;
  std::int32_t index = 0;
};
struct DataType {
  std::uint8_t code = 0, bits = 0;
  std::uint16_t lanes = 1;
};
struct Array {
  void* data = nullptr;
  Device device;
  std::int32_t rank = 0;
  DataType dtype;
  std::int64_t* shape = nullptr;
  std::int64_t* strides = nullptr;  // in elements; null: the last axis is contiguous
  std::uint64_t byte_offset = 0;
};
struct Managed {
  Array array;
  void* context = nullptr;
  void (*deleter)(Managed*) = nullptr;
};
struct ManagedVersioned {
  std::uint32_t major = 1, minor = 0;
  void* context = nullptr;
  void (*deleter)(ManagedVersioned*) = nullptr;
  std::uint64_t flags = 0;
  Array array;
};

/// The functions that a type of arrays has from version 1.3 on, in a capsule under this name.
constexpr const char* kExchangeApi = "__dlpack_c_exchange_api__";
struct Version {
  std::uint32_t major = 1, minor = 0;
};
struct ExchangeApi {
  Version version;
  const ExchangeApi* previous = nullptr;  ///< of an older major version
  void* allocate = nullptr;
  /// The array of a Python object, which waits for no stream: 0, or -1 and Python's error.
  int (*take)(void* object, ManagedVersioned** out) = nullptr;
  void *give = nullptr, *borrow = nullptr, *stream = nullptr;
};

}  // namespace isobit::python::dlpack
