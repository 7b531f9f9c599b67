// Fast mode's matrix products by cuBLASLt. Its matrices lie in columns and ours in rows, so it computes the
// transposed: c^T[n, m] = b^T[n, k] a^T[k, m], and nothing is copied.
#include <isobit/arithmetic.h>
#include <isobit/error.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>

#include "cuda/kernels/tensor_product.cuh"
#include "cuda/runtime/stream.cuh"
#include "cuda/vendor/cublaslt.cuh"
#include "cuda/vendor/vendor.h"

namespace isobit::gpu::vendor {
namespace {

constexpr std::uint64_t kMaxWorkspaceBytes = std::uint64_t{32} << 20;  // what NVIDIA advises for its newest
constexpr std::size_t kMaxPlans = 4096;

struct Call {
  const MatmulGeometry& g;
  DType dtype;
  std::string words() const {
    return fmt::format("{}, {}, {}", g.to_string(), dtype, name_of(current_math()));
  }
};

void check(cublasStatus_t status, const char* call, const Call& what) {
  if (status == CUBLAS_STATUS_SUCCESS) [[likely]]
    return;
  const CublasLt& lt = cublas_lt();
  fail("matmul",
       "{} failed: {} ({}), for {}; other algorithms of fast mode, and exact mode, do without cuBLASLt", call,
       lt.status_text(status), lt.status_name(status), what.words());
}

/// A descriptor, destroyed with its scope.
template <class T>
using Owned = std::unique_ptr<std::remove_pointer_t<T>, cublasStatus_t (*)(T)>;

cudaDataType_t type_of(DType dtype) {
  return dtype == DType::f16 ? CUDA_R_16F : dtype == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F;
}
cublasComputeType_t compute_of(DType dtype, Math math) {
  if (dtype != DType::f32) return CUBLAS_COMPUTE_32F;
  return math == Math::fast_f16    ? CUBLAS_COMPUTE_32F_FAST_16F
         : math == Math::fast_bf16 ? CUBLAS_COMPUTE_32F_FAST_16BF
                                   : CUBLAS_COMPUTE_32F_FAST_TF32;
}

/// One matrix as it lies: columns of `rows` elements, one after the other.
Owned<cublasLtMatrixLayout_t> layout(const Call& call, std::int64_t rows, std::int64_t columns,
                                     std::int64_t step) {
  const CublasLt& lt = cublas_lt();
  cublasLtMatrixLayout_t made = nullptr;
  check(lt.layout_create(&made, type_of(call.dtype), static_cast<std::uint64_t>(rows),
                         static_cast<std::uint64_t>(columns), rows),
        "cublasLtMatrixLayoutCreate", call);
  Owned<cublasLtMatrixLayout_t> owned(made, lt.layout_destroy);
  const auto batches = static_cast<std::int32_t>(call.g.batch);
  check(lt.layout_set(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batches, sizeof(batches)),
        "cublasLtMatrixLayoutSetAttribute(BATCH_COUNT)", call);
  check(lt.layout_set(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step, sizeof(step)),
        "cublasLtMatrixLayoutSetAttribute(STRIDED_BATCH_OFFSET)", call);
  return owned;
}

std::uint32_t alignment_of(const void* data) {
  const auto at = reinterpret_cast<std::uintptr_t>(data);
  return static_cast<std::uint32_t>(std::min<std::uintptr_t>(at & -at, 256));
}

/// What the choice of a plan depends on: device, arithmetic, geometry, alignments.
using Key = std::array<std::int64_t, 14>;
struct Plans {
  std::mutex mutex;
  std::map<Key, cublasLtMatmulHeuristicResult_t> found;
};
Plans& plans() {
  static Plans& all = *new Plans;
  return all;
}

}  // namespace

const char* refuse_matmul_cublaslt(const MatmulGeometry& g, ConstView a, ConstView, View) {
  if (const char* why = kernels::refuse_tensor_product(a.dtype)) return why;
  if (g.k == 0) return "sums of no terms";
  if (std::max({g.batch, g.m, g.n, g.k}) > std::numeric_limits<std::int32_t>::max())
    return "cuBLASLt counts in 32 bits";
  const char* why = nullptr;
  cublas_lt_handle(why);
  return why;
}

void matmul_cublaslt(const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  if (g.batch * g.m * g.n == 0) return;
  const Call call{g, a.dtype};
  const CublasLt& lt = cublas_lt();
  const char* why = nullptr;
  const cublasLtHandle_t handle = cublas_lt_handle(why);
  if (handle == nullptr) fail("matmul", "{}", why);

  cublasLtMatmulDesc_t product = nullptr;
  check(lt.product_create(&product, compute_of(a.dtype, current_math()), CUDA_R_32F),
        "cublasLtMatmulDescCreate", call);
  const Owned<cublasLtMatmulDesc_t> own_product(product, lt.product_destroy);
  const auto set_transpose = [&](cublasLtMatmulDescAttributes_t which, bool transposed) {
    const std::int32_t operation = transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    check(lt.product_set(product, which, &operation, sizeof(operation)), "cublasLtMatmulDescSetAttribute",
          call);
  };
  set_transpose(CUBLASLT_MATMUL_DESC_TRANSA, g.transpose_b);
  set_transpose(CUBLASLT_MATMUL_DESC_TRANSB, g.transpose_a);
  const auto first = layout(call, g.transpose_b ? g.k : g.n, g.transpose_b ? g.n : g.k, g.stride_b);
  const auto second = layout(call, g.transpose_a ? g.m : g.k, g.transpose_a ? g.k : g.m, g.stride_a);
  const auto result = layout(call, g.n, g.m, g.m * g.n);

  const std::uint32_t alignments[] = {alignment_of(b.data), alignment_of(a.data), alignment_of(c.data)};
  int device = 0;
  gpu::check(cudaGetDevice(&device), "cudaGetDevice");
  const Key key{device,
                static_cast<std::int64_t>(current_math()),
                static_cast<std::int64_t>(a.dtype),
                g.batch,
                g.m,
                g.n,
                g.k,
                g.transpose_a,
                g.transpose_b,
                g.stride_a,
                g.stride_b,
                alignments[0],
                alignments[1],
                alignments[2]};
  std::optional<cublasLtMatmulHeuristicResult_t> plan;
  {
    const std::lock_guard lock(plans().mutex);
    if (const auto it = plans().found.find(key); it != plans().found.end()) plan = it->second;
  }
  if (!plan) {
    cublasLtMatmulPreference_t preference = nullptr;
    check(lt.preference_create(&preference), "cublasLtMatmulPreferenceCreate", call);
    const Owned<cublasLtMatmulPreference_t> own_preference(preference, lt.preference_destroy);
    const auto set = [&](cublasLtMatmulPreferenceAttributes_t which, const auto& value) {
      check(lt.preference_set(preference, which, &value, sizeof(value)),
            "cublasLtMatmulPreferenceSetAttribute", call);
    };
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kMaxWorkspaceBytes);
    // Parts of a sum are joined in f32: joined in the type of the result they would be rounded between.
    const std::uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, reductions);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignments[0]);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignments[1]);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignments[2]);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignments[2]);
    cublasLtMatmulHeuristicResult_t found{};
    int count = 0;
    check(lt.find(handle, product, first.get(), second.get(), result.get(), result.get(), preference, 1,
                  &found, &count),
          "cublasLtMatmulAlgoGetHeuristic", call);
    check(count > 0 ? found.state : CUBLAS_STATUS_NOT_SUPPORTED, "cublasLtMatmulAlgoGetHeuristic", call);
    plan = found;
    const std::lock_guard lock(plans().mutex);
    if (plans().found.size() >= kMaxPlans) plans().found.clear();
    plans().found.emplace(key, found);
  }
  std::optional<Scratch> workspace;
  if (plan->workspaceSize > 0) workspace.emplace(static_cast<std::int64_t>(plan->workspaceSize));
  const float one = 1, zero = 0;
  check(lt.matmul(handle, product, &one, b.data, first.get(), a.data, second.get(), &zero, c.data,
                  result.get(), c.data, result.get(), &plan->algo,
                  workspace ? workspace->as<void>() : nullptr, plan->workspaceSize, current_stream()),
        "cublasLtMatmul", call);
}

}  // namespace isobit::gpu::vendor
