// Two faults at once, where each strikes places of its own.
#include <algorithm>
#include <bit>

#include "core/compare/kernel.h"

namespace isobit::compare {
namespace {

/// Faults that explain the most come first: more of them are not tried in pairs.
constexpr std::size_t kMostTried = 96;
constexpr std::size_t kMostNamed = 4;

template <class F>
std::vector<std::uint64_t> bits_of(std::size_t n, F&& says) {
  std::vector<std::uint64_t> bits((n + 63) / 64);
  for (std::size_t i = 0; i < n; ++i)
    if (says(i)) bits[i / 64] |= std::uint64_t{1} << (i % 64);
  return bits;
}

}  // namespace

FaultPairs::FaultPairs(const Reference& base, const Arithmetic& arithmetic, const Fit& honest)
    : base_(base),
      arithmetic_(arithmetic),
      right_(bits_of(honest.share.size(), [&](std::size_t i) { return honest.share[i] <= 1; })) {
  // Nothing is wrong behind the last element.
  if (const std::size_t rest = honest.share.size() % 64; rest != 0)
    right_.back() |= ~std::uint64_t{0} << rest;
}

void FaultPairs::add(const std::string& name, const Reference& fault, const Fit& of_fault) {
  const std::size_t n = base_.value.size();
  // What differs from what is right by more than roundings.
  const Fit change = fit(base_, arithmetic_, fault.value);
  Tried t{name, bits_of(n, [&](std::size_t i) { return !(change.share[i] <= 1); }),
          bits_of(n, [&](std::size_t i) { return of_fault.share[i] <= 1; }), 0};
  for (std::size_t i = 0; i < right_.size(); ++i)
    t.explained += std::popcount(t.strikes[i] & t.fits[i] & ~right_[i]);
  if (t.explained == 0) return;
  const auto place = std::upper_bound(tried_.begin(), tried_.end(), t, [](const Tried& a, const Tried& b) {
    return a.explained > b.explained;
  });
  tried_.insert(place, std::move(t));
  if (tried_.size() > kMostTried) tried_.pop_back();
}

bool FaultPairs::together(const Tried& a, const Tried& b, const Bits& right) {
  for (std::size_t i = 0; i < right.size(); ++i) {
    const std::uint64_t neither = ~a.strikes[i] & ~b.strikes[i] & right[i];
    const std::uint64_t either = (a.strikes[i] & a.fits[i]) | (b.strikes[i] & b.fits[i]);
    if ((neither | either) != ~std::uint64_t{0}) return false;
  }
  return true;
}

std::vector<std::string> FaultPairs::explain() const {
  std::vector<std::string> found;
  for (std::size_t i = 0; i < tried_.size(); ++i)
    for (std::size_t j = i + 1; j < tried_.size(); ++j)
      if (found.size() < kMostNamed && together(tried_[i], tried_[j], right_))
        found.push_back(tried_[i].name + ", and " + tried_[j].name);
  return found;
}

}  // namespace isobit::compare
