// A folder of class folders of PNG and JPEG images.
#include <isobit/data.h>
#include <isobit/error.h>
#include <isobit/io.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string>

#include "core/io/file.h"

namespace isobit::data {
namespace {

constexpr std::string_view op = "image_folder";
namespace fs = std::filesystem;

bool is_image_name(const std::string& name) {
  const auto dot = name.rfind('.');
  if (dot == std::string::npos) return false;
  std::string ending = name.substr(dot);
  for (char& c : ending)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return ending == ".png" || ending == ".jpg" || ending == ".jpeg";
}

// The names in `dir` that do not begin with a dot, bytewise sorted (std::string compares as unsigned bytes).
std::vector<std::string> list(const std::string& dir) {
  std::error_code error;
  fs::directory_iterator at(dir, error), end;
  std::vector<std::string> names;
  while (!error && at != end) {
    std::string name = at->path().filename().string();
    if (name.front() != '.') names.push_back(std::move(name));
    at.increment(error);
  }
  if (error) fail(op, "cannot list '{}': {}", dir, error.message());
  std::sort(names.begin(), names.end());
  return names;
}

// u8 [h, w, c] with `to` channels: 1 or 3.
Tensor with_channels(const Tensor& image, std::int64_t to) {
  const std::int64_t from = image.shape(2);
  if (from == to) return image;
  const bool colour = from >= 3;
  Tensor result = empty({image.shape(0), image.shape(1), to}, {.dtype = DType::u8});
  const std::uint8_t* x = image.data<std::uint8_t>().data();
  std::uint8_t* y = result.mutable_data<std::uint8_t>().data();
  const std::int64_t pixels = image.shape(0) * image.shape(1);
  for (std::int64_t i = 0; i < pixels; ++i, x += from, y += to) {
    if (to == 1)
      *y = static_cast<std::uint8_t>(colour ? (299 * x[0] + 587 * x[1] + 114 * x[2] + 500) / 1000 : x[0]);
    else
      for (int c = 0; c < 3; ++c) y[c] = x[colour ? c : 0];
  }
  return result;
}

class Collector {
 public:
  explicit Collector(const ImageFolderOptions& options) : options_(options) {}

  void add(const std::string& path, std::int64_t label) {
    Tensor image = io::read_image(path);
    if (options_.channels != 0) image = with_channels(image, options_.channels);
    if (options_.height != 0) image = resize_bilinear(image, options_.height, options_.width);
    if (labels_.empty()) {
      shape_ = image.shape();
      first_ = path;
    } else if (!(image.shape() == shape_)) {
      const bool size = image.shape(0) != shape_[0] || image.shape(1) != shape_[1];
      fail(op, "'{}' is {}, but '{}' is {}: all images must have the same {}; state {} to convert them", path,
           image.shape(), first_, shape_, size ? "size" : "channels", size ? "height and width" : "channels");
    }
    const auto pixels = image.data<std::uint8_t>();
    pixels_.insert(pixels_.end(), pixels.begin(), pixels.end());
    labels_.push_back(label);
  }

  std::size_t count() const { return labels_.size(); }

  Dataset finish(std::vector<std::string> classes, const std::string& name) {
    const auto n = static_cast<std::int64_t>(labels_.size());
    Dataset result{from_vector(pixels_, {n, shape_[0], shape_[1], shape_[2]}), from_vector(labels_, {n}),
                   std::move(classes), name};
    result.check();
    return result;
  }

 private:
  ImageFolderOptions options_;
  Shape shape_;
  std::string first_;
  std::vector<std::uint8_t> pixels_;
  std::vector<std::int64_t> labels_;
};

void check(const ImageFolderOptions& options) {
  if ((options.height == 0) != (options.width == 0) || options.height < 0 || options.width < 0)
    fail(op, "height {} and width {}: state both, at least 1, or neither", options.height, options.width);
  if (options.channels != 0 && options.channels != 1 && options.channels != 3)
    fail(op, "channels {}: expected 1, 3, or 0 to keep them", options.channels);
}

std::string sub_folder(const std::string& dir, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (io::directory_exists(dir + "/" + name)) return dir + "/" + name;
  return "";
}

}  // namespace

Dataset image_folder(const std::string& dir, ImageFolderOptions options) {
  check(options);
  std::vector<std::string> classes;
  for (const std::string& name : list(dir)) {
    if (io::directory_exists(dir + "/" + name))
      classes.push_back(name);
    else if (is_image_name(name))
      fail(op, "'{}/{}' lies beside the class folders, in no class", dir, name);
  }
  if (classes.empty()) fail(op, "'{}' holds no class folders", dir);
  Collector collector(options);
  for (std::size_t label = 0; label < classes.size(); ++label) {
    const std::string folder = dir + "/" + classes[label];
    const std::size_t before = collector.count();
    for (const std::string& name : list(folder)) {
      const std::string path = folder + "/" + name;
      if (io::directory_exists(path)) fail(op, "'{}' is a folder inside a class folder", path);
      if (!is_image_name(name)) fail(op, "'{}' is no .png, .jpg or .jpeg file", path);
      collector.add(path, static_cast<std::int64_t>(label));
    }
    if (collector.count() == before) fail(op, "the class folder '{}' holds no images", folder);
  }
  return collector.finish(std::move(classes), dir);
}

TrainTest image_folders(const std::string& dir, ImageFolderOptions options) {
  const std::string train_dir = sub_folder(dir, {"train"}), test_dir = sub_folder(dir, {"test", "val"});
  if (train_dir.empty() || test_dir.empty())
    fail(op, "'{}' has no folder '{}'", dir, train_dir.empty() ? "train" : "test (or val)");
  TrainTest result{image_folder(train_dir, options), image_folder(test_dir, options)};
  if (result.train.classes != result.test.classes)
    fail(op, "'{}' and '{}' differ in their classes: {} and {}", train_dir, test_dir,
         fmt::join(result.train.classes, ", "), fmt::join(result.test.classes, ", "));
  if (!(result.train.image_shape() == result.test.image_shape()))
    fail(op, "images are {} in '{}' and {} in '{}'; state height, width or channels to convert them",
         result.train.image_shape(), train_dir, result.test.image_shape(), test_dir);
  return result;
}

TrainTest load(const std::string& dir) {
  if (!io::directory_exists(dir)) fail("data", "'{}' is not a folder", dir);
  for (const char* dot : {"-", "."})
    for (const char* ending : {"", ".gz"})
      if (io::file_exists(fmt::format("{}/train-images{}idx3-ubyte{}", dir, dot, ending)))
        return load_mnist_like(dir);
  for (const char* inner : {"", "/cifar-10-batches-bin", "/cifar-100-binary"}) {
    const std::string folder = dir + inner;
    if (io::file_exists(folder + "/data_batch_1.bin")) return cifar10(folder);
    if (io::file_exists(folder + "/train.bin")) return cifar100(folder);
  }
  if (io::directory_exists(dir + "/train")) return image_folders(dir);
  fail("data",
       "'{}' holds no data set: looked for train-images-idx3-ubyte (also .gz), data_batch_1.bin, train.bin "
       "and a "
       "folder train",
       dir);
}

}  // namespace isobit::data
