// What a backend is besides, when it has several ways to run kernels that change no bit: instruction sets
// with numbers of threads, orders of blocks. Whoever checks devices (isobit/verify.h) goes through them.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace isobit {

class HasVariants {
 public:
  virtual ~HasVariants() = default;
  /// Their names; at least one.
  virtual std::vector<std::string> variants() const = 0;
  /// In how many of them a full check runs each problem, another choice for each: all, unless they differ in
  /// nothing but the order of execution, where a few show what all would.
  virtual std::size_t enough() const { return variants().size(); }
  /// From now on kernels run that way; "" gives the user's own choice back. Not to be called while a kernel
  /// runs. Throws Error when there is no such variant.
  virtual void set_variant(std::string_view variant) = 0;
};

}  // namespace isobit
