// Attributes and inputs by kind, and the table of operators.
#include "cli/onnx/call.h"

#include <isobit/error.h>

#include <algorithm>

namespace isobit::cli::onnx {

const Attribute* Call::find(const char* name) {
  looked_at_.insert(name);
  const auto at = node_.attributes.find(name);
  return at == node_.attributes.end() ? nullptr : &at->second;
}

template <class T>
const T* Call::get(const char* name, const char* kind) {
  const Attribute* attribute = find(name);
  if (attribute == nullptr) return nullptr;
  const T* value = std::get_if<T>(attribute);
  if (value == nullptr) wrong("attribute '{}' is no {}", name, kind);
  return value;
}

bool Call::has(const char* name) {
  return find(name) != nullptr;
}
std::int64_t Call::integer(const char* name, std::int64_t missing) {
  const auto* v = get<std::int64_t>(name, "integer");
  return v == nullptr ? missing : *v;
}
double Call::real(const char* name, double missing) {
  const auto* v = get<double>(name, "number");
  return v == nullptr ? missing : *v;
}
std::string Call::text(const char* name, const char* missing) {
  const auto* v = get<std::string>(name, "text");
  return v == nullptr ? missing : *v;
}
std::vector<std::int64_t> Call::integers(const char* name) {
  const auto* v = get<std::vector<std::int64_t>>(name, "list of integers");
  return v == nullptr ? std::vector<std::int64_t>() : *v;
}
std::vector<double> Call::reals(const char* name) {
  const auto* v = get<std::vector<double>>(name, "list of numbers");
  return v == nullptr ? std::vector<double>() : *v;
}
Tensor Call::tensor(const char* name) {
  const auto* v = get<Tensor>(name, "tensor of a type that isobit has");
  return v == nullptr ? Tensor() : v->to(device_);
}

Tensor Call::optional_input(std::size_t i) {
  taken_.insert(i);
  return i < inputs_.size() ? inputs_[i] : Tensor();
}
Tensor Call::input(std::size_t i) {
  const Tensor t = optional_input(i);
  if (!t.defined()) wrong("input {} is missing", i);
  return t;
}
std::vector<std::int64_t> Call::whole_numbers(std::size_t i) {
  const Tensor t = optional_input(i);
  if (!t.defined()) return {};
  if (t.dtype() != DType::i64 && t.dtype() != DType::i32) wrong("input {} is {}, expected i64", i, t.dtype());
  return t.to(DType::i64).to_vector<std::int64_t>();
}
std::vector<double> Call::real_numbers(std::size_t i) {
  const Tensor t = optional_input(i);
  if (!t.defined()) return {};
  if (!is_floating(t.dtype())) wrong("input {} is {}, expected f32", i, t.dtype());
  return t.to(DType::f64).to_vector<double>();
}

void Call::finish() const {
  for (const auto& [name, value] : node_.attributes)
    if (!looked_at_.contains(name))
      throw Unsupported(fmt::format("isobit has no attribute '{}' of {}", name, node_.op));
  for (std::size_t i = 0; i < inputs_.size(); ++i)
    if (inputs_[i].defined() && !taken_.contains(i))
      throw Unsupported(fmt::format("isobit has no input {} of {}", i, node_.op));
}

const Operator* find_operator(const GraphNode& node) {
  if (!node.domain.empty() && node.domain != "ai.onnx.preview.training") return nullptr;
  for (const auto family : {conv_operators(), pool_operators(), pad_operators(), norm_operators(),
                            row_operators(), loss_operators(), optimizer_operators(), resize_operators(),
                            elementwise_operators(), shape_operators()}) {
    const auto at =
        std::find_if(family.begin(), family.end(), [&](const Operator& o) { return o.name == node.op; });
    if (at != family.end()) return &*at;
  }
  return nullptr;
}

}  // namespace isobit::cli::onnx
