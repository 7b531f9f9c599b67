#include "benchmarks/peers/onednn.h"

namespace peers::onednn {

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

dnnl::stream& stream() {
  static dnnl::stream s(engine());
  return s;
}

dnnl::memory::data_type type_of(const std::string& dtype) {
  if (dtype == "f32") return dnnl::memory::data_type::f32;
  if (dtype == "bf16") return dnnl::memory::data_type::bf16;
  if (dtype == "f16") return dnnl::memory::data_type::f16;
  throw Refused{"oneDNN has no " + dtype};
}

namespace {

// Strides of a tensor whose logical axes lie in memory in the order `order`, outermost first.
dnnl::memory::desc in_order(const Dims& dims, dnnl::memory::data_type type,
                            const std::vector<std::size_t>& order) {
  Dims strides(dims.size());
  dnnl::memory::dim stride = 1;
  for (std::size_t i = order.size(); i-- > 0;) {
    strides[order[i]] = stride;
    stride *= dims[order[i]];
  }
  return {dims, type, strides};
}

}  // namespace

dnnl::memory::desc data_desc(const Dims& dims, dnnl::memory::data_type type, Layout layout) {
  std::vector<std::size_t> order{0};
  if (layout == Layout::first) order.push_back(1);
  for (std::size_t i = 2; i < dims.size(); ++i) order.push_back(i);
  if (layout == Layout::last) order.push_back(1);
  return in_order(dims, type, order);
}

dnnl::memory::desc filter_desc(const Dims& dims, dnnl::memory::data_type type, Layout layout, bool groups) {
  const std::size_t k = groups ? 1 : 0;
  std::vector<std::size_t> order;
  if (layout == Layout::first) {
    for (std::size_t i = 0; i < dims.size(); ++i) order.push_back(i);
  } else {
    for (std::size_t i = k + 2; i < dims.size(); ++i) order.push_back(i);
    order.push_back(k + 1);
    if (groups) order.push_back(0);
    order.push_back(k);
  }
  return in_order(dims, type, order);
}

dnnl::memory::desc any_desc(const Dims& dims, dnnl::memory::data_type type) {
  return {dims, type, dnnl::memory::format_tag::any};
}

dnnl::memory make(const dnnl::memory::desc& desc) {
  return {desc, engine()};
}

dnnl::memory load(const nlohmann::json& operand, const dnnl::memory::desc& from,
                  const dnnl::memory::desc& to) {
  std::vector<char> bytes = read_file(operand);
  if (bytes.size() != from.get_size()) throw std::runtime_error("an operand has the wrong size");
  dnnl::memory source(from, engine(), bytes.data()), result = make(to);
  dnnl::reorder(source, result).execute(stream(), source, result);
  stream().wait();
  return result;
}

void store(const std::string& path, dnnl::memory& memory, const dnnl::memory::desc& as) {
  std::vector<char> bytes(as.get_size());
  dnnl::memory target(as, engine(), bytes.data());
  dnnl::reorder(memory, target).execute(stream(), memory, target);
  stream().wait();
  write_file(path, bytes.data(), bytes.size());
}

void Steps::prepare_weights() {
  for (Step& step : steps_)
    if (step.weights) step.primitive.execute(stream(), step.args);
  stream().wait();
}

void Steps::run(bool cached) {
  for (Step& step : steps_)
    if (!cached || !step.weights) step.primitive.execute(stream(), step.args);
  stream().wait();
}

void Steps::write(const std::string& path) {
  store(path, output_, file_);
}

dnnl::memory Steps::input(const dnnl::memory& user, const dnnl::memory::desc& wanted, bool weights) {
  if (user.get_desc() == wanted) return user;
  dnnl::memory copy = make(wanted);
  steps_.push_back({dnnl::reorder(user, copy), {{DNNL_ARG_FROM, user}, {DNNL_ARG_TO, copy}}, weights});
  return copy;
}

void Steps::compute(const dnnl::primitive& primitive, Args args, int output,
                    const dnnl::memory::desc& produced, const dnnl::memory& user,
                    const dnnl::memory::desc& file) {
  output_ = user;
  file_ = file;
  const dnnl::memory result = user.get_desc() == produced ? user : make(produced);
  args[output] = result;
  steps_.push_back({primitive, std::move(args), false});
  if (!(user.get_desc() == produced))
    steps_.push_back({dnnl::reorder(result, user), {{DNNL_ARG_FROM, result}, {DNNL_ARG_TO, user}}, false});
}

}  // namespace peers::onednn

int main() {
  const dnnl_version_t* v = dnnl_version();
  const std::string name =
      "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
  return peers::serve(name, [](const nlohmann::json& question) {
    const std::string op = question.at("op");
    if (op == "matmul") return peers::onednn::open_matmul(question);
    if (op.starts_with("conv_")) return peers::onednn::open_convolution(question);
    throw peers::Refused{"this peer knows no " + op};
  });
}
