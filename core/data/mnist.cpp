// MNIST and its relatives: two pairs of IDX files.
#include <isobit/data.h>
#include <isobit/error.h>

#include <algorithm>

#include "core/io/file.h"

namespace isobit::data {
namespace {

constexpr const char* debian_folder = "/usr/share/datasets/fashion-mnist";

// "train-images" -> the path of train-images-idx3-ubyte in one of its spellings, or "".
std::string find_file(const std::string& dir, const std::string& stem, int rank) {
  for (const char* dot : {"-", "."})
    for (const char* ending : {"", ".gz"}) {
      const std::string path = fmt::format("{}/{}{}idx{}-ubyte{}", dir, stem, dot, rank, ending);
      if (io::file_exists(path)) return path;
    }
  return "";
}

std::string require_file(const std::string& dir, const std::string& stem, int rank) {
  const std::string path = find_file(dir, stem, rank);
  if (path.empty()) {
    const bool is_dir = io::directory_exists(dir);
    fail("data", "'{}' {} (looked for '{}-idx{}-ubyte', the same with .gz, and with a dot before idx)", dir,
         is_dir ? "holds no such file" : "is not a folder", stem, rank);
  }
  return path;
}

Dataset load_half(const std::string& dir, const std::string& half, std::vector<std::string> classes) {
  const std::string images_path = require_file(dir, half + "-images", 3);
  const std::string labels_path = require_file(dir, half + "-labels", 1);
  const Tensor images = read_idx(images_path), labels = read_idx(labels_path);
  if (images.dtype() != DType::u8 || images.rank() != 3)
    fail("data", "'{}' holds {} {}, expected images: u8 [n,h,w]", images_path, images.dtype(),
         images.shape());
  if (labels.dtype() != DType::u8 || labels.rank() != 1)
    fail("data", "'{}' holds {} {}, expected labels: u8 [n]", labels_path, labels.dtype(), labels.shape());
  return from_arrays(images, labels, std::move(classes), dir + "/" + half);
}

}  // namespace

TrainTest load_mnist_like(const std::string& dir, std::vector<std::string> classes) {
  Dataset train = load_half(dir, "train", std::move(classes));
  Dataset test = load_half(dir, "t10k", train.classes);
  if (!(train.image_shape() == test.image_shape()))
    fail("data", "'{}': images are {} for training and {} for testing", dir, train.image_shape(),
         test.image_shape());
  return {std::move(train), std::move(test)};
}

std::vector<std::string> fashion_mnist_classes() {
  return {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
          "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
}

TrainTest fashion_mnist(const std::string& dir) {
  if (dir.empty() && find_file(debian_folder, "train-images", 3).empty())
    fail("fashion_mnist",
         "there are no Fashion-MNIST files in '{}': install Debian's package dataset-fashion-mnist (apt "
         "install "
         "dataset-fashion-mnist), or name a folder with the four IDX files (--data DIR)",
         debian_folder);
  return load_mnist_like(dir.empty() ? debian_folder : dir, fashion_mnist_classes());
}

}  // namespace isobit::data
