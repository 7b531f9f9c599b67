// The error of a forced algorithm that cannot serve the problem: nothing was touched. Apart from
// core/algorithm.h, for only those who go through all algorithms want to tell it from other errors.
#pragma once
#include <isobit/error.h>

#include <string>

namespace isobit {

class Refused : public Error {
 public:
  Refused(const char* kernel, const std::string& message, const char* reason)
      : Error(kernel, message), reason_(reason) {}
  /// The algorithm's own words.
  const char* reason() const noexcept { return reason_; }

 private:
  const char* reason_;  // a literal
};

}  // namespace isobit
