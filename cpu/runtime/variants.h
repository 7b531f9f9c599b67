// The ways of the CPU to run kernels: every instruction set with one thread, the best one with several.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/runtime/isa.h"

namespace isobit::cpu {

class Variants {
 public:
  /// "scalar, 1 thread", "avx2, 1 thread", "avx2, 3 threads" ...
  std::vector<std::string> names() const;
  /// Sets instruction set and threads, both of the whole process; "" sets back what was before the first
  /// call. Not to be called while a kernel runs. Throws Error when there is no such variant.
  void set(std::string_view name);

 private:
  struct Choice {
    Isa isa;
    int threads;
  };
  static std::vector<Choice> choices();
  std::optional<Choice> before_;
};

}  // namespace isobit::cpu
