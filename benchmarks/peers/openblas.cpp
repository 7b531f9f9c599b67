// The peer OpenBLAS: matrix products of users' row-major matrices.
#include <cblas.h>

#include "benchmarks/peers/serve.h"

namespace peers {
namespace {

template <class T>
class Product : public Variant {
 public:
  explicit Product(const nlohmann::json& q)
      : m_(q.at("m")),
        n_(q.at("n")),
        k_(q.at("k")),
        transpose_a_(q.at("transpose_a")),
        transpose_b_(q.at("transpose_b")),
        a_(read_file(q.at("inputs").at(0))),
        b_(read_file(q.at("inputs").at(1))),
        c_(static_cast<std::size_t>(m_) * static_cast<std::size_t>(n_)) {
    if (a_.size() != sizeof(T) * static_cast<std::size_t>(m_) * static_cast<std::size_t>(k_) ||
        b_.size() != sizeof(T) * static_cast<std::size_t>(n_) * static_cast<std::size_t>(k_))
      throw std::runtime_error("an operand has the wrong size");
  }
  std::string name() const override { return "gemm"; }
  std::string implementation() const override { return openblas_get_corename(); }
  void prepare_weights() override {}
  void run(bool) override {
    const CBLAS_TRANSPOSE a_form = transpose_a_ ? CblasTrans : CblasNoTrans,
                          b_form = transpose_b_ ? CblasTrans : CblasNoTrans;
    const int lda = transpose_a_ ? m_ : k_, ldb = transpose_b_ ? k_ : n_;
    const auto* a = reinterpret_cast<const T*>(a_.data());
    const auto* b = reinterpret_cast<const T*>(b_.data());
    if constexpr (sizeof(T) == sizeof(float))
      cblas_sgemm(CblasRowMajor, a_form, b_form, m_, n_, k_, 1, a, lda, b, ldb, 0, c_.data(), n_);
    else
      cblas_dgemm(CblasRowMajor, a_form, b_form, m_, n_, k_, 1, a, lda, b, ldb, 0, c_.data(), n_);
  }
  void write(const std::string& path) override { write_file(path, c_.data(), c_.size() * sizeof(T)); }

 private:
  int m_, n_, k_;
  bool transpose_a_, transpose_b_;
  std::vector<char> a_, b_;
  std::vector<T> c_;
};

std::vector<std::unique_ptr<Variant>> open(const nlohmann::json& q) {
  const std::string op = q.at("op"), dtype = q.at("inputs").at(0).at("dtype");
  if (op != "matmul") throw Refused{"OpenBLAS has no " + op};
  std::vector<std::unique_ptr<Variant>> variants;
  if (dtype == "f32")
    variants.push_back(std::make_unique<Product<float>>(q));
  else if (dtype == "f64")
    variants.push_back(std::make_unique<Product<double>>(q));
  else
    throw Refused{"OpenBLAS has no " + dtype};
  return variants;
}

}  // namespace
}  // namespace peers

int main() {
  // "OpenBLAS 0.3.21 NO_LAPACKE ...": the first two words name it.
  const std::string config = openblas_get_config();
  const std::size_t second = config.find(' ', config.find(' ') + 1);
  return peers::serve(config.substr(0, second), peers::open);
}
