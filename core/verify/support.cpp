// The support matrix: ops as users call them, on small problems, cell by cell.
#include <isobit/autograd.h>
#include <isobit/error.h>
#include <isobit/support.h>

#include <algorithm>
#include <exception>
#include <map>

#include "core/listed_backend.h"
#include "core/verify/array.h"
#include "core/verify/support_entries.h"

namespace isobit::verify {
namespace {

constexpr DType kTypes[] = {DType::f32, DType::f64, DType::f16, DType::bf16};
constexpr const char* kDirections[] = {"forward", "gradient", "second"};

/// Every kernel of the CPU by its definition.
class Definition {
 public:
  Definition() { force("reference"); }
  ~Definition() {
    try {
      force("");
    } catch (...) {  // giving a choice back refuses nothing
    }
  }
  Definition(const Definition&) = delete;
  Definition& operator=(const Definition&) = delete;

 private:
  static void force(const char* algorithm) {
    const AlgorithmLists lists;  // for the names
    for (const AlgorithmListBase* list : lists.lists())
      backend(Device::cpu()).force_algorithm(list->kernel(), algorithm);
  }
};

Tensor numbers(const Shape& shape, std::uint64_t stream, DType dtype, Device device) {
  return random_normal(shape, {97, stream}, 0, 1, {.dtype = DType::f64}).to(dtype).to(device);
}

/// Results of the three directions, on the host; an empty list where there is none.
using Results = std::vector<std::vector<Tensor>>;

Results results_of(const SupportEntry& entry, DType dtype, Device device) {
  std::vector<Tensor> in;
  for (std::size_t i = 0; i < entry.inputs.size(); ++i)
    in.push_back(numbers(entry.inputs[i], i, dtype, device).set_requires_grad());
  const Tensor y = entry.run(in);
  Results results(3);
  results[0] = {y.detach().to(Device::cpu())};
  const std::vector<Tensor> gradients =
      grad(y, in, numbers(y.shape(), 11, dtype, device), {.create_graph = true});
  Tensor sum;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    results[1].push_back(gradients[i].detach().to(Device::cpu()));
    if (!gradients[i].requires_grad()) continue;  // linear in everything: there is no second one
    const Tensor part = isobit::sum(mul(gradients[i], numbers(in[i].shape(), 20 + i, dtype, device)));
    sum = sum.defined() ? add(sum, part) : part;
  }
  if (!sum.defined()) return results;
  for (const Tensor& second : grad(sum, in, {}, {.allow_unused = true}))
    if (second.defined()) results[2].push_back(second.detach().to(Device::cpu()));
  return results;
}

bool same(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!(a[i].shape() == b[i].shape()) || a[i].dtype() != b[i].dtype() ||
        compare({a[i].raw(), a[i].dtype(), a[i].numel()}, {b[i].raw(), b[i].dtype(), b[i].numel()}))
      return false;
  return true;
}

}  // namespace

bool Support::complete() const {
  return !cells.empty() &&
         std::all_of(cells.begin(), cells.end(), [](const SupportCell& cell) { return cell.equal; });
}

Support support(const std::vector<Device>& wanted,
                const std::function<void(std::size_t done, std::size_t all)>& progress) {
  std::vector<Device> on = wanted;
  if (on.empty())
    for (const DeviceInfo& info : devices()) on.push_back(Device::parse(info.name));
  Support result;
  for (const Device device : on) result.devices.push_back(device.name());
  const std::vector<SupportEntry> entries = support_entries();
  std::size_t done = 0;
  for (const SupportEntry& entry : entries)
    for (const DType dtype : kTypes) {
      Results expected;
      std::string judge_error;
      try {
        const Definition definition;
        expected = results_of(entry, dtype, Device::cpu());
      } catch (const std::exception& error) {
        judge_error = error.what();
      }
      for (const Device device : on) {
        Results got(3);
        std::string why = judge_error;
        if (why.empty()) try {
            got = results_of(entry, dtype, device);
          } catch (const std::exception& error) {
            why = error.what();
          }
        for (std::size_t d = 0; d < 3; ++d) {
          if (judge_error.empty() && expected[d].empty()) continue;  // no such direction
          SupportCell cell{entry.op, entry.mode, kDirections[d], dtype, device.name(), false, why};
          cell.equal = why.empty() && same(got[d], expected[d]);
          if (why.empty() && !cell.equal) cell.why = "other bits than the definition's";
          result.cells.push_back(std::move(cell));
        }
        if (progress) progress(++done, entries.size() * 4 * on.size());
      }
    }
  return result;
}

std::string to_markdown(const Support& support) {
  std::string text =
      "# What there is\n\nWritten by `scripts/support-table` from what was executed, never by hand: each op "
      "ran on each "
      "device, in each type, forward, its\ngradients and the gradients of those, and its bits were compared "
      "with those "
      "of the definition (the CPU's plain loops). A cell names the\ntypes whose bits are equal: *all* are "
      "f32, f64, "
      "f16 and bf16. A dash: the op has no such direction, being linear in everything.\n\n| op | mode |";
  std::string rule = "|---|---|";
  for (const std::string& device : support.devices)
    for (const char* direction : kDirections) {
      text += fmt::format(" {} {} |", device, direction);
      rule += "---|";
    }
  text += "\n" + rule + "\n";
  // op and mode, in the order of the first cell of each
  std::vector<std::pair<std::string, std::string>> rows;
  std::map<std::pair<std::string, std::string>, std::map<std::string, std::vector<std::string>>> equal;
  std::map<std::pair<std::string, std::string>, std::map<std::string, int>> tried;
  for (const SupportCell& cell : support.cells) {
    const auto row = std::make_pair(cell.op, cell.mode);
    if (std::find(rows.begin(), rows.end(), row) == rows.end()) rows.push_back(row);
    const std::string column = cell.device + " " + cell.direction;
    ++tried[row][column];
    if (cell.equal) equal[row][column].emplace_back(name_of(cell.dtype));
  }
  for (const auto& row : rows) {
    text += fmt::format("| {} | {} |", row.first, row.second);
    for (const std::string& device : support.devices)
      for (const char* direction : kDirections) {
        const std::string column = device + " " + direction;
        const std::vector<std::string>& types = equal[row][column];
        const int count = tried[row][column];
        text += fmt::format(" {} |", count == 0          ? "-"
                                     : types.size() == 4 ? "all"
                                     : types.empty()     ? "**none**"
                                                         : fmt::format("**{}**", fmt::join(types, " ")));
      }
    text += "\n";
  }
  return text;
}

}  // namespace isobit::verify
