// One function for each family: it puts the family's names into the module.
#pragma once
#include "arguments.h"

namespace isobit::python {

void bind_device(nb::module_& m);
void bind_math(nb::module_& m);
void bind_plans(nb::module_& m);
void bind_tensor(nb::module_& m);
/// Python's buffer protocol for Tensor: NumPy and memoryview read and write the elements where they lie.
const PyType_Slot* buffer_slots();
void bind_exchange(nb::module_& m, nb::class_<Tensor>& tensor);
void bind_elementwise(nb::module_& m, nb::class_<Tensor>& tensor);
void bind_shapes(nb::module_& m, nb::class_<Tensor>& tensor);
void bind_rows(nb::module_& m, nb::class_<Tensor>& tensor);
void bind_conv(nb::module_& m);
void bind_image(nb::module_& m);
void bind_autograd(nb::module_& m, nb::class_<Tensor>& tensor);
void bind_descriptions(nb::module_& m);
void bind_nn(nb::module_& m);
void bind_graphed(nb::module_& m);
void bind_saved(nb::module_& m);
void bind_layers(nb::module_& m);
void bind_optim(nb::module_& m);
void bind_data(nb::module_& m);
void bind_io(nb::module_& m);
void bind_train(nb::module_& m);
void bind_compare(nb::module_& m);

}  // namespace isobit::python
