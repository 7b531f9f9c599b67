// The peer "plain": our own definition (cpu/reference/), loops in the order in which docs/numerics.md writes
// the sums down. It is what the same bits everywhere cost where nothing is done for speed.
#include <isobit/algorithms.h>
#include <isobit/autograd.h>
#include <isobit/error.h>
#include <isobit/ops.h>
#include <isobit/tensor.h>

#include <cstring>
#include <functional>

#include "benchmarks/peers/serve.h"

namespace peers {
namespace {

using isobit::Device;
using isobit::Shape;
using isobit::Tensor;

Tensor load(const nlohmann::json& operand) {
  Tensor tensor = isobit::empty(Shape(operand.at("shape").get<std::vector<std::int64_t>>()),
                                {.dtype = isobit::parse_dtype(operand.at("dtype").get<std::string>())});
  const std::vector<char> bytes = read_file(operand);
  if (bytes.size() != static_cast<std::size_t>(tensor.bytes()))
    throw std::runtime_error("an operand has the wrong size");
  if (!bytes.empty()) std::memcpy(tensor.mutable_raw(), bytes.data(), bytes.size());
  return tensor;
}

class Loops : public Variant {
 public:
  Loops(std::string kernel, std::function<Tensor()> call)
      : kernel_(std::move(kernel)), call_(std::move(call)) {}
  std::string name() const override { return "loops"; }
  std::string implementation() const override { return "reference"; }
  void prepare_weights() override {}
  void run(bool) override {
    const isobit::NoGrad off;
    const isobit::ForcedAlgorithm definition(Device::cpu(), kernel_, "reference");
    result_ = call_();
  }
  void write(const std::string& path) override {
    write_file(path, result_.raw(), static_cast<std::size_t>(result_.bytes()));
  }

 private:
  std::string kernel_;
  std::function<Tensor()> call_;
  Tensor result_;
};

isobit::PerAxis per_axis(const std::vector<std::int64_t>& list) {
  isobit::PerAxis result = 1;
  if (list.size() > result.value.size()) throw std::runtime_error("more than three axes");
  result.count = static_cast<int>(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) result.value[i] = list[i];
  return result;
}

std::vector<std::unique_ptr<Variant>> open(const nlohmann::json& q) {
  const std::string op = q.at("op");
  std::function<Tensor()> call;
  if (op == "matmul") {
    call = [a = load(q.at("inputs").at(0)), b = load(q.at("inputs").at(1)),
            ta = q.at("transpose_a").get<bool>(),
            tb = q.at("transpose_b").get<bool>()] { return isobit::matmul(a, b, ta, tb); };
  } else if (op.starts_with("conv_")) {
    const std::string mode = q.at("pad_mode");
    if (!mode.empty()) throw Refused{"zeros only, not " + mode};
    const auto list = [&](const char* key) { return q.at(key).get<std::vector<std::int64_t>>(); };
    isobit::ConvOptions options;
    options.stride = per_axis(list("stride"));
    options.dilation = per_axis(list("dilation"));
    options.groups = q.at("groups");
    const auto before = list("pad_before"), after = list("pad_after");
    if (before.size() != after.size()) throw std::runtime_error("paddings of different ranks");
    std::vector<std::pair<std::int64_t, std::int64_t>> sides;
    for (std::size_t i = 0; i < before.size(); ++i) sides.emplace_back(before[i], after[i]);
    options.padding = sides;
    options.padding.count = static_cast<int>(sides.size());
    const Tensor a = load(q.at("inputs").at(0)), b = load(q.at("inputs").at(1));
    if (op == "conv_forward")
      call = [=] { return isobit::conv(a, b, {}, options); };
    else if (op == "conv_backward_input")
      call = [=, to = Shape(list("x"))] { return isobit::conv_backward_input(a, b, to, options); };
    else if (op == "conv_backward_filter")
      call = [=, to = Shape(list("w"))] { return isobit::conv_backward_filter(a, b, to, options); };
  }
  if (!call) throw Refused{"no loops for " + op};
  std::vector<std::unique_ptr<Variant>> variants;
  variants.push_back(std::make_unique<Loops>(op, std::move(call)));
  return variants;
}

}  // namespace
}  // namespace peers

int main() {
  isobit::set_threads(1);
  return peers::serve("the plain loops, one thread", peers::open);
}
