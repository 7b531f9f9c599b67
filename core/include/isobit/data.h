// Data sets: labelled images in host memory, read from IDX, CIFAR, folders of images, or arrays.
// Batches of them: isobit/batches.h.
//
// Like all readers (isobit/io.h) these take every file for hostile until it is checked.
#pragma once
#include <isobit/batches.h>
#include <isobit/tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace isobit::data {

/// One file in the IDX format of MNIST: big-endian magic 0 0 type rank, the extents, the elements; plain or
/// gzip, told apart by the first bytes. Types: unsigned byte -> u8, signed byte and short -> i32, int -> i32,
/// float -> f32, double -> f64. Throws Error unless the elements end exactly where the file does. Memory
/// grows with the data that are really there, not with what the header says.
Tensor read_idx(const std::string& path);
Tensor decode_idx(std::span<const std::uint8_t> bytes, std::string_view name);

/// The four files of MNIST and its relatives in one folder: train-images-idx3-ubyte, train-labels-idx1-ubyte,
/// t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, each with or without .gz, and also spelled
/// train-images.idx3-ubyte. Images [n, h, w] become [n, h, w, 1]. Without `classes` these are the digits "0",
/// "1", ... up to the largest label.
TrainTest load_mnist_like(const std::string& dir, std::vector<std::string> classes = {});

/// Fashion-MNIST (Xiao, Rasul, Vollgraf 2017): 60,000 and 10,000 images 28 x 28 x 1 in 10 classes of
/// clothing. Without `dir` the place of Debian's package dataset-fashion-mnist.
TrainTest fashion_mnist(const std::string& dir = "");
/// "T-shirt/top", "Trouser", ...
std::vector<std::string> fashion_mnist_classes();

/// CIFAR-10, binary version: data_batch_1.bin to data_batch_5.bin and test_batch.bin in `dir` or in
/// `dir`/cifar-10-batches-bin; class names from batches.meta.txt where it is there. Images [n, 32, 32, 3].
TrainTest cifar10(const std::string& dir);
/// CIFAR-100, binary version: train.bin and test.bin in `dir` or in `dir`/cifar-100-binary; the 100 fine
/// classes, or the 20 coarse ones; names from fine_label_names.txt or coarse_label_names.txt, else their
/// numbers.
TrainTest cifar100(const std::string& dir, bool coarse = false);
/// Records of `label_bytes` labels (1: CIFAR-10; 2: CIFAR-100, coarse then fine) and 3072 bytes of pixels
/// (red plane, green plane, blue plane); the label at `label_index` counts.
Dataset decode_cifar(std::span<const std::uint8_t> bytes, std::string_view name, int label_bytes,
                     int label_index, std::vector<std::string> classes);

struct ImageFolderOptions {
  /// Every image is resized to these extents; 0 and 0: all must have the size of the first.
  std::int64_t height = 0, width = 0;
  /// 1 or 3: gray is repeated, colour becomes gray by (299 r + 587 g + 114 b) / 1000, alpha is dropped.
  /// 0: all must have the channels of the first.
  std::int64_t channels = 0;
};

/// One folder per class, named like the class, holding .png, .jpg and .jpeg files. Classes and files are
/// taken in bytewise order of their names; names that begin with a dot are skipped; anything else that is no
/// such file is an Error that names it, like an image that differs in size or channels.
Dataset image_folder(const std::string& dir, ImageFolderOptions options = {});
/// Folders `dir`/train and `dir`/test (or val) with the same classes.
TrainTest image_folders(const std::string& dir, ImageFolderOptions options = {});

/// Bilinear, u8 [h, w, c] -> [height, width, c]: pixel centres at half-integers, edges repeated, no smoothing
/// before shrinking. Computed in integers, exactly, and rounded once, halves up:
///   y[i, j] = floor(1/2 + sum over the four neighbours of x * weight), weights with denominator 4 height
///   width.
Tensor resize_bilinear(const Tensor& image, std::int64_t height, std::int64_t width);

/// Whatever of the above lies in `dir`: the four IDX files, CIFAR-10, CIFAR-100, or folders train and test.
/// Throws Error that says what was looked for.
TrainTest load(const std::string& dir);

/// Wraps arrays: images u8 [n, h, w] or [n, h, w, c] and labels of an integer dtype [n]; without `classes`
/// the numbers up to the largest label.
Dataset from_arrays(const Tensor& images, const Tensor& labels, std::vector<std::string> classes = {},
                    std::string name = "arrays");

}  // namespace isobit::data
