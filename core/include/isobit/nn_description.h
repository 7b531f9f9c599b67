// Descriptions: a network as data. nn::describe says of which layers with which options a network is made,
// nn::from_description makes it again, and the text form (JSON) travels in files and to other programs:
//
//   {"kind": "Sequential", "layers": [
//     {"name": "0", "kind": "Conv2D", "options": {"filters": 32, "kernel": [3], "padding": "same", ...}},
//     {"name": "1", "kind": "ReLU"}]}
//
// Names and meanings of the options are those of the layers' constructors (isobit/nn_layers.h):
//   one number for all axes or one for each (stride, kernel, ...)    [2] or [2, 1]
//   padding     a rule, "valid", "same", "same_lower", "full", "causal"; or [before, after] of all axes or,
//   one
//               pair after the other, of each
//   mode        "reflect", or "replicate/circular" for each axis
//   init        "kaiming_uniform GAIN in|out", "kaiming_normal GAIN in|out", "xavier_uniform GAIN",
//               "xavier_normal GAIN", "lecun_uniform", "lecun_normal", "uniform LOW HIGH",
//               "normal MEAN DEVIATION", "constant VALUE"; left out where the layer chooses
// A layer that stands at a second place of the network is there {"kind": "Shared", "options": {"path": "0"}}.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace isobit::nn {

class Layer;
struct Child;

/// A truth value, a whole number, a number, a text, or whole numbers. Numbers that are not finite are the
/// texts "inf", "-inf" and "nan".
using OptionValue = std::variant<bool, std::int64_t, double, std::string, std::vector<std::int64_t>>;
/// Options by name, in the order of the constructor.
using OptionList = std::vector<std::pair<std::string, OptionValue>>;

/// What a layer is made of. Equal descriptions make equal networks.
struct Description {
  std::string kind;  ///< "Conv2D"; empty: nothing is described
  OptionList options;
  std::vector<Description> children = {};
  std::string name = {};  ///< within the layer around it
};
bool operator==(const Description& a, const Description& b);

/// Throws Error that names path and kind of a layer that cannot say what it is made of (Lambda, and a user's
/// module without Module::option_list).
Description describe(const Layer& net);
/// Whether describe would not throw.
bool describable(const Layer& net);

/// Makes a layer of a kind of one's own from its options and its children, which are made already.
using Maker = std::function<Layer(const OptionList& options, const std::vector<Child>& children)>;

/// The network, not built. Options that are left out have the constructors' defaults; those without a default
/// (filters, kernel, outputs, window, ...) must be there. `own` knows a user's own kinds. Throws Error that
/// names the layer's path and its unknown kind, unknown, missing or repeated option, or value of another
/// type; and when a constructor does. At most 64 containers are nested, and 10000 layers stand in the
/// network.
Layer from_description(const Description& description, const std::map<std::string, Maker>& own = {});

/// JSON in one line. Throws Error where a name or text is not UTF-8.
std::string to_text(const Description& description);
/// What to_text gives, or anything else: Error that begins with `name` for a text that is no such JSON.
Description parse_description(std::string_view text, std::string_view name = "the description");

}  // namespace isobit::nn
