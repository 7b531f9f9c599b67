// The shared memory of the block that runs: variables are laid down as they are met, fenced, and NaN at
// first.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace isobit::emulator {

/// What SHARED leaves behind for each variable; its address tells variables apart.
struct SharedTag {
  const char* name;
  std::size_t bytes;
};

class SharedArena {
 public:
  static constexpr std::size_t kFence = 256;
  static constexpr std::size_t kStaticLimit = 48 << 10;
  static constexpr std::size_t kLimit = 99 << 10;

  struct Variable {
    const SharedTag* tag;  // null: the dynamic memory
    std::size_t offset, bytes;
  };

  SharedArena();
  ~SharedArena();
  SharedArena(const SharedArena&) = delete;
  SharedArena& operator=(const SharedArena&) = delete;

  /// A new block begins.
  void reset(std::size_t dynamic_bytes);
  /// The variable's memory, made on the first call in a block; null when it does not fit.
  void* variable(const SharedTag& tag) {
    for (const Variable& v : variables_) {
      if (v.tag == &tag) return memory_ + v.offset;
    }
    return make(&tag, tag.bytes);
  }
  void* dynamic() { return memory_ + variables_.front().offset; }
  /// The name of a variable whose fence was written to; null when all are whole.
  const Variable* broken() const;
  std::size_t used() const { return used_; }

  bool holds(const void* address) const {
    return static_cast<const unsigned char*>(address) >= memory_ &&
           static_cast<const unsigned char*>(address) < memory_ + kBytes;
  }
  std::size_t offset(const void* address) const {
    return static_cast<std::size_t>(static_cast<const unsigned char*>(address) - memory_);
  }
  const std::vector<Variable>& variables() const { return variables_; }
  static constexpr std::size_t kBytes = 512 << 10;

 private:
  void* make(const SharedTag* tag, std::size_t bytes);
  unsigned char* memory_ = nullptr;
  std::size_t end_ = 0;   // of the last variable
  std::size_t used_ = 0;  // bytes of all variables
  std::vector<Variable> variables_;
};

}  // namespace isobit::emulator
