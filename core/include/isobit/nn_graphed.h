// Graphs of a step: a training or inference step is recorded once as a graph of its launches and then
// replayed, so that a small network is not bound by the time that its launches take the host.
//
//   nn::Graphed step(Device::cuda(), [&](const std::vector<Tensor>& in) {
//     const Tensor loss = cross_entropy(net(in[0]), in[1]);
//     loss.backward();
//     sgd.step();
//     return std::vector{loss};
//   });
//   for (const auto& [images, labels] : batches) step({images, labels});
//
// A replay gives the bits of the step that it stands for. It runs none of the step's host code, so a step may
// not depend on more than its inputs, tensors that are there, and what isobit itself advances: the counters
// and rates of optimizers (set_lr and set_lr_factor between the calls take effect), the draws of
// nn::Dropout, running statistics. Numbers of the caller's own that the step passes to ops are those of the
// recording for ever.
#pragma once
#include <isobit/tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace isobit::nn {

class Graphed {
 public:
  /// Tensors to tensors, all on one device.
  using Step = std::function<std::vector<Tensor>(const std::vector<Tensor>& inputs)>;

  /// Records nothing yet. Throws Error for an empty function.
  Graphed(Device device, Step step);
  ~Graphed();
  Graphed(Graphed&&) noexcept;
  Graphed& operator=(Graphed&&) noexcept;

  /// The step's results, without history, in memory of their own. For each list of shapes and dtypes (and
  /// each arithmetic, and with gradients and without) the first call runs the step as it is, the second
  /// records it, all further ones replay; after kGraphs such lists others run as they are. There is nothing
  /// to record, and every call runs the step, on a device that computes in the caller's thread (the CPU), and
  /// inside of a step that another Graphed records.
  ///
  /// Throws Error, besides what the step throws, for an input that is undefined, on another device or wants a
  /// gradient, and inside of a PartScope; while recording, when the step does what a graph cannot: copies to
  /// or from the host (item()), uses indices that it computes itself, draws random numbers by keys of its
  /// own, leaves gradients, gives up tensors of before it; and at a replay when such a tensor was given up
  /// since, a layer has changed its mode or arithmetic, or an optimizer its frozen parameters: then nothing
  /// has changed. A step that fails while it is recorded has done what it did until then, as it would have
  /// without a graph.
  ///
  /// While a step is recorded other threads may use the device, but not wait for all of it (synchronize()):
  /// CUDA gives both an error then.
  std::vector<Tensor> operator()(const std::vector<Tensor>& inputs);

  static constexpr int kGraphs = 16;
  /// Graphs there are, launches and copies in them, and calls so far that replayed one.
  std::int64_t graphs() const;
  std::int64_t nodes() const;
  std::int64_t replays() const;
  /// Records anew from the next calls on.
  void forget();

 private:
  struct Body;
  std::unique_ptr<Body> body_;
};

}  // namespace isobit::nn
