// The faults of a convolution's kernel, in two files: faults.cpp has those that change a whole problem,
// fault_places.cpp those that strike some elements.
#pragma once
#include <set>

#include "core/compare/kernel.h"

namespace isobit::compare {

using Sides = std::vector<std::pair<std::int64_t, std::int64_t>>;

inline Sides& sides_of(Kernel& k) {
  return std::get<Sides>(k.options.padding.value);
}

/// Names of spatial axis i of `spatial`: of its first and last index, and of its lines.
struct AxisName {
  const char *first, *last, *line;
};
AxisName axis_name(int i, int spatial);

class Catalogue {
 public:
  Catalogue(const Kernel& k, const Reference& base) : k_(k), base_(base) {}

  std::vector<Fault> all();

 private:
  /// What the problem gives after a change.
  void changed(std::string name, std::function<void(Kernel&)> change);
  /// Where `in` says so, what `other` gives; elsewhere what is right.
  void within(std::string name, std::function<bool(const std::vector<std::int64_t>&)> in,
              std::function<Reference()> other);
  std::function<Reference()> zero() const;
  static void flip_axes(Kernel& k, std::vector<int> axes) { k.b = flip(k.b, axes); }
  static void shift(Kernel& k, int axis, std::int64_t by) {
    auto& side = sides_of(k)[static_cast<std::size_t>(axis)];
    side.first += by;
    side.second -= by;
  }

  void flips();
  void dilation();
  void shifts();
  void groups();
  void modes();
  void bias();
  void phases();
  void tails();
  void samples();
  void lines();
  void taps();
  static std::set<std::int64_t> tail_sizes(std::int64_t extent);

  Shape filter_shape() const { return k_.form == Form::backward_filter ? k_.out : k_.b.shape(); }

  const Kernel& k_;
  const Reference& base_;
  std::vector<Fault> faults_;
};

}  // namespace isobit::compare
