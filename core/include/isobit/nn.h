// Networks: modules, layers, initialisers.
#pragma once
#include <isobit/nn_init.h>
#include <isobit/nn_layers.h>
#include <isobit/nn_module.h>
