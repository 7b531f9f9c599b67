// Checks the op of scaled_square.cu, in a network's loss as well; then memory and a stream of this program's
// own. Says why when there is no GPU; its last line is "ok" or what was wrong.
#include <cuda_runtime.h>
#include <fmt/format.h>
#include <isobit/isobit.h>

#include <vector>

#include "scaled_square.h"

namespace {

using namespace isobit;

bool derivatives_are_right(Device device) {
  Tensor x = from_vector(std::vector<float>{-2, -0.5f, 0, 1, 3}, {5}).to(device);
  x.set_requires_grad();
  const Tensor y = scaled_square(x, 3);
  const Tensor first = grad(sum(y), {x}, {}, {.create_graph = true})[0];
  const Tensor second = grad(sum(first), {x})[0];
  return y.to_vector<float>() == std::vector<float>{12, 0.75f, 0, 3, 27} &&
         first.to_vector<float>() == std::vector<float>{-12, -3, 0, 6, 18} &&
         second.to_vector<float>() == std::vector<float>{6, 6, 6, 6, 6};
}

bool trains(Device device) {
  const Tensor x = random_normal({16, 8}, random_key(Seed{3}, "x")).to(device);
  nn::Sequential net{nn::Linear(8), nn::ReLU(), nn::Linear(1)};
  net.build({8}, device, Seed{1});
  optim::SGD sgd(net.parameters(), {.lr = 0.05});
  double first = 0, last = 0;
  for (int step = 0; step < 20; ++step) {
    const Tensor loss = mean(scaled_square(add_scalar(net(x), -1), 0.5f));
    if (step == 0) first = loss.item();
    last = loss.item();
    sgd.zero_grad();
    loss.backward();
    sgd.step();
  }
  fmt::print("loss {:.4f} -> {:.4f}\n", first, last);
  return last < 0.5 * first;
}

bool shares_memory_and_stream(Device device) {
  cudaStream_t stream = nullptr;
  void* memory = nullptr;
  if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess ||
      cudaMalloc(&memory, 4 * sizeof(float)) != cudaSuccess)
    return false;
  std::vector<float> host(4);
  {
    const UseStream use(device, stream);
    Tensor x = from_memory(memory, {4}, {.device = device});
    x.copy_from(from_vector(std::vector<float>{1, 2, 3, 4}, {4}));
    x.copy_from(mul_scalar(x, 2));
    if (cudaMemcpyAsync(host.data(), memory, 4 * sizeof(float), cudaMemcpyDeviceToHost, stream) !=
            cudaSuccess ||
        cudaStreamSynchronize(stream) != cudaSuccess)
      return false;
  }
  cudaFree(memory);
  cudaStreamDestroy(stream);
  return host == std::vector<float>{2, 4, 6, 8};
}

int run() {
  Device device;
  try {
    device = Device::cuda();
  } catch (const Error& none) {
    fmt::print("no GPU: {}\nok\n", none.what());
    return 0;
  }
  fmt::print("on {}\n", device.name());
  const char* wrong = !derivatives_are_right(device)      ? "the op or its gradients are wrong"
                      : !trains(device)                   ? "the network did not learn"
                      : !shares_memory_and_stream(device) ? "the program's own memory or stream does not work"
                                                          : nullptr;
  fmt::print("{}\n", wrong == nullptr ? "ok" : wrong);
  return wrong == nullptr ? 0 : 1;
}

}  // namespace

int main() {
  try {
    return run();
  } catch (const isobit::Error& e) {
    fmt::print("{}\n", e.what());
    return 1;
  }
}
