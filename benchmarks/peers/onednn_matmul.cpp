// oneDNN's matrix products: c = a b of row-major matrices, either of them stored transposed. b, which stands
// for weights, is taken as it lies, or copied into the form that the primitive likes.
#include "benchmarks/peers/onednn.h"

namespace peers::onednn {
namespace {

using Desc = dnnl::memory::desc;

dnnl::matmul::primitive_desc product(const Desc& a, const Desc& b, const Desc& c) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), a, b, c};
#else
  return {dnnl::matmul::desc(a, b, c), engine()};
#endif
}

// The logical [rows, columns], stored row by row, or column by column.
Desc matrix(const Dims& dims, dnnl::memory::data_type type, bool transposed) {
  return {dims, type, transposed ? Dims{1, dims[0]} : Dims{dims[1], 1}};
}

// Null where there is no primitive for it, or where "any" is what the user has.
std::unique_ptr<Variant> make_variant(const nlohmann::json& q, bool any) {
  const dnnl::memory::data_type type = type_of(q.at("inputs").at(0).at("dtype"));
  const dnnl::memory::dim m = q.at("m"), n = q.at("n"), k = q.at("k");
  const Desc a = matrix({m, k}, type, q.at("transpose_a")), b = matrix({k, n}, type, q.at("transpose_b")),
             c = matrix({m, n}, type, false);
  try {
    const auto pd = product(a, any ? any_desc({k, n}, type) : b, c);
    if (any && pd.weights_desc() == b) return nullptr;
    auto steps = std::make_unique<Steps>(any ? "b in its form" : "b as it lies");
    steps->set_implementation(pd.impl_info_str());
    const dnnl::memory left = load(q.at("inputs").at(0), a, a), right = load(q.at("inputs").at(1), b, b);
    const dnnl::memory weights = steps->input(right, pd.weights_desc(), true);
    steps->compute(dnnl::matmul(pd), {{DNNL_ARG_SRC, left}, {DNNL_ARG_WEIGHTS, weights}}, DNNL_ARG_DST,
                   pd.dst_desc(), make(c), c);
    return steps;
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_unimplemented) return nullptr;
    throw;
  }
}

}  // namespace

std::vector<std::unique_ptr<Variant>> open_matmul(const nlohmann::json& question) {
  std::vector<std::unique_ptr<Variant>> variants;
  for (const bool any : {false, true})
    if (auto variant = make_variant(question, any)) variants.push_back(std::move(variant));
  return variants;
}

}  // namespace peers::onednn
