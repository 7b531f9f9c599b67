// The whole library in one include.
#pragma once
#include <isobit/autograd.h>
#include <isobit/device.h>
#include <isobit/dtype.h>
#include <isobit/error.h>
#include <isobit/half.h>
#include <isobit/io.h>
#include <isobit/models.h>
#include <isobit/nn.h>
#include <isobit/ops.h>
#include <isobit/optim.h>
#include <isobit/parts.h>
#include <isobit/random.h>
#include <isobit/shape.h>
#include <isobit/tensor.h>
