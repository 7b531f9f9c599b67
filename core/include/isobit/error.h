// The one exception type of the library.
#pragma once
#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace isobit {

/// Thrown for every bad argument, bad file and exhausted resource. what() reads "op: what was wrong, what was
/// expected". After an Error nothing is half-done: outputs are untouched, the library stays usable.
class Error : public std::runtime_error {
 public:
  Error(std::string op, const std::string& message)
      : std::runtime_error(op + ": " + message), op_(std::move(op)) {}
  /// The op, reader or option that refused, e.g. "conv".
  const std::string& op() const noexcept { return op_; }

 private:
  std::string op_;
};

/// Memory could not be had, on the host or on a device; names bytes asked, in use and cached.
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

/// Throws Error(op, formatted message).
template <class... Args>
[[noreturn]] void fail(std::string_view op, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(std::string(op), fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace isobit
