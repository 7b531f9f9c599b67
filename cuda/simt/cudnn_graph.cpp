#include "cuda/simt/cudnn_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "core/numerics/half.h"
#include "cuda/simt/cudnn_rules.h"

namespace isobit::emulator::dnn {
namespace {

bool is_operation(cudnnBackendDescriptorType_t type) {
  return type == kForward || type == kData || type == kFilter || type == kPool || type == kPoolBackward ||
         type == kNorm || type == kNormBackward;
}

Verdict judge_tensor(const Descriptor& d) {
  const auto type = element<cudnnDataType_t>(d, CUDNN_ATTR_TENSOR_DATA_TYPE);
  if (type != CUDNN_DATA_FLOAT && type != CUDNN_DATA_HALF && type != CUDNN_DATA_BFLOAT16 &&
      type != CUDNN_DATA_INT32)
    return bad(fmt::format("data type {}", static_cast<int>(type)), CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE);
  const auto extent = elements<std::int64_t>(d, CUDNN_ATTR_TENSOR_DIMENSIONS),
             stride = elements<std::int64_t>(d, CUDNN_ATTR_TENSOR_STRIDES);
  if (extent.size() != stride.size())
    return bad(fmt::format("{} extents and {} strides", extent.size(), stride.size()));
  for (const auto* all : {&extent, &stride})
    for (const std::int64_t v : *all)
      if (v <= 0) return bad(fmt::format("an extent or a stride of {}", v));
  const auto alignment = element<std::int64_t>(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
  const std::int64_t size = type == CUDNN_DATA_FLOAT || type == CUDNN_DATA_INT32 ? 4 : 2;
  if (alignment <= 0 || alignment % size != 0)
    return bad(fmt::format("elements of {} bytes aligned to {}", size, alignment));
  return {};
}

Verdict judge_pack(const Descriptor& d) {
  auto ids = elements<std::int64_t>(d, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  const auto data = elements<void*>(d, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  if (ids.size() != data.size()) return bad(fmt::format("{} ids and {} pointers", ids.size(), data.size()));
  std::sort(ids.begin(), ids.end());
  if (std::adjacent_find(ids.begin(), ids.end()) != ids.end())
    return bad("an id twice", CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES);
  return {};
}

/// What a part of a descriptor has to be.
bool fits(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t part) {
  switch (name) {
    case CUDNN_ATTR_OPERATIONGRAPH_OPS:
      return is_operation(part);
    case CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH:
      return part == CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR;
    case CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG:
      return part == CUDNN_BACKEND_ENGINECFG_DESCRIPTOR;
    case CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC:
    case CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC:
    case CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC:
      return part == CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR;
    case CUDNN_ATTR_OPERATION_RESAMPLE_FWD_DESC:
    case CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DESC:
      return part == CUDNN_BACKEND_RESAMPLE_DESCRIPTOR;
    default:
      return part == CUDNN_BACKEND_TENSOR_DESCRIPTOR;
  }
}

}  // namespace

std::unordered_map<cudnnBackendDescriptor_t, std::unique_ptr<Descriptor>>& descriptors() {
  static auto& all = *new std::unordered_map<cudnnBackendDescriptor_t, std::unique_ptr<Descriptor>>;
  return all;
}
Descriptor* find(cudnnBackendDescriptor_t descriptor) {
  const auto it = descriptors().find(descriptor);
  return it == descriptors().end() ? nullptr : it->second.get();
}

bool whole(cudnnBackendDescriptor_t descriptor) {
  const Descriptor* const d = find(descriptor);
  if (d == nullptr || !d->finalized || (d->graph != nullptr && !whole(d->graph))) return false;
  return std::all_of(std::begin(kRules), std::end(kRules), [&](const Rule& rule) {
    if (rule.descriptor != d->type || rule.type != kPart || d->values.count(rule.name) == 0) return true;
    const auto parts = elements<cudnnBackendDescriptor_t>(*d, rule.name);
    return std::all_of(parts.begin(), parts.end(), whole);
  });
}

std::size_t bytes_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
      return sizeof(void*);
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE:
      return 8;
    case CUDNN_TYPE_BOOLEAN:
      return 1;
    default:
      return 4;
  }
}

Verdict judge_attribute(const Descriptor& d, cudnnBackendAttributeName_t name,
                        cudnnBackendAttributeType_t type, std::int64_t count, bool set) {
  const auto* const rule = std::find_if(std::begin(kRules), std::end(kRules), [&](const Rule& r) {
    return r.descriptor == d.type && r.name == name;
  });
  if (rule == std::end(kRules) || (set ? rule->read_only : !rule->read_only))
    return bad(fmt::format("no attribute {} to {} of descriptor type {}", static_cast<int>(name),
                           set ? "set" : "read", static_cast<int>(d.type)));
  if (type != rule->type)
    return bad(
        fmt::format("elements of type {}, expected {}", static_cast<int>(type), static_cast<int>(rule->type)),
        CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE);
  if (count < (set ? 1 : 0) || count > rule->most || (set && rule->most == 1 && count != 1))
    return bad(fmt::format("{} elements, expected {}", count, rule->most));
  return {};
}

Verdict judge_axes(const Descriptor& d, cudnnBackendAttributeName_t count,
                   std::initializer_list<AxisValues> all) {
  const auto axes = element<std::int64_t>(d, count);
  if (axes < 2 || axes > 3) return bad(fmt::format("{} axes", axes));
  for (const auto& [name, least] : all) {
    const auto values = elements<std::int64_t>(d, name);
    if (static_cast<std::int64_t>(values.size()) != axes)
      return bad(
          fmt::format("{} values of attribute {} for {} axes", values.size(), static_cast<int>(name), axes));
    if (*std::min_element(values.begin(), values.end()) < least)
      return bad(fmt::format("a value below {} of attribute {}", least, static_cast<int>(name)));
  }
  return {};
}

Verdict judge_whole(const Descriptor& d) {
  for (const Rule& rule : kRules) {
    if (rule.descriptor != d.type) continue;
    const bool is_set = d.values.count(rule.name) != 0;
    if (rule.required && !is_set)
      return bad(fmt::format("attribute {} is not set", static_cast<int>(rule.name)));
    if (!is_set || rule.type != kPart) continue;
    for (const auto part : elements<cudnnBackendDescriptor_t>(d, rule.name)) {
      const Descriptor* const made = find(part);
      if (made == nullptr) return bad("a part does not exist");
      if (!fits(rule.name, made->type))
        return bad(fmt::format("descriptor type {} as attribute {}", static_cast<int>(made->type),
                               static_cast<int>(rule.name)),
                   CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE);
      if (!whole(part))
        return bad("a part is not finalized, or lacks its own", CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED);
    }
  }
  switch (d.type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
      return judge_tensor(d);
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR:
      return judge_convolution(d);
    case CUDNN_BACKEND_RESAMPLE_DESCRIPTOR:
      return judge_resample(d);
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
      return judge_pack(d);
    default:
      return is_operation(d.type) ? operation_of(d)->judge() : Verdict{};
  }
}

std::shared_ptr<const Operation> operation_of(const Descriptor& d) {
  if (d.type == CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR)
    return operation_of(part(d, CUDNN_ATTR_OPERATIONGRAPH_OPS));
  if (d.type == kNorm || d.type == kNormBackward) return norm_of(d);
  return d.type == kPool || d.type == kPoolBackward ? resample_of(d) : convolution_of(d);
}

Tensor tensor_of(const char* name, const Descriptor& d) {
  return {name,
          element<cudnnDataType_t>(d, CUDNN_ATTR_TENSOR_DATA_TYPE),
          elements<std::int64_t>(d, CUDNN_ATTR_TENSOR_DIMENSIONS),
          elements<std::int64_t>(d, CUDNN_ATTR_TENSOR_STRIDES),
          element<std::int64_t>(d, CUDNN_ATTR_TENSOR_UNIQUE_ID),
          element<std::int64_t>(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT),
          is_set(d, CUDNN_ATTR_TENSOR_IS_BY_VALUE) && element<bool>(d, CUDNN_ATTR_TENSOR_IS_BY_VALUE)};
}

std::int64_t Tensor::numel() const {
  return std::accumulate(extent.begin(), extent.end(), std::int64_t{1}, std::multiplies<>());
}

bool Tensor::channels_last() const {
  if (stride[1] != 1) return false;
  std::int64_t next = extent[1];
  for (std::size_t i = extent.size() - 1; i > 1; --i) {
    if (stride[i] != next) return false;
    next *= extent[i];
  }
  return stride[0] == next;
}

std::vector<float> load(const Tensor& t, const void* data) {
  std::vector<float> values(static_cast<std::size_t>(t.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (t.type == CUDNN_DATA_FLOAT) {
      values[i] = static_cast<const float*>(data)[i];
    } else {
      const std::uint16_t bits = static_cast<const std::uint16_t*>(data)[i];
      values[i] = t.type == CUDNN_DATA_HALF ? numerics::f16_to_f32(bits) : numerics::bf16_to_f32(bits);
    }
  }
  return values;
}

void store(const Tensor& t, const std::vector<float>& values, const void* data) {
  void* const to = const_cast<void*>(data);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (t.type == CUDNN_DATA_FLOAT)
      static_cast<float*>(to)[i] = values[i];
    else
      static_cast<std::uint16_t*>(to)[i] =
          t.type == CUDNN_DATA_HALF ? numerics::f32_to_f16(values[i]) : numerics::f32_to_bf16(values[i]);
  }
}

Axes three_axes(const std::vector<std::int64_t>& from, std::size_t first, std::int64_t filler) {
  Axes to{filler, filler, filler};
  const std::size_t axes = from.size() - first;
  for (std::size_t i = 0; i < axes && i < 3; ++i) to.at(3 - axes + i) = from[first + i];
  return to;
}

}  // namespace isobit::emulator::dnn
