// The seam: what a device must be able to do. One pure virtual per kernel: raw views in, preallocated views
// out. No allocation of results, no autograd, no dtype promotion, no validation of a user's input inside:
// geometry and views come proven from core/ops. A device is one subclass and one call of register_backend; a
// forgotten kernel does not compile.
//
// Every kernel obeys docs/numerics.md: each output element is a pure function of the inputs, in the order of
// summation named here (chain, blocked chain, lanes, batch tree). Floating means f32, f64 (computed in their
// own type), f16 and bf16 (widened to f32, rounded once on the store). Outputs never overlap inputs unless a
// kernel says so. Any extent may be 0.
#pragma once
#include <isobit/device.h>
#include <isobit/dtype.h>
#include <isobit/random.h>
#include <isobit/shape.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/geometry.h"
#include "core/op_codes.h"

namespace isobit {

/// Dense elements for reading.
struct ConstView {
  const void* data = nullptr;
  DType dtype = DType::f32;
  std::int64_t numel = 0;
  template <class T>
  const T* as() const {
    return static_cast<const T*>(data);
  }
};
/// Dense elements for writing.
struct View {
  void* data = nullptr;
  DType dtype = DType::f32;
  std::int64_t numel = 0;
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
  operator ConstView() const { return {data, dtype, numel}; }
};

/// A parameter of an element-wise function or a fill: integers keep all 64 bits.
struct Scalar {
  double real = 0;
  std::int64_t integer = 0;
  bool is_integer = false;
  Scalar() = default;
  Scalar(double v) : real(v) {}
  Scalar(std::int64_t v) : real(static_cast<double>(v)), integer(v), is_integer(true) {}
};

/// A norm of each channel by numbers that are given, [channels] in the compute type, as norm_apply takes
/// them.
struct ChannelNorm {
  ConstView mean, variance;
  ConstView gamma, beta;  ///< null: none
  double eps = 0;
  bool wanted() const { return mean.data != nullptr; }
};

/// What follows a convolution's sum: + bias[k] (null: none; rounded), in registers; then the norm (none
/// unless wanted) of what is stored, then the activation of that.
struct Epilogue {
  ConstView bias;
  Activation activation = Activation::none;
  double slope = 0;  ///< of leaky_relu, rounded to the compute type
  ChannelNorm norm;
};

/// One parameter of an optimizer step; all four have param's dtype (f32 or f64) and size. Unused states are
/// null.
struct OptimizerSlot {
  View param;
  ConstView grad;
  View state1, state2;
};

/// Numbers of a step. c() below means: the f64 rounded to the parameter's type. state1 is the momentum or
/// first moment, state2 the second moment. g is the gradient.
///   sgd:     g' = weight_decay ? fma(c(weight_decay), w, g) : g;   without momentum: w = fma(-c(lr), g', w)
///            v = fma(c(momentum), v, g');  u = nesterov ? fma(c(momentum), v, g') : v;  w = fma(-c(lr), u,
///            w)
///   adam:    g' as above; m = fma(c(beta1), m, c(1 - beta1) * g'); v = fma(c(beta2), v, (c(1 - beta2) * g')
///   * g')
///            w = fma(-c(lr), (m / c(correction1)) / (sqrt(v / c(correction2)) + c(eps)), w)
///   adamw:   w = w * c(1 - lr * weight_decay) first (when weight_decay), then as adam with g' = g
///   rmsprop: g' as above; v = fma(c(beta2), v, (c(1 - beta2) * g') * g');  u = g' / (sqrt(v) + c(eps))
///            with momentum: m = fma(c(momentum), m, u), u = m;  w = fma(-c(lr), u, w)
/// correction_i = 1 - beta_i^step, by the optimizer, in f64.
struct OptimizerHyper {
  OptimizerKind kind = OptimizerKind::sgd;
  double lr = 0, momentum = 0, weight_decay = 0;
  bool nesterov = false;
  double beta1 = 0, beta2 = 0, eps = 0;
  double correction1 = 1, correction2 = 1;
};

/// Which stream a thread's work goes to: one of the caller's (a cudaStream_t; null is CUDA's default stream),
/// or the device's own.
struct StreamChoice {
  void* stream = nullptr;
  bool own = true;
};

/// Measures a stretch of this thread's work on a device, by the device's own clock where it has one.
class StretchTimer {
 public:
  virtual ~StretchTimer() = default;
  virtual void start() = 0;
  virtual void stop() = 0;
  /// Waits for the end of the stretch.
  virtual double seconds() = 0;
};

/// Work that a device recorded instead of doing it (a CUDA graph).
class WorkGraph {
 public:
  /// After the last run.
  virtual ~WorkGraph() = default;
  /// Gives all of it to this thread's stream, with live numbers (OptimizerHyper, GraphRecording::live_key)
  /// as they are now.
  virtual void run() = 0;
  virtual std::int64_t nodes() const = 0;
};

/// Records this thread's work on a device, from its making on. What cannot be part of a graph (upload,
/// download, synchronize) throws Error meanwhile. Destroyed without finish(): nothing was recorded.
class WorkRecorder {
 public:
  virtual ~WorkRecorder() = default;
  virtual std::unique_ptr<WorkGraph> finish() = 0;
  /// Between them this thread's work is done instead of recorded.
  virtual void pause() = 0;
  virtual void resume() = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;

  // ---- the device itself
  virtual std::string name() const = 0;  ///< "cpu", "cuda:0": also the name it is registered under
  virtual std::vector<DeviceProperty> properties() const = 0;
  /// What the time of a kernel depends on beside the problem: a plan's device (isobit/plan.h).
  virtual std::string timing_key() const { return name(); }
  /// True when the host may dereference this device's memory.
  virtual bool host_accessible() const = 0;
  /// Caching, 64-byte aligned, thread-safe; 0 bytes give a null pointer. Throws OutOfMemory after emptying
  /// the cache.
  virtual void* allocate(std::int64_t bytes) = 0;
  virtual void deallocate(void* data, std::int64_t bytes) noexcept = 0;
  virtual MemoryStats memory_stats() const = 0;
  virtual void reset_peak_memory() = 0;
  virtual void empty_cache() = 0;
  virtual void synchronize() = 0;
  /// Raw bytes; complete when the call returns (upload, download) or in the device's order (copy).
  virtual void upload(void* destination, const void* host, std::int64_t bytes) = 0;
  virtual void download(void* host, const void* source, std::int64_t bytes) = 0;
  virtual void copy(void* destination, const void* source, std::int64_t bytes) = 0;

  // ---- streams; what stands here (core/device.cpp) is right for a device that computes in the caller's
  // thread
  /// The stream that this thread's work goes to (a cudaStream_t), null where there are none.
  virtual void* stream();
  /// Puts another in its place, for this thread; what comes is ordered after what was. Returns the former
  /// choice. Throws Error where there are no streams.
  virtual StreamChoice choose_stream(StreamChoice choice);
  /// From here on this thread's work goes beside that of others, for one that prepares data: what it hands
  /// over must be complete (upload).
  virtual void work_aside();
  /// Host memory that upload and download move without staging; null where plain memory is as good.
  virtual void* allocate_host(std::int64_t bytes);
  virtual void deallocate_host(void* data) noexcept;
  virtual std::unique_ptr<StretchTimer> make_timer();
  /// Null from a device that computes in the caller's thread, where a graph saves nothing. Throws Error where
  /// one is recorded on this thread already.
  virtual std::unique_ptr<WorkRecorder> record_work();

  /// The algorithms of a kernel ("conv_forward"), in order of preference; the first that does not refuse
  /// runs.
  virtual std::vector<std::string> algorithms(std::string_view kernel) const = 0;
  /// From now on `kernel` runs `algorithm` or throws Error with its reason to refuse; "" gives the choice
  /// back.
  virtual void force_algorithm(std::string_view kernel, std::string_view algorithm) = 0;

  // ---- data movement
  virtual void fill(View out, Scalar value) = 0;
  virtual void cast(ConstView in, View out) = 0;  ///< any dtype to any (core/numerics/casts.h)
  /// out[i...] = in[offset[0] + sum i * stride[0]]: permute, expand, flip, strided slices.
  virtual void strided_copy(const StridedGeometry& g, ConstView in, View out) = 0;
  /// y[u...] = x at the elements that the coordinates read, or the value. Any dtype.
  virtual void pad(const PadGeometry& g, ConstView x, View y) = 0;
  /// The adjoint of pad: dx[e] = the dy[u] whose coordinates read e, u in row-major order, the first and then
  /// the others added to it one by one (not from +0: what only one u reads keeps its bits); +0 where none
  /// does. Any dtype where nothing folds, else floating.
  virtual void pad_backward(const PadGeometry& g, ConstView dy, View dx) = 0;
  /// out[i, :] = rows[index[i], :]; index is i64, every value in [0, row count), row_size elements a row. Any
  /// dtype.
  virtual void gather_rows(ConstView rows, ConstView index, std::int64_t row_size, View out) = 0;
  /// out (row_count rows, overwritten) = sums of the rows of dy whose index names the row: chain in ascending
  /// position, starting from +0. Floating.
  virtual void scatter_add_rows(ConstView dy, ConstView index, std::int64_t row_count, std::int64_t row_size,
                                View out) = 0;
  /// out[i] = start + i * step: f64 arithmetic (one multiply, one add), rounded or converted once. Any dtype
  /// but bool.
  virtual void arange(double start, double step, View out) = 0;
  /// out[i, j] = label[i] == j ? on : off; label i64.
  virtual void one_hot(ConstView label, std::int64_t classes, double on, double off, View out) = 0;

  // ---- element-wise (may run in place: out may be exactly x or a where sizes and dtypes agree)
  virtual void unary(UnaryOp op, Scalar a, ConstView x, View out) = 0;
  /// g reads operand 0 and 1.
  virtual void binary(BinaryOp op, Scalar parameter, const StridedGeometry& g, ConstView a, ConstView b,
                      View out) = 0;
  /// out = condition ? a : b, operands 0 (bool), 1, 2 of g. Any dtype.
  virtual void select(const StridedGeometry& g, ConstView condition, ConstView a, ConstView b, View out) = 0;

  // ---- reductions (order: ReduceGeometry). sum: floating, i32, i64 (wraps). An empty sum is +0.
  virtual void reduce_sum(const ReduceGeometry& g, ConstView x, View out) = 0;
  /// max or min with NaN winning and the first of equals; index (i64, may be null) receives the row-major
  /// position within the reduced axes. Nothing reduced may be empty. All numeric dtypes.
  virtual void reduce_extreme(ReduceOp op, const ReduceGeometry& g, ConstView x, View out, View index) = 0;

  // ---- matrices and convolutions (floating)
  virtual void matmul(const MatmulGeometry& g, ConstView a, ConstView b,
                      View c) = 0;  ///< blocked chain over k
  /// y[n,p,q,k]: blocked chain over (t, r, s, c). A coordinate outside of x reads what its axis' mode says
  /// (core/numerics/pad_index.h): an element of x or, where any axis' mode is constant, pad_value.
  virtual void conv_forward(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                            View y) = 0;
  /// dx[n,h,w,c]: blocked chain over (t, r, s, k), nominal taps of the element's stride phase; dy outside
  /// counts as +0. Where an axis folds: pad_backward of that gradient of the padded x, whose elements are
  /// rounded to their dtype. pad_value counts for nothing.
  virtual void conv_backward_input(const ConvGeometry& g, ConstView dy, ConstView w, View dx) = 0;
  /// dw[t,r,s,c,k]: batch tree over samples, leaf_samples(positions) a leaf; in a leaf a blocked chain over
  /// (n, o, p, q). Coordinates outside read as in conv_forward.
  virtual void conv_backward_filter(const ConvGeometry& g, ConstView x, ConstView dy, View dw) = 0;
  /// columns[n,o,p,q,t,r,s,c] = what the tap of that output reads: an element of x or pad_value. (k and
  /// groups of g count for nothing.) Any dtype.
  virtual void unfold(const ConvGeometry& g, ConstView x, View columns) = 0;
  /// The adjoint of unfold where no axis folds: dx[n,h,w,c] = chain from +0 of columns over the taps (t, r,
  /// s) that read the element, ascending.
  virtual void fold(const ConvGeometry& g, ConstView columns, View dx) = 0;

  // ---- pooling (floating; f16 and bf16 average in f32)
  /// index[n,o,p,q,c] (i64) = position (d * H + h) * W + w in the sample of the maximum: NaN wins, then the
  /// first in window order; padded taps never count, every window has at least one real tap.
  virtual void max_pool(const PoolGeometry& g, ConstView x, View y, View index) = 0;
  /// dx[e] = chain from +0 of dy[o] over the outputs o whose index is e, in row-major order of o.
  virtual void max_pool_backward(const PoolGeometry& g, ConstView dy, ConstView index, View dx) = 0;
  /// y[o] = x[index[o]]: the adjoint of max_pool_backward.
  virtual void max_pool_gather(const PoolGeometry& g, ConstView x, ConstView index, View y) = 0;
  /// Chain over the real taps in window order from +0, divided by the count (count_include_pad: of the window
  /// clipped to the padded input; sum: not divided).
  virtual void avg_pool(const PoolGeometry& g, ConstView x, View y) = 0;
  /// dx[e] = chain from +0 of dy[o] / count(o) over the windows o that hold e, in row-major order of o.
  virtual void avg_pool_backward(const PoolGeometry& g, ConstView dy, View dx) = 0;

  // ---- interpolation (floating)
  /// y[a,j,b] = over the entries e of row j, start[j] <= e < start[j + 1], in order: weight[e] *
  /// x[a,column[e],b] (rounded) for the first, then chain acc = fma(weight[e], x[a,column[e],b], acc); +0
  /// without entries. start (out + 1) and column are i64, columns in [0, in); weight is of the compute type.
  virtual void resample(const ResampleGeometry& g, ConstView x, ConstView start, ConstView column,
                        ConstView weight, View y) = 0;

  // ---- rows of the last axis (floating): x is [rows, columns], columns >= 1 unless rows == 0
  /// m = max; e_j = exp(x_j - m); s = lanes sum of e; y_j = e_j / s.
  virtual void softmax(std::int64_t columns, ConstView x, View y) = 0;
  /// m, s as above; y_j = (x_j - m) - log(s).
  virtual void log_softmax(std::int64_t columns, ConstView x, View y) = 0;
  /// t = lanes, each lane's chain acc = fma(dy_j, y_j, acc) from +0; dx_j = (dy_j - t) * y_j.
  virtual void softmax_backward(std::int64_t columns, ConstView dy, ConstView y, View dx) = 0;
  /// t = lanes sum of dy; dx_j = fma(-exp(y_j), t, dy_j).
  virtual void log_softmax_backward(std::int64_t columns, ConstView dy, ConstView y, View dx) = 0;

  // ---- norms (floating x; statistics, gamma and beta in the compute type: f64 for f64, else f32; gamma,
  // beta may be null)
  /// mean = sum(x) / count; variance = sum((x - mean) * (x - mean)) / count (square rounded, then added;
  /// biased), both sums in the order of NormGeometry.
  virtual void norm_statistics(const NormGeometry& g, ConstView x, View mean, View variance) = 0;
  /// rstd = 1 / sqrt(variance + c(eps)); h = (x - mean) * rstd. y = fma(h, gamma, beta); with gamma alone h *
  /// gamma; with beta alone h + beta; with neither h.
  virtual void norm_apply(const NormGeometry& g, double eps, ConstView x, ConstView mean, ConstView variance,
                          ConstView gamma, ConstView beta, View y) = 0;
  /// e = gamma ? dy * gamma : dy; s1 = sum e; s2 = sum e * h (product rounded), both in the order of
  /// NormGeometry; dx = rstd * ((e - s1 / count) - h * (s2 / count)), the last two as fma(-h, s2 / count, e -
  /// s1 / count).
  virtual void norm_backward(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                             ConstView variance, ConstView gamma, View dx) = 0;
  /// dgamma[channel] = sum over (a, b) of dy * h (product rounded), dbeta = sum of dy; batch tree over a with
  /// leaf_samples(b), blocked chain over (a, b) in a leaf. Either output may be null.
  virtual void norm_backward_affine(const NormGeometry& g, double eps, ConstView dy, ConstView x,
                                    ConstView mean, ConstView variance, View dgamma, View dbeta) = 0;

  // ---- windows of channels (floating): x is [rows, c]. c() means: the f64 rounded to the compute type
  /// q = chain from +0 of fma(x_j, x_j, acc) over the channels j of e's window, ascending; d_e =
  /// fma(c(scale), q, c(bias)); s_e = exp(c(-beta) * log(d_e)); y_e = x_e * s_e.
  virtual void local_response_norm(const LocalResponseGeometry& g, ConstView x, View y) = 0;
  /// d, s as above; u_e = dy_e * ((x_e * s_e) / d_e); t = chain from +0 of acc + u_j over the channels j
  /// whose windows hold e, ascending; dx_e = fma(c(scale * (-2 * beta)) * x_e, t, dy_e * s_e).
  virtual void local_response_norm_backward(const LocalResponseGeometry& g, ConstView dy, ConstView x,
                                            View dx) = 0;

  // ---- random numbers (element i at counter first + i; core/numerics/philox.h)
  /// fma(u_i, c(high) - c(low), c(low)), where a result that rounds up to c(high) becomes c(low).
  virtual void random_uniform(RandomKey key, std::uint64_t first, double low, double high, View out) = 0;
  /// fma(z_i, c(deviation), c(mean)), z_i by Box and Muller.
  virtual void random_normal(RandomKey key, std::uint64_t first, double mean, double deviation, View out) = 0;
  /// out_i = u_i < p ? +0 : x_i * c(1 / (1 - p)), u_i the f32 uniform of counter first + i. Its own adjoint.
  /// In place allowed.
  virtual void dropout(RandomKey key, std::uint64_t first, double p, ConstView x, View out) = 0;

  // ---- optimizers: all parameters of a group in one call; formulas at OptimizerHyper
  /// While work is recorded, hyper is read again before each run of the graph, and must live as long.
  virtual void optimizer_step(const OptimizerHyper& hyper, std::span<const OptimizerSlot> slots) = 0;
};

/// Adds a device under backend->name(); throws Error when the name is taken or 255 devices exist.
Device register_backend(std::unique_ptr<Backend> backend);
/// Says why the devices "name", "name:0", ... are not there; for Device::parse's error and missing_devices().
void report_missing_device(std::string name, std::string reason);
/// The backend behind a device handle.
Backend& backend(Device device);

}  // namespace isobit
