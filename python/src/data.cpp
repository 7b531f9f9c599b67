// Data sets, and the batches of an epoch.
#include <isobit/data.h>
#include <nanobind/stl/pair.h>

#include <optional>

#include "module.h"

namespace isobit::python {
namespace {

using data::Batch;
using data::Batches;
using data::Dataset;
using data::TrainTest;

void bind_datasets(nb::module_& m) {
  nb::class_<data::Normalise>(
      m, "Normalise",
      "Per channel, in units of v = pixel / 255; one entry for each channel, or one for all, or "
      "none: v as it is.")
      .def(
          "__init__",
          [](data::Normalise* self, std::vector<double> mean, std::vector<double> deviation) {
            new (self) data::Normalise{std::move(mean), std::move(deviation)};
          },
          "mean"_a = nb::make_tuple(), "deviation"_a = nb::make_tuple())
      .def_ro("mean", &data::Normalise::mean)
      .def_ro("deviation", &data::Normalise::deviation)
      .def("__repr__", [](const data::Normalise& n) {
        return fmt::format("Normalise(mean=[{}], deviation=[{}])", fmt::join(n.mean, ", "),
                           fmt::join(n.deviation, ", "));
      });
  nb::class_<data::Augment>(
      m, "Augment",
      "Applied in this order; what comes in from outside has the pixel value 0. crop_pad: pad by "
      "so many pixels on every side, crop the old size out at a random place; shift: move by "
      "-shift .. shift pixels along each axis; flip: mirror left and right, every second time.")
      .def(
          "__init__",
          [](data::Augment* self, int crop_pad, int shift, bool flip) {
            new (self) data::Augment{crop_pad, shift, flip};
          },
          "crop_pad"_a = 0, "shift"_a = 0, "flip"_a = false)
      .def_ro("crop_pad", &data::Augment::crop_pad)
      .def_ro("shift", &data::Augment::shift)
      .def_ro("flip", &data::Augment::flip);
  nb::class_<Dataset>(m, "Dataset", "Labelled images in host memory.")
      .def(
          "__init__",
          [](Dataset* self, const Tensor& images, const Tensor& labels, std::vector<std::string> classes,
             std::string name) {
            new (self) Dataset(data::from_arrays(images, labels, std::move(classes), std::move(name)));
          },
          "images"_a, "labels"_a, "classes"_a = nb::make_tuple(), "name"_a = "arrays",
          "images u8 [n, h, w] or [n, h, w, c] and labels of an integer dtype [n]; without `classes` the "
          "numbers up to "
          "the largest label.")
      .def_ro("images", &Dataset::images, "u8 [n, h, w, c] on the CPU")
      .def_ro("labels", &Dataset::labels, "i64 [n] on the CPU")
      .def_ro("classes", &Dataset::classes)
      .def_ro("name", &Dataset::name)
      .def_prop_ro("image_shape", [](const Dataset& d) { return to_tuple(d.image_shape()); })
      .def("__len__", &Dataset::size)
      .def(
          "take", [](const Dataset& d, IntArg n) { return d.take(n("n")); }, "n"_a,
          "The first n samples (all when there are fewer); shares storage.")
      .def("check", &Dataset::check)
      .def("__repr__", [](const Dataset& d) {
        return fmt::format("Dataset('{}': {} images of {}, {} classes)", d.name, d.size(), d.image_shape(),
                           d.classes.size());
      });
  nb::class_<TrainTest>(m, "TrainTest", "Two datasets: train, test = data.fashion_mnist().")
      .def(
          "__init__",
          [](TrainTest* self, const Dataset& train, const Dataset& test) {
            new (self) TrainTest{train, test};
          },
          "train"_a, "test"_a)
      .def_ro("train", &TrainTest::train)
      .def_ro("test", &TrainTest::test)
      .def("__iter__", [](const TrainTest& t) { return nb::iter(nb::make_tuple(t.train, t.test)); })
      .def("__repr__", [](const TrainTest& t) {
        return fmt::format("TrainTest(train={}, test={})", t.train.size(), t.test.size());
      });
  m.def(
      "channel_statistics",
      [](const Dataset& d) { return unlocked([&] { return data::channel_statistics(d); }); }, "dataset"_a,
      "Mean and standard deviation (of the population) of every channel over all pixels, by exact integer "
      "sums.");
}

data::ImageFolderOptions folder_options(const IntArg& height, const IntArg& width, const IntArg& channels) {
  return {height("height"), width("width"), channels("channels")};
}

void bind_readers(nb::module_& m) {
  m.def(
      "read_idx", [](const std::string& path) { return unlocked([&] { return data::read_idx(path); }); },
      "path"_a, "One file in the IDX format of MNIST, plain or gzip.");
  m.def(
      "decode_idx",
      [](nb::bytes bytes, const std::string& name) {
        return data::decode_idx({static_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, name);
      },
      "bytes"_a, "name"_a = "bytes");
  m.def(
      "load_mnist_like",
      [](const std::string& dir, std::vector<std::string> classes) {
        return unlocked([&] { return data::load_mnist_like(dir, std::move(classes)); });
      },
      "dir"_a, "classes"_a = nb::make_tuple(), "The four files of MNIST and its relatives in one folder.");
  m.def(
      "fashion_mnist",
      [](const std::string& dir) { return unlocked([&] { return data::fashion_mnist(dir); }); }, "dir"_a = "",
      "Fashion-MNIST: 60,000 and 10,000 images 28 x 28 x 1 in 10 classes of clothing. Without `dir` the "
      "place of "
      "Debian's package dataset-fashion-mnist.");
  m.def("fashion_mnist_classes", &data::fashion_mnist_classes);
  m.def(
      "cifar10", [](const std::string& dir) { return unlocked([&] { return data::cifar10(dir); }); }, "dir"_a,
      "CIFAR-10, binary version.");
  m.def(
      "cifar100",
      [](const std::string& dir, bool coarse) {
        return unlocked([&] { return data::cifar100(dir, coarse); });
      },
      "dir"_a, "coarse"_a = false, "CIFAR-100, binary version; the 100 fine classes, or the 20 coarse ones.");
  m.def(
      "image_folder",
      [](const std::string& dir, IntArg height, IntArg width, IntArg channels) {
        const auto options = folder_options(height, width, channels);
        return unlocked([&] { return data::image_folder(dir, options); });
      },
      "dir"_a, "height"_a = 0, "width"_a = 0, "channels"_a = 0,
      "One folder per class holding .png, .jpg and .jpeg files; every image is resized to height and width "
      "(0: all "
      "must have the size of the first), with 1 or 3 channels (0: those of the first).");
  m.def(
      "image_folders",
      [](const std::string& dir, IntArg height, IntArg width, IntArg channels) {
        const auto options = folder_options(height, width, channels);
        return unlocked([&] { return data::image_folders(dir, options); });
      },
      "dir"_a, "height"_a = 0, "width"_a = 0, "channels"_a = 0, "Folders train and test (or val) in `dir`.");
  m.def(
      "resize_bilinear",
      [](const Tensor& image, IntArg height, IntArg width) {
        return data::resize_bilinear(image, height("height"), width("width"));
      },
      "image"_a, "height"_a, "width"_a, "u8 [h, w, c] to [height, width, c], in integers, exactly.");
  m.def(
      "load", [](const std::string& dir) { return unlocked([&] { return data::load(dir); }); }, "dir"_a,
      "Whatever of the above lies in `dir`. ValueError that says what was looked for.");
  m.def(
      "from_arrays",
      [](const Tensor& images, const Tensor& labels, std::vector<std::string> classes, std::string name) {
        return data::from_arrays(images, labels, std::move(classes), std::move(name));
      },
      "images"_a, "labels"_a, "classes"_a = nb::make_tuple(), "name"_a = "arrays",
      "Wraps arrays, as Dataset does.");
}

/// An epoch under way. The first batch is made when it is asked for.
struct Epoch {
  Batches batches;
  std::optional<Batches::Iterator> at;
};

void bind_batches(nb::module_& m) {
  nb::class_<Batch>(m, "Batch", "images, labels = batch")
      .def_ro("images", &Batch::images, "[b, h, w, c]")
      .def_ro("labels", &Batch::labels, "i64 [b]")
      .def_ro("index", &Batch::index, "which batch of the epoch")
      .def_ro("first", &Batch::first, "which sample of the epoch (in its order) comes first")
      .def("__len__", &Batch::size)
      .def("__iter__", [](const Batch& b) { return nb::iter(nb::make_tuple(b.images, b.labels)); });
  nb::class_<Epoch>(m, "Epoch", "The batches of an epoch, one after the other; made ahead by another thread.")
      .def("__iter__", [](nb::handle self) { return nb::borrow(self); })
      .def("__next__", [](Epoch& epoch) {
        const bool more = unlocked([&] {
          if (epoch.at)
            ++*epoch.at;
          else
            epoch.at.emplace(epoch.batches.begin());
          return !(*epoch.at == epoch.batches.end());
        });
        if (!more) throw nb::stop_iteration();
        return **epoch.at;
      });
  nb::class_<Batches>(
      m, "Batches",
      "The batches of one epoch: for images, labels in Batches(train, 64, seed=2, device=device). Every "
      "iteration starts the epoch anew. What comes is a pure function of (dataset, batch size, seed, "
      "options without prefetch); sample by sample it does not depend on the batch size.")
      .def(
          "__init__",
          [](Batches* self, const Dataset& dataset, IntArg batch_size, SeedArg seed, DeviceArg device,
             bool shuffle, IntArg epoch, IntArg first_batch, bool drop_last, AugmentArg augment,
             NormaliseArg normalise, DTypeArg dtype, int prefetch) {
            const data::BatchOptions o{shuffle,
                                       epoch("epoch"),
                                       first_batch("first_batch"),
                                       drop_last,
                                       augment("augment"),
                                       normalise("normalise"),
                                       dtype("dtype"),
                                       prefetch};
            new (self) Batches(dataset, batch_size("batch_size"), seed("seed"), device("device"), o);
          },
          "dataset"_a, "batch_size"_a, "seed"_a = 0, "device"_a = nb::none(), "shuffle"_a = true,
          "epoch"_a = 0, "first_batch"_a = 0, "drop_last"_a = false, "augment"_a = nb::none(),
          "normalise"_a = nb::none(), "dtype"_a = "f32", "prefetch"_a = 2)
      .def("count", &Batches::count, "Batches of an epoch, those before first_batch included.")
      .def("__len__", [](const Batches& b) { return b.count() - b.options().first_batch; })
      .def_prop_ro("batch_size", &Batches::batch_size)
      .def_prop_ro("dataset", &Batches::dataset)
      .def(
          "at",
          [](const Batches& b, IntArg epoch, IntArg first) {
            return b.at(epoch("epoch"), first("first_batch"));
          },
          "epoch"_a, "first_batch"_a = 0, "The same, in another epoch or from another batch on.")
      .def("__iter__", [](const Batches& b) {
        return Epoch{b, {}};
      });
}

}  // namespace

void bind_data(nb::module_& parent) {
  nb::module_ m = parent.def_submodule("data", "Data sets, and the batches of an epoch.");
  bind_datasets(m);
  bind_readers(m);
  bind_batches(m);
}

}  // namespace isobit::python
