// Devices, element types, random keys, threads, memory.
#include <isobit/algorithms.h>
#include <isobit/device.h>
#include <isobit/random.h>
#include <isobit/timer.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>

#include <stdexcept>

#include "module.h"

namespace isobit::python {
namespace {

/// Equal to itself, and to its name.
template <class T, class Name>
nb::object equals(const T& a, nb::handle b, Name&& name) {
  if (nb::isinstance<T>(b)) return nb::bool_(a == nb::cast<T>(b));
  if (PyUnicode_Check(b.ptr()) != 0) return nb::bool_(name(a) == nb::cast<std::string>(b));
  return nb::borrow(Py_NotImplemented);
}

void bind_dtype(nb::module_& m) {
  nb::class_<ElementType>(m, "DType",
                          "An element type: f32, f64, f16, bf16, i32, i64, u8 or bool. Equal to its name.")
      .def(
          "__init__", [](ElementType* self, DTypeArg name) { new (self) ElementType{name("name")}; },
          "name"_a)
      .def_prop_ro("name", &ElementType::name,
                   "\"f32\", \"f64\", \"f16\", \"bf16\", \"i32\", \"i64\", \"u8\" or \"bool\".")
      .def_prop_ro(
          "itemsize", [](ElementType t) { return size_of(t.value); }, "Bytes of one element.")
      .def_prop_ro("is_floating", [](ElementType t) { return is_floating(t.value); })
      .def(
          "__eq__",
          [](ElementType a, nb::handle b) { return equals(a, b, [](ElementType t) { return t.name(); }); },
          "other"_a.none(), nb::is_operator())
      .def("__hash__", [](ElementType t) { return nb::hash(nb::cast(t.name())); })
      .def("__str__", &ElementType::name)
      .def("__repr__", [](ElementType t) { return "isobit." + t.name(); })
      .def("__reduce__",
           [](ElementType t) { return nb::make_tuple(nb::type<ElementType>(), nb::make_tuple(t.name())); });
  for (const DType t :
       {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i32, DType::i64, DType::u8, DType::boolean})
    m.attr(t == DType::boolean ? "boolean" : std::string(name_of(t)).c_str()) = nb::cast(ElementType{t});
}

void bind_memory(nb::module_& m) {
  nb::class_<MemoryStats>(m, "MemoryStats", "Of a device's caching pool, in bytes.")
      .def_ro("current", &MemoryStats::current, "in use by tensors")
      .def_ro("peak", &MemoryStats::peak, "the most that was ever in use (since reset_peak_memory)")
      .def_ro("cached", &MemoryStats::cached, "free, kept for the next request")
      .def_ro("allocations", &MemoryStats::allocations, "requests so far")
      .def_ro("from_system", &MemoryStats::from_system, "requests that the cache could not serve")
      .def_ro("working", &MemoryStats::working, "what kernels hold beside tensors")
      .def_ro("working_peak", &MemoryStats::working_peak)
      .def("__repr__", [](const MemoryStats& s) {
        return fmt::format("MemoryStats(current={}, peak={}, cached={}, allocations={}, from_system={})",
                           s.current, s.peak, s.cached, s.allocations, s.from_system);
      });
  m.def(
      "memory_stats", [](DeviceArg device) { return memory_stats(device("device")); },
      "device"_a = nb::none());
  m.def(
      "reset_peak_memory", [](DeviceArg device) { reset_peak_memory(device("device")); },
      "device"_a = nb::none());
  m.def(
      "empty_cache", [](DeviceArg device) { empty_cache(device("device")); }, "device"_a = nb::none(),
      "Hands cached memory back to the system.");
}

/// The guard of ForcedAlgorithm and ServedCalls as context managers.
struct Forced {
  Device device;
  std::string kernel, algorithm;
  std::unique_ptr<ForcedAlgorithm> guard;
};
struct Served {
  std::unique_ptr<ServedCalls> guard;
  std::map<std::pair<std::string, std::string>, std::int64_t> counts;
};

void bind_algorithms(nb::module_& m) {
  m.def(
      "algorithms",
      [](DeviceArg device, const std::string& kernel) { return algorithms(device("device"), kernel); },
      "device"_a.none(), "kernel"_a,
      "The algorithms of a kernel of the seam (\"conv_forward\", \"max_pool\"), in order of preference.");
  nb::class_<Forced>(
      m, "forced_algorithm",
      "with forced_algorithm(device, kernel, algorithm): that kernel runs that algorithm, in all "
      "threads, or raises ValueError with its reason to refuse. Changes no bit of any result.")
      .def(
          "__init__",
          [](Forced* self, DeviceArg device, std::string kernel, std::string algorithm) {
            new (self) Forced{device("device"), std::move(kernel), std::move(algorithm), nullptr};
          },
          "device"_a.none(), "kernel"_a, "algorithm"_a)
      .def("__enter__",
           [](Forced& self) {
             self.guard = std::make_unique<ForcedAlgorithm>(self.device, self.kernel, self.algorithm);
           })
      .def("__exit__", [](Forced& self, nb::args) { self.guard.reset(); });
  nb::class_<Served>(
      m, "served_calls",
      "with served_calls() as served: counts the kernel calls made meanwhile, on all devices and "
      "threads; served.counts afterwards is {(kernel, algorithm): calls}.")
      .def(nb::init<>())
      .def("__enter__",
           [](nb::handle self) {
             nb::cast<Served&>(self).guard = std::make_unique<ServedCalls>();
             return nb::borrow(self);
           })
      .def("__exit__",
           [](Served& self, nb::args) {
             if (!self.guard) throw std::runtime_error("served_calls: __exit__ without an __enter__");
             self.counts = self.guard->counts();
             self.guard.reset();
           })
      .def_prop_ro("counts",
                   [](const Served& self) { return self.guard ? self.guard->counts() : self.counts; });
}

}  // namespace

void bind_device(nb::module_& m) {
  bind_dtype(m);
  nb::class_<Device>(m, "Device", "A device: where tensors live and kernels run. Equal to its name.")
      .def(
          "__init__", [](Device* self, const std::string& name) { new (self) Device(Device::parse(name)); },
          "name"_a = "cpu",
          "\"cpu\", \"cuda\", \"cuda:1\", \"simt\": ValueError lists the devices there are.")
      .def_static("cpu", &Device::cpu, "The CPU.")
      .def_static("cuda", &Device::cuda, "index"_a = 0,
                  "CUDA device `index`; ValueError when this build or machine has none.")
      .def_static("simt", &Device::simt, "The CUDA kernels executed on the CPU.")
      .def_static("best", &Device::best, "The first CUDA device if one answers, else the CPU.")
      .def_static(
          "parse", [](const std::string& name) { return Device::parse(name); }, "name"_a)
      .def_prop_ro("name", &Device::name)
      .def(
          "__eq__", [](Device a, nb::handle b) { return equals(a, b, [](Device d) { return d.name(); }); },
          "other"_a.none(), nb::is_operator())
      .def("__hash__", [](Device d) { return nb::hash(nb::cast(d.name())); })
      .def("__str__", &Device::name)
      .def("__repr__", [](Device d) { return fmt::format("Device('{}')", d.name()); })
      .def("__reduce__",
           [](Device d) { return nb::make_tuple(nb::type<Device>(), nb::make_tuple(d.name())); });

  nb::class_<DeviceInfo>(m, "DeviceInfo", "What a device says of itself.")
      .def_ro("device", &DeviceInfo::device)
      .def_ro("name", &DeviceInfo::name)
      .def_prop_ro("properties",
                   [](const DeviceInfo& info) {
                     nb::dict properties;
                     for (const DeviceProperty& p : info.properties) properties[p.name.c_str()] = p.value;
                     return properties;
                   })
      .def("__repr__",
           [](const DeviceInfo& i) { return fmt::format("DeviceInfo({}: {})", i.device, i.name); });
  m.def("devices", &devices, "All registered devices, the CPU first.");
  m.def(
      "missing_devices",
      [] {
        nb::dict missing;
        for (const MissingDevice& d : missing_devices()) missing[d.name.c_str()] = d.reason;
        return missing;
      },
      "Devices that could be here and are not, with the reason.");
  m.def(
      "synchronize",
      [](DeviceArg device) {
        const Device d = device("device");
        unlocked([&] { synchronize(d); });
      },
      "device"_a = nb::none(),
      "Waits until all work queued on the device is done, and raises its first error.");
  m.def("set_threads", &set_threads, "count"_a,
        "Threads that CPU kernels use: at least 1. Changes no bit of any result.");
  m.def("threads", &threads);
  bind_memory(m);
  bind_algorithms(m);

  nb::class_<RandomKey>(
      m, "RandomKey",
      "Names one stream of random numbers: the n-th number is a pure function of (seed, stream, n).")
      .def(
          "__init__",
          [](RandomKey* self, SeedArg seed, SeedArg stream) {
            new (self) RandomKey{seed("seed").value, stream("stream").value};
          },
          "seed"_a, "stream"_a = 0)
      .def_ro("seed", &RandomKey::seed)
      .def_ro("stream", &RandomKey::stream)
      .def("__repr__",
           [](const RandomKey& k) { return fmt::format("RandomKey(seed={}, stream={})", k.seed, k.stream); });
  m.def(
      "random_key",
      [](SeedArg seed, const std::string& purpose, SeedArg step) {
        return random_key(seed("seed"), purpose, step("step").value);
      },
      "seed"_a, "purpose"_a, "step"_a = 0,
      "The stream for a purpose (\"net.3.dropout\", \"shuffle\") at a step (training step, epoch).");

  nb::class_<Timer>(m, "Timer", "Measures what this thread gives to a device between start() and stop().")
      .def(
          "__init__", [](Timer* self, DeviceArg device) { new (self) Timer(device("device")); },
          "device"_a = nb::none())
      .def("start", &Timer::start)
      .def("stop", &Timer::stop)
      .def(
          "seconds", [](const Timer& t) { return unlocked([&] { return t.seconds(); }); },
          "Waits for the end of the stretch.");
}

}  // namespace isobit::python
