// Plans of algorithms: the scope, and reading a file.
#include <isobit/plan.h>

#include <memory>
#include <stdexcept>

#include "module.h"

namespace isobit::python {
namespace {

/// with plan("file"): the scope lives from __enter__ to __exit__.
struct PlanFile {
  std::string path;
  PlanUse use;
  std::unique_ptr<PlanScope> scope;
  PlanScope& entered(const char* what) const {
    if (scope == nullptr) throw std::runtime_error(fmt::format("plan: {} outside of its with block", what));
    return *scope;
  }
};

nb::dict to_dict(const PlanLine& line) {
  nb::dict timings;
  for (const PlanLine::Timing& timing : line.timings) timings[timing.algorithm.c_str()] = timing.microseconds;
  nb::dict row;
  row["device"] = line.device;
  row["math"] = line.math;
  row["kernel"] = line.kernel;
  row["problem"] = line.problem;
  row["algorithm"] = line.timings.front().algorithm;
  row["microseconds"] = timings;
  return row;
}

nb::list to_list(const std::vector<PlanLine>& lines) {
  nb::list rows;
  for (const PlanLine& line : lines) rows.append(to_dict(line));
  return rows;
}

}  // namespace

void bind_plans(nb::module_& m) {
  nb::class_<PlanFile>(
      m, "plan",
      "with plan(\"net.plan\", time=True): convolutions and matrix products of all threads are served by the "
      "algorithms that the file names; with time=True what it lacks is timed once and written to it at the "
      "end. In exact arithmetic no plan changes a bit. `isobit plan FILE` prints one (docs/plans.md).")
      .def(
          "__init__",
          [](PlanFile* self, std::string path, bool time) {
            new (self) PlanFile{std::move(path), time ? PlanUse::time : PlanUse::read, nullptr};
          },
          "path"_a, "time"_a = false)
      .def_prop_ro("path", [](const PlanFile& self) { return self.path; })
      .def(
          "__enter__",
          [](PlanFile& self) -> PlanFile& {
            if (self.scope != nullptr) throw std::runtime_error("plan: entered twice");
            self.scope = std::make_unique<PlanScope>(self.path, self.use);
            return self;
          },
          nb::rv_policy::reference)
      .def("__exit__",
           [](PlanFile& self, nb::args) {
             self.entered("__exit__");
             const std::unique_ptr<PlanScope> scope = std::move(self.scope);
             scope->save();
           })
      .def(
          "save", [](PlanFile& self) { self.entered("save()").save(); }, "Writes what was timed so far.")
      .def_prop_ro(
          "timed", [](const PlanFile& self) { return self.entered("timed").timed(); },
          "Problems timed since the block was entered.")
      .def_prop_ro(
          "lines", [](const PlanFile& self) { return to_list(self.entered("lines").lines()); },
          "A dict for every line: device, math, kernel, problem, algorithm (the one that runs), "
          "microseconds (of all).");
  m.def(
      "read_plan", [](const std::string& path) { return to_list(read_plan(path)); }, "path"_a,
      "The lines of a plan, as plan.lines.");
}

}  // namespace isobit::python
