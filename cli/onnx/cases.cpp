// Finds cases, computes them on each device, and compares.
#include "cli/onnx/cases.h"

#include <isobit/error.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <new>
#include <set>

#include "cli/onnx/compare.h"
#include "cli/onnx/graph.h"

namespace isobit::cli::onnx {
namespace {

namespace fs = std::filesystem;

/// Where the folder of cases is a link, as in Debian's Python package, it is followed once.
std::vector<fs::path> find_cases(const std::string& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error))
    fail("verify", "there is no folder '{}'; Debian's package libonnx-testdata has ONNX's test cases",
         folder);
  std::vector<fs::path> found;
  if (fs::exists(fs::path(folder) / "model.onnx", error)) found.emplace_back(folder);
  constexpr auto options = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator at(folder, options, error), end; !error && at != end;
       at.increment(error))
    if (at->is_directory(error) && fs::exists(at->path() / "model.onnx", error)) found.push_back(at->path());
  if (error) fail("verify", "'{}' cannot be read: {}", folder, error.message());
  if (found.empty()) fail("verify", "in '{}' is no folder with a model.onnx", folder);
  std::sort(found.begin(), found.end());
  return found;
}

/// The numbered files of one kind, which must be 0, 1, ... without a gap.
std::vector<fs::path> numbered(const fs::path& set, const char* kind, std::size_t expected) {
  std::vector<fs::path> files;
  while (fs::exists(set / fmt::format("{}_{}.pb", kind, files.size())))
    files.push_back(set / fmt::format("{}_{}.pb", kind, files.size()));
  if (files.size() != expected)
    fail("onnx", "{}: {} files {}_K.pb for a model of {}", set.string(), files.size(), kind, expected);
  return files;
}

std::vector<fs::path> data_sets(const fs::path& folder) {
  std::vector<fs::path> sets;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_directory() && entry.path().filename().string().starts_with("test_data_set_"))
      sets.push_back(entry.path());
  if (sets.empty()) fail("onnx", "{}: there is no test_data_set_N", folder.string());
  std::sort(sets.begin(), sets.end());
  return sets;
}

std::vector<Tensor> read_tensors(const std::vector<fs::path>& files) {
  std::vector<Tensor> tensors;
  for (const fs::path& file : files)
    tensors.push_back(decode_tensor(read_bytes(file.string()), file.string()));
  return tensors;
}

/// Cases whose files contradict themselves, and how.
std::string known_error(const Model& model, const std::string& name) {
  const GraphNode& node = model.nodes.front();
  if (name.ends_with("test_adam_multiple") && node.op == "Adam" && !node.attributes.contains("epsilon"))
    return "an error of ONNX 1.12: the result was made with epsilon 0.01, which the node leaves out";
  return "";
}

/// What a case may be off by: more than usual where its own numbers are less exact than that.
///  - results that somebody wrote down with four digits, or (in 1.12) computed with pi as 3.1415: ONNX's
///  1e-3;
///  - f16 and bf16 in graphs of several nodes: each rounds, and its expected result was rounded in other
///  places: two
///    units in the last place.
Tolerance tolerance_of(const Model& model, const std::string& name, DType dtype) {
  Tolerance tolerance;
  const auto ends_with = [&](const char* end) { return name.ends_with(end); };
  if (ends_with("test_averagepool_2d_ceil_last_window_starts_on_pad") || ends_with("window_expanded") ||
      ends_with("window_symmetric_expanded"))
    tolerance.relative = 1e-3;
  if (model.nodes.size() > 1 && dtype == DType::bf16) tolerance.relative = 0x1p-6;
  if (model.nodes.size() > 1 && dtype == DType::f16) tolerance.relative = 0x1p-9;
  return tolerance;
}

/// Empty when the data set agrees on the device. The first device's outputs are kept in `reference`; those of
/// others must have the same bits.
std::string judge(const Model& model, const std::string& name, const fs::path& set, Device device,
                  std::vector<Tensor>& reference) {
  const auto inputs = read_tensors(numbered(set, "input", model.inputs.size()));
  const auto expected = read_tensors(numbered(set, "output", model.outputs.size()));
  const std::vector<Tensor> got = compute(model, inputs, device);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const std::string difference =
        disagreement(got[i].to(Device::cpu()), expected[i], tolerance_of(model, name, expected[i].dtype()));
    if (!difference.empty())
      return fmt::format("{}, output {}: {}", set.filename().string(), model.outputs[i].name, difference);
  }
  if (reference.empty()) {
    reference = got;
    return "";
  }
  for (std::size_t i = 0; i < got.size(); ++i)
    if (!equal_bits(got[i], reference[i]))
      return fmt::format("{}, output {}: within the tolerance, but other bits than on {}",
                         set.filename().string(), model.outputs[i].name, reference[i].device());
  return "";
}

void run_case(const fs::path& folder, const std::string& name, const std::vector<Device>& devices,
              Report& report) {
  Device device = devices.front();
  try {
    const std::string file = (folder / "model.onnx").string();
    const Model model = decode_model(read_bytes(file), file);
    const Fitness fit = fitness(model);
    if (!fit.wanted) {
      ++report.other;
      return;
    }
    if (!fit.missing.empty()) throw Unsupported(fit.missing);
    if (const std::string error = known_error(model, name); !error.empty()) throw Unsupported(error);
    for (const fs::path& set : data_sets(folder)) {
      std::vector<Tensor> reference;
      for (const Device d : devices) {
        device = d;
        const std::string difference = judge(model, name, set, d, reference);
        if (difference.empty()) continue;
        report.failures.push_back({name, d.name(), difference});
        return;
      }
    }
    ++report.passed;
    std::set<std::string> operators;
    for (const GraphNode& node : model.nodes) operators.insert(node.op);
    for (const std::string& op : operators) ++report.operators[op];
  } catch (const Unsupported& reason) {
    report.skips.push_back({name, reason.what()});
  } catch (const std::bad_alloc&) {
    report.failures.push_back({name, device.name(), "out of memory"});
  } catch (const std::exception& error) {
    report.failures.push_back({name, device.name(), error.what()});
  }
}

}  // namespace

Report run(const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  Report report;
  bool any = false;
  for (const fs::path& folder : find_cases(options.folder)) {
    const std::string name = fs::equivalent(folder, options.folder)
                                 ? folder.filename().string()
                                 : fs::relative(folder, options.folder).string();
    if (name.find(options.only) == std::string::npos) continue;
    any = true;
    if (options.stop && options.stop()) {
      report.stopped = true;
      break;
    }
    run_case(folder, name, options.devices, report);
  }
  if (!any) fail("verify", "no case in '{}' has '{}' in its name", options.folder, options.only);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace isobit::cli::onnx
