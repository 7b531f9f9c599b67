// The library's layers: what the classes of isobit.nn are made by. They name the arguments, give the defaults
// and keep what they were made with (python/isobit/nn).
#include <isobit/nn_layers.h>

#include "layer.h"
#include "module.h"

namespace isobit::python {
namespace {

template <class One, class Two, class Three, class... Args>
nn::Layer by_rank(int spatial, Args&&... args) {
  if (spatial == 1) return One(std::forward<Args>(args)...);
  if (spatial == 2) return Two(std::forward<Args>(args)...);
  return Three(std::forward<Args>(args)...);
}

void bind_filters(nb::module_& m) {
  m.def(
      "conv",
      [](int spatial, IntArg filters, PerAxisArg kernel, PerAxisArg stride, PaddingArg padding,
         PerAxisArg dilation, IntArg groups, bool bias, ActivateArg activation, double slope,
         PadModesArg mode, double pad_value, bool flip, InitArg init, InitArg bias_init) {
        const nn::ConvLayerOptions o{stride("stride"),
                                     padding("padding"),
                                     dilation("dilation"),
                                     groups("groups"),
                                     bias,
                                     activation("activation"),
                                     slope,
                                     mode("mode"),
                                     pad_value,
                                     flip,
                                     init("init"),
                                     bias_init("bias_init")};
        return by_rank<nn::Conv1D, nn::Conv2D, nn::Conv3D>(spatial, filters("filters"), kernel("kernel"), o);
      },
      "spatial"_a, "filters"_a, "kernel"_a, "stride"_a, "padding"_a, "dilation"_a, "groups"_a, "bias"_a,
      "activation"_a.none(), "slope"_a, "mode"_a, "pad_value"_a, "flip"_a, "init"_a.none(),
      "bias_init"_a.none());
  m.def(
      "conv_transpose",
      [](int spatial, IntArg filters, PerAxisArg kernel, PerAxisArg stride, PaddingArg padding,
         PerAxisArg dilation, IntArg groups, bool bias, ActivateArg activation, double slope,
         PadModesArg mode, bool flip, PerAxisArg output_padding, OptionalPerAxisArg output_shape,
         InitArg init, InitArg bias_init) {
        const nn::ConvTransposeLayerOptions o{stride("stride"),
                                              padding("padding"),
                                              dilation("dilation"),
                                              groups("groups"),
                                              bias,
                                              activation("activation"),
                                              slope,
                                              mode("mode"),
                                              flip,
                                              output_padding("output_padding"),
                                              output_shape("output_shape"),
                                              init("init"),
                                              bias_init("bias_init")};
        return by_rank<nn::ConvTranspose1D, nn::ConvTranspose2D, nn::ConvTranspose3D>(
            spatial, filters("filters"), kernel("kernel"), o);
      },
      "spatial"_a, "filters"_a, "kernel"_a, "stride"_a, "padding"_a, "dilation"_a, "groups"_a, "bias"_a,
      "activation"_a.none(), "slope"_a, "mode"_a, "flip"_a, "output_padding"_a, "output_shape"_a.none(),
      "init"_a.none(), "bias_init"_a.none());
  m.def(
      "linear",
      [](IntArg outputs, bool bias, InitArg init, InitArg bias_init) -> nn::Layer {
        return nn::Linear(outputs("outputs"), {bias, init("init"), bias_init("bias_init")});
      },
      "outputs"_a, "bias"_a, "init"_a.none(), "bias_init"_a.none());
}

template <class Pool>
void pool(nb::module_& m, const char* name) {
  m.def(
      name,
      [](PerAxisArg window, OptionalPerAxisArg stride, PaddingArg padding, PerAxisArg dilation,
         bool ceil_mode, bool count_include_pad) -> nn::Layer {
        return Pool(window("window"), PoolOptions{stride("stride"), padding("padding"), dilation("dilation"),
                                                  ceil_mode, count_include_pad});
      },
      "window"_a, "stride"_a.none(), "padding"_a, "dilation"_a, "ceil_mode"_a, "count_include_pad"_a);
}

void bind_pools(nb::module_& m) {
  pool<nn::MaxPool>(m, "max_pool");
  pool<nn::AvgPool>(m, "avg_pool");
  pool<nn::MaxPool2D>(m, "max_pool_2d");
  pool<nn::AvgPool2D>(m, "avg_pool_2d");
  m.def(
      "lp_pool",
      [](PerAxisArg window, double p, OptionalPerAxisArg stride, PaddingArg padding, PerAxisArg dilation,
         bool ceil_mode) -> nn::Layer {
        return nn::LpPool(
            window("window"), p,
            PoolOptions{stride("stride"), padding("padding"), dilation("dilation"), ceil_mode, false});
      },
      "window"_a, "p"_a, "stride"_a.none(), "padding"_a, "dilation"_a, "ceil_mode"_a);
  m.def("adaptive_max_pool",
        [](PerAxisArg output) -> nn::Layer { return nn::AdaptiveMaxPool(output("output")); });
  m.def("adaptive_avg_pool",
        [](PerAxisArg output) -> nn::Layer { return nn::AdaptiveAvgPool(output("output")); });
  m.def("global_avg_pool", []() -> nn::Layer { return nn::GlobalAvgPool(); });
  m.def("global_max_pool", []() -> nn::Layer { return nn::GlobalMaxPool(); });
  m.def("global_lp_pool", [](double p) -> nn::Layer { return nn::GlobalLpPool(p); });
}

void bind_images(nb::module_& m) {
  m.def("upsample", [](PerAxisArg factor, nb::str mode, bool align_corners) -> nn::Layer {
    return nn::Upsample(factor("factor"),
                        static_cast<Interpolation>(to_choice(mode, "mode", {"nearest", "linear"})),
                        align_corners);
  });
  m.def("pad", [](PaddingArg widths, PadModesArg mode, double value) -> nn::Layer {
    return nn::Pad(widths("widths"), {mode("mode"), value});
  });
  m.def("depth_to_space", [](PerAxisArg block, nb::str order) -> nn::Layer {
    return nn::DepthToSpace(block("block"),
                            static_cast<ChannelOrder>(to_choice(order, "order", {"dcr", "crd"})));
  });
  m.def("pixel_shuffle", [](PerAxisArg block) -> nn::Layer { return nn::PixelShuffle(block("block")); });
}

void bind_norms(nb::module_& m) {
  m.def("batch_norm", [](double eps, double momentum, bool affine) -> nn::Layer {
    return nn::BatchNorm({eps, momentum, affine});
  });
  m.def("layer_norm", [](double eps, bool affine) -> nn::Layer { return nn::LayerNorm({eps, affine}); });
  m.def("group_norm", [](IntArg groups, double eps, bool affine) -> nn::Layer {
    return nn::GroupNorm(groups("groups"), {eps, affine});
  });
  m.def("instance_norm", [](double eps, bool affine) -> nn::Layer {
    return nn::InstanceNorm({eps, affine});
  });
  m.def("local_response_norm", [](IntArg size, double alpha, double beta, double bias) -> nn::Layer {
    return nn::LocalResponseNorm(size("size"), {alpha, beta, bias});
  });
}

void bind_activations(nb::module_& m) {
  m.def("relu", []() -> nn::Layer { return nn::ReLU(); });
  m.def("leaky_relu", [](double slope) -> nn::Layer { return nn::LeakyReLU(slope); });
  m.def("elu", [](double alpha) -> nn::Layer { return nn::ELU(alpha); });
  m.def("gelu", []() -> nn::Layer { return nn::GELU(); });
  m.def("silu", []() -> nn::Layer { return nn::SiLU(); });
  m.def("sigmoid", []() -> nn::Layer { return nn::Sigmoid(); });
  m.def("tanh", []() -> nn::Layer { return nn::Tanh(); });
  m.def("softplus", []() -> nn::Layer { return nn::Softplus(); });
  m.def("softmax", []() -> nn::Layer { return nn::Softmax(); });
  m.def("log_softmax", []() -> nn::Layer { return nn::LogSoftmax(); });
}

/// A handle of the class that can add, to the same module.
void add_to(const nn::Layer& net, std::string name, LayerArg layer) {
  if (net.module().kind() == "Concat") {
    nn::Concat handle;
    static_cast<nn::Layer&>(handle) = net;
    handle.add(std::move(name), layer("layer"));
  } else {
    nn::Sequential handle;
    static_cast<nn::Layer&>(handle) = net;
    handle.add(std::move(name), layer("layer"));
  }
}

void bind_others(nb::module_& m) {
  m.def("input", [](ShapeArg sample, double mean, double deviation) -> nn::Layer {
    return nn::Input(sample("sample"), {mean, deviation});
  });
  m.def("dropout", [](double p) -> nn::Layer { return nn::Dropout(p); });
  m.def("flatten", []() -> nn::Layer { return nn::Flatten(); });
  m.def("sequential", []() -> nn::Layer { return nn::Sequential(); });
  m.def("concat", []() -> nn::Layer { return nn::Concat(); });
  m.def(
      "residual",
      [](LayerArg body, nb::handle projection) -> nn::Layer {
        return nn::Residual(body("body"),
                            projection.is_none() ? nn::Layer() : kept_layer(projection, "projection"));
      },
      "body"_a, "projection"_a.none());
}

}  // namespace

void bind_layers(nb::module_& m) {
  nb::module_ layers = m.def_submodule("layers", "What the classes of isobit.nn are made by.");
  bind_filters(layers);
  bind_pools(layers);
  bind_images(layers);
  bind_norms(layers);
  bind_activations(layers);
  bind_others(layers);
  layers.def("add", &add_to, "net"_a, "name"_a, "layer"_a);
}

}  // namespace isobit::python
