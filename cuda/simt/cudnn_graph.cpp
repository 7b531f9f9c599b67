#include "cuda/simt/cudnn_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace isobit::emulator::dnn {
namespace {

constexpr std::int64_t kMostAxes = 8;  // CUDNN_DIM_MAX

/// What an attribute of a descriptor is.
struct Rule {
  cudnnBackendDescriptorType_t descriptor;
  cudnnBackendAttributeName_t name;
  cudnnBackendAttributeType_t type;
  std::int64_t most = 1;  ///< elements
  bool required = true;
  bool read_only = false;
};

constexpr auto kForward = CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
               kFilter = CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
               kData = CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
constexpr auto kPart = CUDNN_TYPE_BACKEND_DESCRIPTOR;

constexpr Rule kRules[] = {
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, kMostAxes},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, kMostAxes},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, kMostAxes},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64,
     kMostAxes},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, kMostAxes},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, kMostAxes},
    {kForward, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, kPart},
    {kForward, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, kPart},
    {kForward, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, kPart},
    {kForward, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, kPart},
    {kForward, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT},
    {kForward, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT},
    {kData, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, kPart},
    {kData, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, kPart},
    {kData, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, kPart},
    {kData, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, kPart},
    {kData, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_TYPE_FLOAT},
    {kData, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, CUDNN_TYPE_FLOAT},
    {kFilter, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, kPart},
    {kFilter, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, kPart},
    {kFilter, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, kPart},
    {kFilter, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, kPart},
    {kFilter, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_TYPE_FLOAT},
    {kFilter, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, CUDNN_TYPE_FLOAT},
    {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, CUDNN_ATTR_OPERATIONGRAPH_OPS, kPart},
    {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE},
    {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE},
    {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, kPart},
    {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_RESULTS, kPart, 1 << 20, false, true},
    {CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, CUDNN_ATTR_ENGINECFG_ENGINE, kPart, 1, false, true},
    {CUDNN_BACKEND_ENGINE_DESCRIPTOR, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
     CUDNN_NUMERICAL_NOTE_TYPE_COUNT, false, true},
    {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE},
    {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, kPart},
    {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1,
     false, true},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 1 << 20},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
     1 << 20},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, false},
};

Verdict bad(std::string why, cudnnStatus_t status = CUDNN_STATUS_BAD_PARAM) {
  return {status, std::move(why)};
}

using Extents = std::vector<std::int64_t>;

Verdict judge_tensor(const Descriptor& d) {
  const auto type = element<cudnnDataType_t>(d, CUDNN_ATTR_TENSOR_DATA_TYPE);
  if (type != CUDNN_DATA_FLOAT && type != CUDNN_DATA_HALF && type != CUDNN_DATA_BFLOAT16)
    return bad(fmt::format("data type {}", static_cast<int>(type)), CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE);
  const auto extent = elements<std::int64_t>(d, CUDNN_ATTR_TENSOR_DIMENSIONS),
             stride = elements<std::int64_t>(d, CUDNN_ATTR_TENSOR_STRIDES);
  if (extent.size() != stride.size())
    return bad(fmt::format("{} extents and {} strides", extent.size(), stride.size()));
  for (const auto* all : {&extent, &stride})
    for (const std::int64_t v : *all)
      if (v <= 0) return bad(fmt::format("an extent or a stride of {}", v));
  const auto alignment = element<std::int64_t>(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
  const std::int64_t size = type == CUDNN_DATA_FLOAT ? 4 : 2;
  if (alignment <= 0 || alignment % size != 0)
    return bad(fmt::format("elements of {} bytes aligned to {}", size, alignment));
  return {};
}

Verdict judge_convolution(const Descriptor& d) {
  const auto axes = element<std::int64_t>(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS);
  if (axes < 2 || axes > 3) return bad(fmt::format("{} axes", axes));
  for (const auto& [name, least] :
       {std::pair{CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, 0}, std::pair{CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, 0},
        std::pair{CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, 1},
        std::pair{CUDNN_ATTR_CONVOLUTION_DILATIONS, 1}}) {
    const auto values = elements<std::int64_t>(d, name);
    if (static_cast<std::int64_t>(values.size()) != axes)
      return bad(
          fmt::format("{} values of attribute {} for {} axes", values.size(), static_cast<int>(name), axes));
    if (*std::min_element(values.begin(), values.end()) < least)
      return bad(fmt::format("a value below {} of attribute {}", least, static_cast<int>(name)));
  }
  if (element<cudnnDataType_t>(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE) != CUDNN_DATA_FLOAT)
    return bad("isobit sums in f32");
  if (element<cudnnConvolutionMode_t>(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE) != CUDNN_CROSS_CORRELATION)
    return bad("isobit does not turn filters round");
  return {};
}

/// The attributes of an operation: x, w, y, convolution, alpha, beta.
std::array<cudnnBackendAttributeName_t, 6> attributes_of(cudnnBackendDescriptorType_t direction) {
  if (direction == kForward)
    return {
        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
  if (direction == kData)
    return {
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
  return {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
}

Tensor tensor_of(const char* name, const Descriptor& d) {
  return {name,
          element<cudnnDataType_t>(d, CUDNN_ATTR_TENSOR_DATA_TYPE),
          elements<std::int64_t>(d, CUDNN_ATTR_TENSOR_DIMENSIONS),
          elements<std::int64_t>(d, CUDNN_ATTR_TENSOR_STRIDES),
          element<std::int64_t>(d, CUDNN_ATTR_TENSOR_UNIQUE_ID),
          element<std::int64_t>(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT)};
}

Verdict judge_operation(const Descriptor& d) {
  const auto names = attributes_of(d.type);
  if (element<float>(d, names[4]) != 1 || element<float>(d, names[5]) != 0)
    return bad("isobit scales nothing and adds to nothing");
  const std::size_t rank = elements<std::int64_t>(*find(element<cudnnBackendDescriptor_t>(d, names[3])),
                                                  CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS)
                               .size() +
                           2;
  for (std::size_t i = 0; i < 3; ++i) {
    const Descriptor& t = *find(element<cudnnBackendDescriptor_t>(d, names.at(i)));
    if (elements<std::int64_t>(t, CUDNN_ATTR_TENSOR_DIMENSIONS).size() != rank)
      return bad(fmt::format("a tensor that does not have {} axes", rank));
  }
  const Convolution c = convolution_of(d);
  if (c.x.id == c.w.id || c.x.id == c.y.id || c.w.id == c.y.id)
    return bad("tensors of one id", CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES);
  if (c.x.extent[0] != c.y.extent[0] || c.w.extent[0] != c.y.extent[1])
    return bad(fmt::format("{} and {} samples, {} and {} filters", c.x.extent[0], c.y.extent[0],
                           c.w.extent[0], c.y.extent[1]));
  if (c.x.extent[1] % c.w.extent[1] != 0 || c.w.extent[0] % c.groups() != 0)
    return bad(fmt::format("{} channels by filters of {}, of which there are {}", c.x.extent[1],
                           c.w.extent[1], c.w.extent[0]));
  for (std::size_t i = 0; i < 3; ++i) {
    const std::int64_t span =
        c.in.at(i) + c.before.at(i) + c.after.at(i) - c.dilation.at(i) * (c.filter.at(i) - 1) - 1;
    if (span < 0 || span / c.stride.at(i) + 1 != c.out.at(i))
      return bad(fmt::format("an axis of {} padded by {} and {}, window {} in steps of {}, stride {}: not {}",
                             c.in.at(i), c.before.at(i), c.after.at(i), c.filter.at(i), c.dilation.at(i),
                             c.stride.at(i), c.out.at(i)));
  }
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
      return part == kForward || part == kData || part == kFilter;
    case CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH:
      return part == CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR;
    case CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG:
      return part == CUDNN_BACKEND_ENGINECFG_DESCRIPTOR;
    case CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC:
    case CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC:
    case CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC:
      return part == CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR;
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
    case kForward:
    case kData:
    case kFilter:
      return judge_operation(d);
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
      return judge_pack(d);
    default:
      return {};
  }
}

template <class T>
std::vector<T> elements(const Descriptor& d, cudnnBackendAttributeName_t name) {
  const Value& value = d.values.at(name);
  std::vector<T> read(static_cast<std::size_t>(value.count));
  std::memcpy(read.data(), value.bytes.data(), value.bytes.size());
  return read;
}
template <class T>
T element(const Descriptor& d, cudnnBackendAttributeName_t name) {
  return elements<T>(d, name).front();
}
template std::vector<void*> elements<void*>(const Descriptor&, cudnnBackendAttributeName_t);
template void* element<void*>(const Descriptor&, cudnnBackendAttributeName_t);
template cudnnHandle_t element<cudnnHandle_t>(const Descriptor&, cudnnBackendAttributeName_t);
template std::vector<std::int64_t> elements<std::int64_t>(const Descriptor&, cudnnBackendAttributeName_t);
template cudnnBackendHeurMode_t element<cudnnBackendHeurMode_t>(const Descriptor&,
                                                                cudnnBackendAttributeName_t);

Convolution convolution_of(const Descriptor& d) {
  if (d.type == CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR)
    return convolution_of(*find(element<cudnnBackendDescriptor_t>(d, CUDNN_ATTR_OPERATIONGRAPH_OPS)));
  const auto names = attributes_of(d.type);
  const auto part = [&](std::size_t i) -> const Descriptor& {
    return *find(element<cudnnBackendDescriptor_t>(d, names.at(i)));
  };
  Convolution c{d.type, tensor_of("x", part(0)), tensor_of("w", part(1)), tensor_of("y", part(2))};
  const std::size_t axes = c.x.extent.size() - 2;
  const auto place = [&](const Extents& from, std::size_t first, std::array<std::int64_t, 3>& to) {
    std::copy(from.begin() + static_cast<std::ptrdiff_t>(first), from.end(),
              to.begin() + static_cast<std::ptrdiff_t>(3 - axes));
  };
  place(c.x.extent, 2, c.in);
  place(c.w.extent, 2, c.filter);
  place(c.y.extent, 2, c.out);
  place(elements<std::int64_t>(part(3), CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS), 0, c.before);
  place(elements<std::int64_t>(part(3), CUDNN_ATTR_CONVOLUTION_POST_PADDINGS), 0, c.after);
  place(elements<std::int64_t>(part(3), CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES), 0, c.stride);
  place(elements<std::int64_t>(part(3), CUDNN_ATTR_CONVOLUTION_DILATIONS), 0, c.dilation);
  return c;
}

}  // namespace isobit::emulator::dnn
