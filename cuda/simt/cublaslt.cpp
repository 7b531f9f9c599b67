#include "cuda/simt/cublaslt.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstring>
#include <string>
#include <unordered_set>
#include <vector>

#include "core/numerics/half.h"
#include "cuda/simt/device_state.h"
#include "cuda/simt/library_checks.h"
#include "cuda/simt/matrix_unit.h"
#include "cuda/simt/memory.h"
#include "cuda/simt/streams.h"
#include "cuda/simt/tracer_hooks.h"

namespace isobit::emulator {

struct CublasContext {};
struct CublasLayout {
  cudaDataType type;
  std::uint64_t rows, columns;
  std::int64_t leading;
  std::int32_t batches = 1;
  std::int64_t step = 0;
};
struct CublasProduct {
  cublasComputeType_t compute;
  cudaDataType_t scale;
  std::array<std::int32_t, 2> transpose{};
};
struct CublasPreference {
  std::uint64_t workspace = 0;
  std::uint32_t reductions = 7;
  std::array<std::uint32_t, 4> alignment{256, 256, 256, 256};
};

namespace {

/// What exists, by kind: a handle that is not in it was never made, or was destroyed.
template <class T>
std::unordered_set<const T*>& live() {
  static auto& all = *new std::unordered_set<const T*>;
  return all;
}

cublasStatus_t refuse(const char* call, const std::string& why,
                      cublasStatus_t status = CUBLAS_STATUS_INVALID_VALUE) {
  fmt::print(stderr, "simt: {}: {}\n", call, why);
  return status;
}

template <class T, class... Fields>
cublasStatus_t create(const char* call, T** made, Fields... fields) {
  const std::lock_guard lock(device_mutex());
  if (made == nullptr) return refuse(call, "nowhere to put it");
  *made = new T{fields...};
  live<T>().insert(*made);
  return CUBLAS_STATUS_SUCCESS;
}

template <class T>
cublasStatus_t destroy(const char* call, T* made) {
  const std::lock_guard lock(device_mutex());
  if (live<T>().erase(made) == 0) return refuse(call, "it does not exist");
  delete made;
  return CUBLAS_STATUS_SUCCESS;
}

template <class F>
cublasStatus_t assign(const char* call, F& field, const void* value, std::size_t bytes) {
  if (value == nullptr || bytes != sizeof(field))
    return refuse(call, fmt::format("the attribute has {} bytes, not {}", sizeof(field), bytes));
  std::memcpy(&field, value, sizeof(field));
  return CUBLAS_STATUS_SUCCESS;
}

std::uint64_t element_bytes(cudaDataType type) {
  return type == CUDA_R_32F ? 4 : 2;
}
float element(const void* data, cudaDataType type, std::int64_t i) {
  if (type == CUDA_R_32F) return static_cast<const float*>(data)[i];
  const std::uint16_t bits = static_cast<const std::uint16_t*>(data)[i];
  return type == CUDA_R_16F ? numerics::f16_to_f32(bits) : numerics::bf16_to_f32(bits);
}
void put(void* data, cudaDataType type, std::int64_t i, float v) {
  if (type == CUDA_R_32F)
    static_cast<float*>(data)[i] = v;
  else
    static_cast<std::uint16_t*>(data)[i] =
        type == CUDA_R_16F ? numerics::f32_to_f16(v) : numerics::f32_to_bf16(v);
}
/// What the matrix unit multiplies in place of v.
float rounded(float v, cublasComputeType_t compute) {
  switch (compute) {
    case CUBLAS_COMPUTE_32F_FAST_TF32:
      return std::bit_cast<float>(round_tf32(v));
    case CUBLAS_COMPUTE_32F_FAST_16F:
      return numerics::f16_to_f32(numerics::f32_to_f16(v));
    case CUBLAS_COMPUTE_32F_FAST_16BF:
      return numerics::bf16_to_f32(numerics::f32_to_bf16(v));
    case CUBLAS_COMPUTE_32F:
      break;
  }
  return v;
}

/// Elements from the first to behind the last.
std::int64_t reach(const CublasLayout& l) {
  return (l.batches - 1) * l.step + static_cast<std::int64_t>(l.columns - 1) * l.leading +
         static_cast<std::int64_t>(l.rows);
}

/// A product as it was described, by value: descriptors may be destroyed when the call has returned.
struct Plan {
  CublasProduct product;
  CublasLayout a, b, c, d;
  std::uint64_t terms() const { return product.transpose[0] == CUBLAS_OP_T ? a.rows : a.columns; }
};

/// What makes the descriptors no product, empty when they are one.
std::string wrong(const Plan& p) {
  const auto extents = [](const CublasLayout& l, std::int32_t transpose) {
    return transpose == CUBLAS_OP_T ? std::array{l.columns, l.rows} : std::array{l.rows, l.columns};
  };
  const auto [m, k] = extents(p.a, p.product.transpose[0]);
  const auto [k2, n] = extents(p.b, p.product.transpose[1]);
  if (k != k2 || p.d.rows != m || p.d.columns != n || p.c.rows != m || p.c.columns != n)
    return fmt::format("[{} x {}] times [{} x {}] is not [{} x {}], [{} x {}]", m, k, k2, n, p.c.rows,
                       p.c.columns, p.d.rows, p.d.columns);
  for (const CublasLayout* l : {&p.a, &p.b, &p.c, &p.d}) {
    if (l->leading < static_cast<std::int64_t>(l->rows))
      return fmt::format("columns of {} elements lie {} apart", l->rows, l->leading);
    if (l->batches != p.d.batches) return fmt::format("{} and {} batches", l->batches, p.d.batches);
  }
  for (const CublasLayout* l : {&p.c, &p.d})
    if (l->batches > 1 &&
        l->step < static_cast<std::int64_t>(l->columns - 1) * l->leading + static_cast<std::int64_t>(l->rows))
      return fmt::format("batches of the result overlap: {} apart", l->step);
  if (p.product.scale != CUDA_R_32F) return "sums in f32 are scaled by f32";
  if (p.a.type != p.b.type || p.c.type != p.d.type || p.a.type != p.d.type)
    return fmt::format("types {} x {} + {} -> {}", static_cast<int>(p.a.type), static_cast<int>(p.b.type),
                       static_cast<int>(p.c.type), static_cast<int>(p.d.type));
  if (p.a.type != CUDA_R_32F && p.product.compute != CUBLAS_COMPUTE_32F)
    return "elements of 16 bits are multiplied as they are: CUBLAS_COMPUTE_32F";
  return {};
}

/// Stands in an algorithm for the descriptors that it was found for.
std::uint64_t token(const Plan& p) {
  std::uint64_t t = 0xcbf29ce484222325u;
  const auto add = [&](std::uint64_t v) { t = (t ^ v) * 0x100000001b3u; };
  add(static_cast<std::uint64_t>(p.product.compute));
  for (const std::int32_t transpose : p.product.transpose) add(static_cast<std::uint64_t>(transpose));
  for (const CublasLayout* l : {&p.a, &p.b, &p.c, &p.d})
    for (const std::uint64_t v :
         {static_cast<std::uint64_t>(l->type), l->rows, l->columns, static_cast<std::uint64_t>(l->leading),
          static_cast<std::uint64_t>(l->batches), static_cast<std::uint64_t>(l->step)})
      add(v);
  return t;
}

void compute(const Plan& p, const void* a, const void* b, float alpha, void* d) {
  const auto terms = static_cast<std::int64_t>(p.terms());
  const bool ta = p.product.transpose[0] == CUBLAS_OP_T, tb = p.product.transpose[1] == CUBLAS_OP_T;
  for (std::int64_t batch = 0; batch < p.d.batches; ++batch)
    for (std::int64_t j = 0; j < static_cast<std::int64_t>(p.d.columns); ++j)
      for (std::int64_t i = 0; i < static_cast<std::int64_t>(p.d.rows); ++i) {
        float sum = 0;
        for (std::int64_t k = 0; k < terms; ++k) {
          const std::int64_t at = batch * p.a.step + (ta ? i * p.a.leading + k : k * p.a.leading + i);
          const std::int64_t bt = batch * p.b.step + (tb ? k * p.b.leading + j : j * p.b.leading + k);
          sum += rounded(element(a, p.a.type, at), p.product.compute) *
                 rounded(element(b, p.b.type, bt), p.product.compute);
        }
        put(d, p.d.type, batch * p.d.step + j * p.d.leading + i, alpha * sum);
      }
}

/// The descriptors' values, or a refusal.
cublasStatus_t gather(const char* call, cublasLtHandle_t handle, cublasLtMatmulDesc_t product,
                      std::array<cublasLtMatrixLayout_t, 4> layouts, std::vector<Plan>& plan) {
  if (live<CublasContext>().count(handle) == 0)
    return refuse(call, "the handle does not exist", CUBLAS_STATUS_NOT_INITIALIZED);
  bool exist = live<CublasProduct>().count(product) != 0;
  for (const CublasLayout* l : layouts) exist = exist && live<CublasLayout>().count(l) != 0;
  if (!exist) return refuse(call, "a descriptor does not exist");
  plan.push_back({*product, *layouts[0], *layouts[1], *layouts[2], *layouts[3]});
  const std::string why = wrong(plan.front());
  return why.empty() ? CUBLAS_STATUS_SUCCESS : refuse(call, why);
}

}  // namespace

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  return create("cublasLtCreate", handle);
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  return destroy("cublasLtDestroy", handle);
}

const char* cublasLtGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
  }
  return "CUBLAS_STATUS_UNKNOWN";
}
const char* cublasLtGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_SUCCESS ? "success" : "refused by the stand-in, which says why on stderr";
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type,
                                          std::uint64_t rows, std::uint64_t columns, std::int64_t leading) {
  if (rows == 0 || columns == 0)
    return refuse("cublasLtMatrixLayoutCreate", fmt::format("a matrix of {} x {}", rows, columns));
  return create("cublasLtMatrixLayoutCreate", layout, type, rows, columns, leading);
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  return destroy("cublasLtMatrixLayoutDestroy", layout);
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute, const void* value,
                                                std::size_t bytes) {
  const char* const call = "cublasLtMatrixLayoutSetAttribute";
  const std::lock_guard lock(device_mutex());
  if (live<CublasLayout>().count(layout) == 0) return refuse(call, "the layout does not exist");
  if (attribute == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT) return assign(call, layout->batches, value, bytes);
  if (attribute == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET)
    return assign(call, layout->step, value, bytes);
  return refuse(call, fmt::format("no attribute {}", static_cast<int>(attribute)));
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* product, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  return create("cublasLtMatmulDescCreate", product, compute, scale);
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t product) {
  return destroy("cublasLtMatmulDescDestroy", product);
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t product,
                                              cublasLtMatmulDescAttributes_t attribute, const void* value,
                                              std::size_t bytes) {
  const char* const call = "cublasLtMatmulDescSetAttribute";
  const std::lock_guard lock(device_mutex());
  if (live<CublasProduct>().count(product) == 0) return refuse(call, "the product does not exist");
  if (attribute != CUBLASLT_MATMUL_DESC_TRANSA && attribute != CUBLASLT_MATMUL_DESC_TRANSB)
    return refuse(call, fmt::format("no attribute {}", static_cast<int>(attribute)));
  std::int32_t transpose = 0;
  const cublasStatus_t status = assign(call, transpose, value, bytes);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  if (transpose != CUBLAS_OP_N && transpose != CUBLAS_OP_T)
    return refuse(call, fmt::format("no operation {}", transpose));
  product->transpose[attribute == CUBLASLT_MATMUL_DESC_TRANSB ? 1 : 0] = transpose;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  return create("cublasLtMatmulPreferenceCreate", preference);
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  return destroy("cublasLtMatmulPreferenceDestroy", preference);
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, std::size_t bytes) {
  const char* const call = "cublasLtMatmulPreferenceSetAttribute";
  const std::lock_guard lock(device_mutex());
  if (live<CublasPreference>().count(preference) == 0) return refuse(call, "the preference does not exist");
  if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES)
    return assign(call, preference->workspace, value, bytes);
  if (attribute == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK)
    return assign(call, preference->reductions, value, bytes);
  if (attribute < CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES ||
      attribute > CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES)
    return refuse(call, fmt::format("no attribute {}", static_cast<int>(attribute)));
  const auto which = static_cast<std::size_t>(attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
  return assign(call, preference->alignment.at(which), value, bytes);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t product,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[], int* found) {
  const char* const call = "cublasLtMatmulAlgoGetHeuristic";
  const std::lock_guard lock(device_mutex());
  if (wanted <= 0 || results == nullptr || found == nullptr) return refuse(call, "no room for a result");
  if (live<CublasPreference>().count(preference) == 0) return refuse(call, "the preference does not exist");
  std::vector<Plan> plan;
  const cublasStatus_t status = gather(call, handle, product, {a, b, c, d}, plan);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  const Plan& p = plan.front();
  *found = 1;
  // Sums that are split need room for their parts, when they may.
  const std::uint64_t parts = p.d.rows * p.d.columns * 4;
  const bool split = p.terms() >= 32 && parts <= preference->workspace &&
                     (preference->reductions & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE) != 0;
  results[0] = {};
  results[0].workspaceSize = split ? parts : 0;
  results[0].algo.data[0] = token(p);
  results[0].algo.data[1] = results[0].workspaceSize;
  for (std::size_t i = 0; i < 4; ++i) results[0].algo.data[2 + i] = preference->alignment[i];
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t product, const void* alpha,
                              const void* a_data, cublasLtMatrixLayout_t a, const void* b_data,
                              cublasLtMatrixLayout_t b, const void* beta, const void* c_data,
                              cublasLtMatrixLayout_t c, void* d_data, cublasLtMatrixLayout_t d,
                              const cublasLtMatmulAlgo_t* algorithm, void* workspace, std::size_t bytes,
                              cudaStream_t stream) {
  const char* const call = "cublasLtMatmul";
  const std::lock_guard lock(device_mutex());
  std::vector<Plan> plan;
  const cublasStatus_t status = gather(call, handle, product, {a, b, c, d}, plan);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  const Plan& p = plan.front();
  if (alpha == nullptr || beta == nullptr || *static_cast<const float*>(beta) != 0)
    return refuse(call, "isobit scales by alpha alone");
  if (algorithm == nullptr || algorithm->data[0] != token(p))
    return refuse(call, "the algorithm was found for another product");
  if (bytes < algorithm->data[1])
    return refuse(call, fmt::format("{} bytes of workspace, {} needed", bytes, algorithm->data[1]));
  struct Operand {
    const char* name;
    const void* data;
    const CublasLayout* layout;
  };
  for (std::size_t i = 0; const Operand& o : {Operand{"A", a_data, &p.a}, Operand{"B", b_data, &p.b},
                                              Operand{"C", c_data, &p.c}, Operand{"D", d_data, &p.d}}) {
    const std::uint64_t size = element_bytes(o.layout->type);
    const std::string why = misplaced(o.name, o.data, static_cast<std::uint64_t>(reach(*o.layout)) * size,
                                      std::max(algorithm->data[2 + i++], size));
    if (!why.empty()) return refuse(call, why);
  }
  const std::uint64_t d_bytes = static_cast<std::uint64_t>(reach(p.d)) * element_bytes(p.d.type);
  for (const auto& [data, layout] : {std::pair{a_data, &p.a}, std::pair{b_data, &p.b}})
    if (overlap(data, static_cast<std::uint64_t>(reach(*layout)) * element_bytes(layout->type), d_data,
                d_bytes))
      return refuse(call, "the result lies over an operand");
  if (bytes > 0) {
    const std::string why = misplaced("the workspace", workspace, bytes, 16);
    if (!why.empty()) return refuse(call, why);
    if (overlap(workspace, bytes, d_data, d_bytes)) return refuse(call, "the workspace lies over the result");
  }
  const std::shared_ptr<Stream> queue = find_stream(stream);
  if (queue == nullptr) return refuse(call, "the stream does not exist");
  const float factor = *static_cast<const float*>(alpha);
  const cudaError_t error = enqueue(queue, [=] {
    const DeviceMemory::Access access;
    if (bytes > 0) std::memset(workspace, 0xff, bytes);  // it is the library's now: what lay there is gone
    compute(p, a_data, b_data, factor, d_data);
    trace_host_copy(d_data, nullptr, d_bytes);
  });
  return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

int cublas_live_descriptors() {
  const std::lock_guard lock(device_mutex());
  return static_cast<int>(live<CublasLayout>().size() + live<CublasProduct>().size() +
                          live<CublasPreference>().size());
}

}  // namespace isobit::emulator
