// CIFAR-10 and CIFAR-100 (Krizhevsky 2009), binary versions.
#include <isobit/data.h>
#include <isobit/error.h>

#include <string>

#include "core/io/file.h"

namespace isobit::data {
namespace {

constexpr std::string_view op = "cifar";
constexpr std::int64_t side = 32, plane = side * side, channels = 3;

// One class name a line; empty lines (the files end with one) are skipped.
std::vector<std::string> read_names(const std::string& path, std::size_t expected,
                                    std::vector<std::string> otherwise) {
  if (!io::file_exists(path)) return otherwise;
  const std::vector<std::uint8_t> bytes = io::read_file(op, path);
  std::vector<std::string> names;
  std::string line;
  for (const std::uint8_t byte : bytes) {
    if (byte == '\n') {
      if (!line.empty()) names.push_back(line);
      line.clear();
    } else if (byte != '\r') {
      line += static_cast<char>(byte);
    }
  }
  if (!line.empty()) names.push_back(line);
  if (names.size() != expected) fail(op, "'{}' has {} names, expected {}", path, names.size(), expected);
  return names;
}

std::vector<std::string> numbers(int count) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back(std::to_string(i));
  return names;
}

// `dir`, or the folder inside it that the archive unpacks to.
std::string find_folder(const std::string& dir, const std::string& unpacked, const std::string& file) {
  if (io::file_exists(dir + "/" + file)) return dir;
  const std::string inner = dir + "/" + unpacked;
  if (io::file_exists(inner + "/" + file)) return inner;
  fail(op, "'{}' {}'{}', nor has '{}'", dir, io::directory_exists(dir) ? "holds no " : "is no folder with ",
       file, inner);
}

}  // namespace

Dataset decode_cifar(std::span<const std::uint8_t> bytes, std::string_view name, int label_bytes,
                     int label_index, std::vector<std::string> classes) {
  if (label_bytes < 1 || label_index < 0 || label_index >= label_bytes)
    fail(op, "{}: label {} of {} in a record", name, label_index, label_bytes);
  const std::size_t record = static_cast<std::size_t>(label_bytes) + channels * plane;
  if (bytes.empty() || bytes.size() % record != 0)
    fail(op, "{}: {} bytes are no whole number of records of {} bytes", name, bytes.size(), record);
  const auto count = static_cast<std::int64_t>(bytes.size() / record);
  Dataset result{empty({count, side, side, channels}, {.dtype = DType::u8}),
                 empty({count}, {.dtype = DType::i64}), std::move(classes), std::string(name)};
  auto* pixels = result.images.mutable_data<std::uint8_t>().data();
  auto* labels = result.labels.mutable_data<std::int64_t>().data();
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint8_t* from = bytes.data() + static_cast<std::size_t>(i) * record;
    labels[i] = from[label_index];
    from += label_bytes;
    for (std::int64_t position = 0; position < plane; ++position)
      for (std::int64_t c = 0; c < channels; ++c) *pixels++ = from[c * plane + position];
  }
  result.check();
  return result;
}

TrainTest cifar10(const std::string& dir) {
  const std::string folder = find_folder(dir, "cifar-10-batches-bin", "data_batch_1.bin");
  const std::vector<std::string> classes =
      read_names(folder + "/batches.meta.txt", 10,
                 {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"});
  std::vector<std::uint8_t> bytes;
  for (int part = 1; part <= 5; ++part) {
    const std::string path = fmt::format("{}/data_batch_{}.bin", folder, part);
    const std::vector<std::uint8_t> more = io::read_file(op, path);
    if (more.empty() || more.size() % (1 + channels * plane) != 0)
      fail(op, "'{}': {} bytes are no whole number of records of {} bytes", path, more.size(),
           1 + channels * plane);
    bytes.insert(bytes.end(), more.begin(), more.end());
  }
  const std::string test_path = folder + "/test_batch.bin";
  return {decode_cifar(bytes, folder + "/data_batch", 1, 0, classes),
          decode_cifar(io::read_file(op, test_path), test_path, 1, 0, classes)};
}

TrainTest cifar100(const std::string& dir, bool coarse) {
  const std::string folder = find_folder(dir, "cifar-100-binary", "train.bin");
  const int count = coarse ? 20 : 100;
  const std::vector<std::string> classes =
      read_names(folder + (coarse ? "/coarse_label_names.txt" : "/fine_label_names.txt"),
                 static_cast<std::size_t>(count), numbers(count));
  const std::string train_path = folder + "/train.bin", test_path = folder + "/test.bin";
  return {decode_cifar(io::read_file(op, train_path), train_path, 2, coarse ? 0 : 1, classes),
          decode_cifar(io::read_file(op, test_path), test_path, 2, coarse ? 0 : 1, classes)};
}

}  // namespace isobit::data
