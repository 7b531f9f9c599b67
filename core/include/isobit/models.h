// Ready-made networks for small images.
#pragma once
#include <isobit/nn.h>

#include <string_view>
#include <vector>

namespace isobit::models {

/// conv 5x5 32 same, relu, max pool 2, conv 5x5 64 same, relu, max pool 2, linear 512, relu, linear
/// `classes`.
nn::Sequential lenet(std::int64_t classes = 10);
/// Three stages of two 3x3 convolutions (32, 64, 128 filters) with batch norm, each followed by a max pool;
/// dropout and a linear layer of 256 before the classes.
nn::Sequential vgg_small(std::int64_t classes = 10);
/// A 3x3 stem of 32 filters and three residual blocks (32, 64, 128 filters; the last two halve the image and
/// project with a strided 1x1 convolution), batch norm throughout, global average pool, linear.
nn::Sequential resnet_small(std::int64_t classes = 10);

/// The names `make` knows: "lenet", "vgg-small", "resnet-small".
std::vector<std::string_view> names();
/// The model of that name. Throws Error that lists the names.
nn::Sequential make(std::string_view name, std::int64_t classes = 10);

}  // namespace isobit::models
