// Reading files, for the readers of core/io and core/data.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace isobit::io {

/// An open regular file. Every failure is an Error of `op` that names the path and the system's reason.
class InputFile {
 public:
  InputFile(std::string_view op, const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  /// The size when it was opened.
  std::uint64_t size() const { return size_; }
  /// Reads exactly `count` bytes from `offset`; an Error when the file ends before (somebody truncated it).
  void read(std::uint64_t offset, void* destination, std::size_t count) const;

 private:
  std::string op_, path_;
  int descriptor_;
  std::uint64_t size_ = 0;
};

/// The whole file.
std::vector<std::uint8_t> read_file(std::string_view op, const std::string& path);

/// True when something other than a directory is there under that name (it may still not be readable).
bool file_exists(const std::string& path);
bool directory_exists(const std::string& path);

/// The system's words for an errno.
std::string system_message(int error);

}  // namespace isobit::io
