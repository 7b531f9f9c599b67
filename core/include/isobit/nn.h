// Networks: modules, layers, initialisers, and how well a network does on a dataset.
#pragma once
#include <isobit/nn_evaluate.h>
#include <isobit/nn_graphed.h>
#include <isobit/nn_init.h>
#include <isobit/nn_layers.h>
#include <isobit/nn_module.h>
