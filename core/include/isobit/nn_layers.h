// The layers. All take and give channels last: images [n, h, w, c], features [n, c]. Input channels are
// inferred when the network is built. Errors of wrong options come from the constructor, those of shapes from
// build().
#pragma once
#include <isobit/nn_module.h>
#include <isobit/ops.h>

#include <optional>

namespace isobit::nn {

struct InputOptions {
  double mean = 0, deviation = 1;  ///< the layer gives (x - mean) / deviation; {0, 255} brings u8 to [0, 1]
};
/// The raw pixel values: takes u8 (0..255) or floating samples of exactly this shape and gives the network's
/// dtype. Throws Error naming both shapes when the data differs.
class Input : public Layer {
 public:
  explicit Input(const Shape& sample, InputOptions options = {});
};

/// Of Conv1D, Conv2D and Conv3D: what ConvOptions (isobit/ops.h) has, and how the parameters begin.
struct ConvLayerOptions {
  PerAxis stride = 1;
  Padding padding = {};
  PerAxis dilation = 1;
  std::int64_t groups = 1;
  bool bias = true;
  Activate activation = Activate::none;  ///< applied after the bias; the bits of its layer afterwards
  double slope = 0.01;                   ///< of leaky_relu
  PadModes mode = PadMode::constant;     ///< what the padding holds, inside the convolution (docs/border.md)
  double pad_value = 0;                  ///< where an axis' mode is constant
  bool flip = false;                     ///< true convolution: the filters reversed on their spatial axes
  Init init = {};                        ///< of weight; kaiming_uniform() unless given
  Init bias_init = {};                   ///< zeros() unless given
};
/// `filters` filters over a window of `kernel` on every spatial axis or {(depth,) (rows,) columns}: conv.
/// Fans are taps * c / groups and taps * filters / groups. Throws Error that names the layer and the option;
/// at build when the samples have other axes, the channels do not divide into the groups, or the filter
/// exceeds the padded input. The summary names every option that is not the default, but for the
/// initialisers: "Conv2D(8, 3x3, same, reflect, stride 2)".
///
/// Sequences: [n, w, c] to [n, q, filters]. Parameters weight [s, c / groups, filters], bias [filters].
class Conv1D : public Layer {
 public:
  Conv1D(std::int64_t filters, PerAxis kernel, ConvLayerOptions options = {});
};
/// Images: [n, h, w, c] to [n, p, q, filters]. Parameters weight [r, s, c / groups, filters], bias [filters].
class Conv2D : public Layer {
 public:
  Conv2D(std::int64_t filters, PerAxis kernel, ConvLayerOptions options = {});
};
/// Volumes: [n, d, h, w, c] to [n, o, p, q, filters]. Parameters weight [t, r, s, c / groups, filters], bias
/// [filters].
class Conv3D : public Layer {
 public:
  Conv3D(std::int64_t filters, PerAxis kernel, ConvLayerOptions options = {});
};

/// Of ConvTranspose1D, ConvTranspose2D and ConvTranspose3D: what ConvTransposeOptions (isobit/ops.h) has.
struct ConvTransposeLayerOptions {
  PerAxis stride = 1;
  Padding padding = {};  ///< of the convolution whose gradient this is: it makes the output smaller
  PerAxis dilation = 1;
  std::int64_t groups = 1;
  bool bias = true;
  Activate activation = Activate::none;
  double slope = 0.01;  ///< of leaky_relu
  PadModes mode = PadMode::constant;
  bool flip = false;
  PerAxis output_padding = 0;                ///< rows added behind, below the stride
  std::optional<PerAxis> output_shape = {};  ///< the spatial extents of the output themselves
  Init init = {};                            ///< of weight; kaiming_uniform() unless given
  Init bias_init = {};                       ///< zeros() unless given
};
/// The gradient of a convolution from `filters` to c channels, as a layer that enlarges: conv_transpose.
/// {.stride = 2, .padding = Same} doubles every spatial axis. Fans are taps * c / groups and taps * filters /
/// groups: as those of a convolution, whatever the stride. Errors and summary as Conv2D's; also at build
/// where no convolution maps an output_shape to the samples.
///
/// Sequences: [n, w, c] to [n, q, filters]. Parameters weight [s, filters / groups, c], bias [filters].
class ConvTranspose1D : public Layer {
 public:
  ConvTranspose1D(std::int64_t filters, PerAxis kernel, ConvTransposeLayerOptions options = {});
};
/// Images: [n, h, w, c] to [n, p, q, filters]. Parameters weight [r, s, filters / groups, c], bias [filters].
class ConvTranspose2D : public Layer {
 public:
  ConvTranspose2D(std::int64_t filters, PerAxis kernel, ConvTransposeLayerOptions options = {});
};
/// Volumes: [n, d, h, w, c] to [n, o, p, q, filters]. Parameters weight [t, r, s, filters / groups, c], bias
/// [filters].
class ConvTranspose3D : public Layer {
 public:
  ConvTranspose3D(std::int64_t filters, PerAxis kernel, ConvTransposeLayerOptions options = {});
};

struct LinearOptions {
  bool bias = true;
  Init init = {}, bias_init = {};
};
/// x W + b over the last axis: [n, ..., c] to [n, ..., outputs]. Parameters weight [c, outputs], bias
/// [outputs].
class Linear : public Layer {
 public:
  explicit Linear(std::int64_t outputs, LinearOptions options = {});
};

/// Windows of max_pool, avg_pool and lp_pool (isobit/ops_pool.h) over one to three spatial axes; the stride
/// is the window unless given.
class MaxPool : public Layer {
 public:
  explicit MaxPool(PerAxis window, const PoolOptions& options = {});
};
class AvgPool : public Layer {
 public:
  explicit AvgPool(PerAxis window, const PoolOptions& options = {});
};
class LpPool : public Layer {
 public:
  explicit LpPool(PerAxis window, double p, const PoolOptions& options = {});
};
/// The same for images [n, h, w, c] alone.
class MaxPool2D : public Layer {
 public:
  explicit MaxPool2D(PerAxis window, const PoolOptions& options = {});
};
class AvgPool2D : public Layer {
 public:
  explicit AvgPool2D(PerAxis window, const PoolOptions& options = {});
};
/// `output` windows on each spatial axis, whatever its extent: adaptive_max_pool, adaptive_avg_pool.
class AdaptiveMaxPool : public Layer {
 public:
  explicit AdaptiveMaxPool(PerAxis output);
};
class AdaptiveAvgPool : public Layer {
 public:
  explicit AdaptiveAvgPool(PerAxis output);
};
/// Mean, maximum or p-norm over all positions: [n, ..., c] to [n, c].
class GlobalAvgPool : public Layer {
 public:
  GlobalAvgPool();
};
class GlobalMaxPool : public Layer {
 public:
  GlobalMaxPool();
};
class GlobalLpPool : public Layer {
 public:
  explicit GlobalLpPool(double p = 2);
};

/// Each spatial axis `factor` times as long (upsample in isobit/ops_image.h): [n, (d,) (h,) w, c].
class Upsample : public Layer {
 public:
  explicit Upsample(PerAxis factor, Interpolation mode = Interpolation::nearest, bool align_corners = false);
};
struct PadOptions {
  PadModes mode = PadMode::constant;  ///< what the padding holds (docs/border.md)
  double value = 0;                   ///< where an axis' mode is constant
};
/// Each spatial axis of [n, (d,) (h,) w, c] with `widths` more on its sides: a width for all, or {before,
/// after} for all or for each axis, negative crops (pad in isobit/ops.h). A convolution pads by itself: this
/// is for what stands before other layers. Throws Error for a rule (Same, ...), which needs a filter, and at
/// build when the samples have another number of axes or fewer elements than are cropped.
class Pad : public Layer {
 public:
  explicit Pad(Padding widths, PadOptions options = {});
};
/// Blocks of channels become positions: [n, h, w, c] to [n, h * b, w * b, c / (b * b)] (depth_to_space).
class DepthToSpace : public Layer {
 public:
  explicit DepthToSpace(PerAxis block, ChannelOrder order = ChannelOrder::dcr);
};
/// The same with the channels in PyTorch's order (crd).
class PixelShuffle : public Layer {
 public:
  explicit PixelShuffle(PerAxis block);
};

struct BatchNormOptions {
  double eps = 1e-5;
  double momentum = 0.1;  ///< share of the new batch in the running statistics
  bool affine = true;     ///< with gamma (ones) and beta (zeros)
};
/// Normalises each channel over the batch and all positions. Training: by the batch's own mean and (biased)
/// variance, and records running = running * (1 - momentum) + batch * momentum, each operation rounded on its
/// own in f32 (f64 in an f64 network); evaluation: by the running statistics. A batch that is computed in
/// parts is normalised part by part: a batch in parts does not give the bits of the whole here.
/// Parameters gamma, beta [c]; buffers running_mean (zeros), running_variance (ones) [c].
class BatchNorm : public Layer {
 public:
  explicit BatchNorm(BatchNormOptions options = {});
};
struct LayerNormOptions {
  double eps = 1e-5;
  bool affine = true;
};
/// Normalises over the last axis. Parameters gamma, beta [c].
class LayerNorm : public Layer {
 public:
  explicit LayerNorm(LayerNormOptions options = {});
};
/// Normalises each sample's groups of channels. Parameters gamma, beta [c].
class GroupNorm : public Layer {
 public:
  explicit GroupNorm(std::int64_t groups, LayerNormOptions options = {});
};
/// Normalises each channel of each sample over its positions: a GroupNorm with as many groups as channels.
/// Parameters gamma, beta [c].
class InstanceNorm : public Layer {
 public:
  explicit InstanceNorm(LayerNormOptions options = {});
};
/// Divides each channel by a power of what it and its neighbours measure: local_response_norm, as in AlexNet,
/// LocalResponseNorm(5, {.alpha = 5e-4, .bias = 2}) there. No parameters.
class LocalResponseNorm : public Layer {
 public:
  explicit LocalResponseNorm(std::int64_t size, LocalResponseOptions options = {});
};

class ReLU : public Layer {
 public:
  ReLU();
};
class LeakyReLU : public Layer {
 public:
  explicit LeakyReLU(double slope = 0.01);
};
class ELU : public Layer {
 public:
  explicit ELU(double alpha = 1);
};
class GELU : public Layer {
 public:
  GELU();
};
class SiLU : public Layer {
 public:
  SiLU();
};
class Sigmoid : public Layer {
 public:
  Sigmoid();
};
class Tanh : public Layer {
 public:
  Tanh();
};
class Softplus : public Layer {
 public:
  Softplus();
};
/// Over the last axis.
class Softmax : public Layer {
 public:
  Softmax();
};
class LogSoftmax : public Layer {
 public:
  LogSoftmax();
};

/// In training each element is 0 with probability p in [0, 1), else x / (1 - p); keyed by (seed, module path,
/// training step, index in the whole batch). One Dropout that stands at two places draws the same numbers at
/// both. In evaluation the identity.
class Dropout : public Layer {
 public:
  explicit Dropout(double p);
};
/// [n, ...] to [n, product].
class Flatten : public Layer {
 public:
  Flatten();
};
/// Any function of a tensor as a layer without parameters, e.g. Lambda("Square", [](const Tensor& x) {
/// return square(x); }). Shapes are found by running it on one sample of zeros.
class Lambda : public Layer {
 public:
  Lambda(std::string name, std::function<Tensor(const Tensor&)> function);
};

/// One layer after another. Copies share the layers. Children are named "0", "1", ... or as given to add.
class Sequential : public Layer {
 public:
  Sequential();
  Sequential(std::initializer_list<Layer> layers);
  explicit Sequential(const std::vector<Layer>& layers);
  Sequential& add(Layer layer);
  Sequential& add(std::string name, Layer layer);
  std::size_t size() const;
  Layer operator[](std::size_t i) const;
  auto begin() const { return module().children().begin(); }
  auto end() const { return module().children().end(); }
};

/// y = body(x) + shortcut(x), the shortcut being the identity or `projection`. Throws Error at build when the
/// two shapes differ, naming both and what to do. Children "body" and "projection".
class Residual : public Layer {
 public:
  explicit Residual(Layer body, Layer projection = {});
};

/// The outputs of the branches, all on the same x, one after the other along the channels (the last axis), in
/// the order of adding. Sequential{} is the branch that gives x itself. Throws Error at build where extents
/// other than the channels differ. Children are named "0", "1", ... or as given to add.
class Concat : public Layer {
 public:
  Concat();
  Concat(std::initializer_list<Layer> branches);
  explicit Concat(const std::vector<Layer>& branches);
  Concat& add(Layer branch);
  Concat& add(std::string name, Layer branch);
};

}  // namespace isobit::nn
