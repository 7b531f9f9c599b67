// The peer oneDNN: memories in the layouts that users' tensors lie in.
#pragma once
#include <dnnl.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "benchmarks/peers/serve.h"

namespace peers::onednn {

using Dims = dnnl::memory::dims;
using Args = std::unordered_map<int, dnnl::memory>;

const dnnl::engine& engine();
dnnl::stream& stream();

/// Throws Refused for types that oneDNN has not.
dnnl::memory::data_type type_of(const std::string& dtype);

/// The layouts of isobit (channels last; filters [spatial.., c / groups, k]) and of the contiguous tensors of
/// others (channels first; filters [k, c / groups, spatial..]).
enum class Layout { last, first };

/// Descriptors for logical dims [n, c, spatial..] and [(g,) k, c, spatial..].
dnnl::memory::desc data_desc(const Dims& dims, dnnl::memory::data_type type, Layout layout);
dnnl::memory::desc filter_desc(const Dims& dims, dnnl::memory::data_type type, Layout layout, bool groups);
dnnl::memory::desc any_desc(const Dims& dims, dnnl::memory::data_type type);

/// A memory of its own.
dnnl::memory make(const dnnl::memory::desc& desc);
/// A memory with the bytes of a file that has the layout `from`, held as `to`.
dnnl::memory load(const nlohmann::json& operand, const dnnl::memory::desc& from,
                  const dnnl::memory::desc& to);
/// Its elements as `as`, to a file.
void store(const std::string& path, dnnl::memory& memory, const dnnl::memory::desc& as);

/// Primitives that run one after the other.
class Steps : public Variant {
 public:
  explicit Steps(std::string name) : name_(std::move(name)) {}
  std::string name() const override { return name_; }
  std::string implementation() const override { return implementation_; }
  void prepare_weights() override;
  void run(bool cached) override;
  void write(const std::string& path) override;

  /// The user's input in a form that `wanted` asks for: itself, or a copy that every call makes anew
  /// (`weights`: unless they are cached).
  dnnl::memory input(const dnnl::memory& user, const dnnl::memory::desc& wanted, bool weights);
  /// The primitive itself; what `produced` holds afterwards goes to `user`, by a copy if it is another form.
  void compute(const dnnl::primitive& primitive, Args args, int output, const dnnl::memory::desc& produced,
               const dnnl::memory& user, const dnnl::memory::desc& file);
  void set_implementation(std::string text) { implementation_ = std::move(text); }

 private:
  struct Step {
    dnnl::primitive primitive;
    Args args;
    bool weights = false;
  };
  std::vector<Step> steps_;
  std::string name_, implementation_;
  dnnl::memory output_;
  dnnl::memory::desc file_;
};

std::vector<std::unique_ptr<Variant>> open_convolution(const nlohmann::json& question);
std::vector<std::unique_ptr<Variant>> open_matmul(const nlohmann::json& question);

}  // namespace peers::onednn
