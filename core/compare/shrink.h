// What shrinking is made of: steps that lower a number, and tensors that are cut to fit.
#pragma once
#include <isobit/compare.h>

#include <functional>
#include <optional>
#include <vector>

namespace isobit::compare {

/// The first `extent` of an axis; negative axes count from the end, undefined tensors stay so.
Tensor first_of(const Tensor& t, int axis, std::int64_t extent);
/// Of the last axis, which holds `groups` runs of equal length, the first `kept` runs and of each the first
/// `each`.
Tensor channels_of(const Tensor& t, std::int64_t groups, std::int64_t kept, std::int64_t each);
/// The first elements of every axis, as many as `shape` has; nothing where t has fewer.
std::optional<Tensor> cut_to(const Tensor& t, const Shape& shape);

/// Every way to make something a little or much smaller. Each either changes it and says true, or cannot.
template <class T>
using Steps = std::vector<std::function<bool(T&)>>;

/// A number to its least value, to half of it, by one.
template <class T>
void lower(Steps<T>& steps, std::int64_t least, std::function<std::int64_t(const T&)> get,
           std::function<void(T&, std::int64_t)> set) {
  for (const int way : {0, 1, 2})
    steps.emplace_back([=](T& p) {
      const std::int64_t now = get(p), next = way == 0 ? least : way == 1 ? now / 2 : now - 1;
      if (now <= least || next < least) return false;
      set(p, next);
      return true;
    });
}

/// Takes steps as long as `fails` says true of what they give. `steps` are those of a T, `after` is what a
/// step makes of it, or nothing.
template <class T>
T smallest(T best, const std::function<Steps<T>(const T&)>& steps,
           const std::function<std::optional<T>(const T&, const std::function<bool(T&)>&)>& after,
           const std::function<bool(const T&)>& fails) {
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (const std::function<bool(T&)>& step : steps(best)) {
      // A step that helped is taken again until it does not.
      for (;;) {
        std::optional<T> next = after(best, step);
        if (!next || !fails(*next)) break;
        best = std::move(*next);
        smaller = true;
      }
    }
  }
  return best;
}

/// The problem with every rule of padding, default of an axis and output shape said in numbers: what steps
/// lower.
Problem in_numbers(const Problem& p);
/// The steps of a problem in numbers.
Steps<Problem> steps_of(const Problem& p);

}  // namespace isobit::compare
