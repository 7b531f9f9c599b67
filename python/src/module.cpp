// The module isobit._core: errors, and the families in order.
#include "module.h"

#include <isobit/device_error.h>
#include <isobit/error.h>

namespace isobit::python {
namespace {

/// The library's errors under Python's names, with the same text.
void translate(const std::exception_ptr& p, void*) {
  try {
    std::rethrow_exception(p);
  } catch (const OutOfMemory& error) {
    PyErr_SetString(PyExc_MemoryError, error.what());
  } catch (const DeviceError& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  } catch (const Error& error) {
    PyErr_SetString(PyExc_ValueError, error.what());
  }
}

}  // namespace
}  // namespace isobit::python

NB_MODULE(_core, m) {
  using namespace isobit::python;
  m.doc() = "isobit's C++ library; import isobit, which gives its names.";
  nb::register_exception_translator(translate);
  nb::set_leak_warnings(
      false);  // what a hook or an op of the user's own holds may live until the process ends
  bind_device(m);
  bind_math(m);
  bind_plans(m);
  bind_tensor(m);
  bind_conv(m);
  bind_image(m);
  bind_descriptions(m);
  bind_nn(m);
  bind_graphed(m);
  bind_layers(m);
  bind_data(m);
  bind_io(m);
  bind_optim(m);
  bind_train(m);
  bind_compare(m);
  bind_saved(m);
}
