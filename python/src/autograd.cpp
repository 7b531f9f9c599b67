// Gradients: backward, grad of any order, what is recorded, ops of the user's own, batches in parts.
#include <isobit/autograd.h>
#include <isobit/parts.h>

#include <memory>
#include <stdexcept>

#include "module.h"

namespace isobit::python {
namespace {

/// with no_grad(): as a context manager, entered as often as one likes.
template <class Guard>
struct Mode {
  std::vector<std::unique_ptr<Guard>> guards;
  Mode() = default;
  Mode(const Mode&) = delete;
  Mode& operator=(const Mode&) = delete;
};

template <class Guard>
void bind_mode(nb::module_& m, const char* name, const char* doc) {
  using M = Mode<Guard>;
  nb::class_<M>(m, name, doc)
      .def(nb::init<>())
      .def("__enter__", [](M& self) { self.guards.push_back(std::make_unique<Guard>()); })
      .def("__exit__", [name](M& self, nb::args) {
        if (self.guards.empty())
          throw std::runtime_error(fmt::format("{}: __exit__ without an __enter__", name));
        self.guards.pop_back();
      });
}

nb::list to_list(std::vector<Tensor> tensors) {
  nb::list list;
  for (Tensor& t : tensors) list.append(to_object(std::move(t)));
  return list;
}

/// What a Python function gives for a gradient.
std::function<Tensor(const Tensor&)> hook_of(nb::object function) {
  return [f = Callable(std::move(function))](const Tensor& gradient) {
    nb::gil_scoped_acquire locked;
    return TensorKind::parse(f.get()(gradient), "hook's result");
  };
}

void bind_members(nb::class_<Tensor>& tensor) {
  tensor
      .def_prop_rw("requires_grad", &Tensor::requires_grad,
                   [](Tensor& t, bool on) { t.set_requires_grad(on); })
      .def(
          "set_requires_grad",
          [](nb::handle self, bool on) {
            nb::cast<Tensor&>(self).set_requires_grad(on);
            return nb::borrow(self);
          },
          "on"_a = true, nb::sig("def set_requires_grad(self, on: bool = True) -> Tensor"),
          "Marks a leaf; ValueError on results of ops and on non-floating tensors.")
      .def_prop_rw(
          "grad", [](const Tensor& t) { return to_object(t.grad()); },
          [](Tensor& t, TensorArg g) { t.set_grad(g("grad")); }, nb::arg("grad").none(),
          nb::for_getter(nb::sig("def grad(self) -> Tensor | None")),
          nb::for_setter(nb::sig("def grad(self, grad: Tensor | None, /) -> None")),
          "The accumulated gradient; None before the first backward pass.")
      .def("zero_grad", &Tensor::zero_grad)
      .def(
          "backward",
          [](const Tensor& t, TensorArg seed, bool keep_graph) {
            const Tensor s = seed("seed");
            unlocked([&] { t.backward(s, keep_graph); });
          },
          "seed"_a = nb::none(), "keep_graph"_a = false,
          "Adds d(this)/d(leaf) to every leaf's grad. Without a seed this must have one element. keep_graph "
          "allows a "
          "second pass.")
      .def("detach", &Tensor::detach, "The same storage, cut off from the graph.")
      .def_prop_ro("is_leaf", &Tensor::is_leaf)
      .def(
          "register_hook", [](const Tensor& t, nb::callable hook) { t.register_hook(hook_of(hook)); },
          "hook"_a,
          nb::sig("def register_hook(self, hook: collections.abc.Callable[[Tensor], Tensor | None]) -> None"),
          "Called with the gradient of this tensor when it is complete; a tensor that it returns replaces "
          "it.");
}

/// Python may keep it for longer than there is a context.
struct Context {
  const BackwardContext* context;
  const BackwardContext& get() const {
    if (context == nullptr)
      throw std::runtime_error("BackwardContext: used after its backward function returned");
    return *context;
  }
};

/// The context as an object that is void when this goes.
class LentContext {
 public:
  explicit LentContext(const BackwardContext& context) : object_(nb::cast(Context{&context})) {}
  ~LentContext() { nb::inst_ptr<Context>(object_)->context = nullptr; }
  LentContext(const LentContext&) = delete;
  LentContext& operator=(const LentContext&) = delete;
  nb::handle object() const { return object_; }

 private:
  nb::object object_;
};

/// record() with a backward function of Python's.
Tensor record_op(const std::string& op, TensorsArg inputs, const Tensor& output, TensorsArg saved,
                 nb::callable backward) {
  // Nodes keep the op's name as a pointer: names are few, and stay.
  static nb::dict* names = new nb::dict();
  nb::str key(op.c_str());
  if (!names->contains(key)) (*names)[key] = key;
  const char* name = PyUnicode_AsUTF8(nb::object((*names)[key]).ptr());
  const auto function = [f = Callable(backward)](const BackwardContext& context) {
    nb::gil_scoped_acquire locked;
    const LentContext lent(context);
    const nb::object result = f.get()(lent.object());
    std::vector<Tensor> gradients;
    if (nb::isinstance<Tensor>(result)) return std::vector{nb::cast<Tensor>(result)};
    for (const nb::handle g : nb::borrow<nb::sequence>(result))
      gradients.push_back(TensorKind::parse(g, "gradient"));
    return gradients;
  };
  const auto in = inputs("inputs"), kept = saved("saved");
  return record(name, std::span<const Tensor>(in), output, std::span<const Tensor>(kept), function);
}

void bind_record(nb::module_& m) {
  nb::class_<Context>(m, "BackwardContext", "What a backward function gets; valid while it runs.")
      .def_prop_ro(
          "dy", [](const Context& c) { return c.get().dy(); }, "Gradient of the op's output.")
      .def(
          "needs", [](const Context& c, int i) { return c.get().needs(i); }, "i"_a,
          "Whether input i needs a gradient; others may be left None.")
      .def(
          "saved", [](const Context& c, int i) { return c.get().saved(i); }, "i"_a,
          "Saved tensor i, with its history, so that derivatives of derivatives flow.");
  m.def("record", &record_op, "op"_a, "inputs"_a, "output"_a, "saved"_a, "backward"_a,
        "Makes `output` the result of `op` on `inputs`: an op of your own. backward(context) returns one "
        "gradient for "
        "each input (None: zero), made of differentiable ops; saved tensors may be inputs, output or others. "
        "`output` "
        "must be fresh (computed under no_grad()).\n\n"
        "    def cube(x):\n"
        "        with isobit.no_grad():\n"
        "            y = x * x * x\n"
        "        return isobit.record(\"cube\", [x], y, [x],\n"
        "                             lambda c: [c.dy * isobit.square(c.saved(0)) * 3])");
}

void bind_parts(nb::module_& m) {
  nb::class_<Part>(m, "Part", "Samples [first, first + length) of a batch of `whole`.")
      .def(
          "__init__",
          [](Part* self, IntArg first, IntArg length, IntArg whole) {
            new (self) Part{first("first"), length("length"), whole("whole")};
          },
          "first"_a, "length"_a, "whole"_a)
      .def_ro("first", &Part::first)
      .def_ro("length", &Part::length)
      .def_ro("whole", &Part::whole)
      .def("__repr__", [](const Part& p) {
        return fmt::format("Part(first={}, length={}, whole={})", p.first, p.length, p.whole);
      });
  m.def(
      "split_batch",
      [](IntArg whole, IntArg length) { return split_batch(whole("whole"), length("length")); }, "whole"_a,
      "length"_a,
      "The parts of a batch of `whole` in pieces of `length`, a power of two and at least 16, or at least "
      "whole.");
  m.def(
      "backward_in_parts",
      [](const std::vector<Part>& parts, TensorsArg parameters, nb::callable loss) {
        const auto p = parameters("parameters");
        return to_object(backward_in_parts(parts, p, [&](const Part& part) {
          const nb::object result = loss(part);
          if (result.is_none()) throw nb::type_error("loss returned None, expected a Tensor");
          return TensorKind::parse(result, "loss's result");
        }));
      },
      "parts"_a, "parameters"_a, "loss"_a,
      "Computes a batch in parts and leaves the whole batch's gradient in every parameter's grad, to the "
      "last bit "
      "(networks without BatchNorm). `loss(part)` returns the part's loss, already divided by the whole: the "
      "losses "
      "of this module are. Returns the joined loss. An exception leaves all grads untouched.");
}

}  // namespace

void bind_autograd(nb::module_& m, nb::class_<Tensor>& tensor) {
  bind_members(tensor);
  bind_mode<NoGrad>(m, "no_grad", "with no_grad(): ops on this thread record nothing.");
  bind_mode<EnableGrad>(m, "enable_grad",
                        "with enable_grad(): ops on this thread record again, inside a no_grad().");
  m.def("grad_enabled", &grad_enabled);
  m.def(
      "grad",
      [](TensorsArg outputs, TensorsArg inputs, nb::handle seeds, bool create_graph, bool keep_graph,
         bool allow_unused) {
        const auto out = outputs("outputs"), in = inputs("inputs");
        std::vector<Tensor> s;
        if (nb::isinstance<Tensor>(seeds)) {
          s.push_back(nb::cast<Tensor>(seeds));
        } else if (!seeds.is_none()) {
          for (const nb::handle seed : nb::borrow<nb::sequence>(seeds))
            s.push_back(TensorKind::parse(seed, "seeds"));
        }
        return to_list(unlocked([&] { return grad(out, in, s, {create_graph, keep_graph, allow_unused}); }));
      },
      "outputs"_a, "inputs"_a, "seeds"_a = nb::none(), "create_graph"_a = false, "keep_graph"_a = false,
      "allow_unused"_a = false,
      nb::sig("def grad(outputs: Tensor | collections.abc.Sequence[Tensor], inputs: Tensor | "
              "collections.abc.Sequence[Tensor], seeds: Tensor | collections.abc.Sequence[Tensor | None] | "
              "None = "
              "None, create_graph: bool = False, keep_graph: bool = False, allow_unused: bool = False) -> "
              "list[Tensor]"),
      "d(sum over outputs of <output, seed>)/d(inputs), one tensor for each input; touches no tensor's grad. "
      "A "
      "missing seed is 1 for an output with one element. create_graph records the backward pass, for higher "
      "derivatives; keep_graph keeps saved tensors for a further pass; with allow_unused inputs that the "
      "output does "
      "not depend on give None, not a ValueError.");
  bind_record(m);
  bind_parts(m);
}

}  // namespace isobit::python
