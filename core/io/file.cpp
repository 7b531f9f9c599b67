// Reading files through the system's own calls, so that each failure keeps its errno.
#include "core/io/file.h"

#include <fcntl.h>
#include <isobit/error.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace isobit::io {
namespace {

// Linux reads at most 2 GiB at once anyway.
constexpr std::size_t largest_read = std::size_t{1} << 30;

}  // namespace

std::string system_message(int error) {
  return std::system_category().message(error);
}

InputFile::InputFile(std::string_view op, const std::string& path) : op_(op), path_(path), descriptor_(-1) {
  if (path.empty()) fail(op_, "the file name is empty");
  if (path.find('\0') != std::string::npos) fail(op_, "the file name '{}' holds a zero byte", path.c_str());
  // O_NONBLOCK: opening a named pipe would wait for ever; it is refused below.
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) fail(op_, "cannot open '{}': {}", path, system_message(errno));
  struct stat status;
  std::string problem;
  if (::fstat(descriptor_, &status) != 0)
    problem = system_message(errno);
  else if (S_ISDIR(status.st_mode))
    problem = "it is a directory";
  else if (!S_ISREG(status.st_mode))
    problem = "it is not a regular file";
  if (!problem.empty()) {
    ::close(descriptor_);
    fail(op_, "cannot read '{}': {}", path, problem);
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

InputFile::~InputFile() {
  ::close(descriptor_);
}

void InputFile::read(std::uint64_t offset, void* destination, std::size_t count) const {
  auto* out = static_cast<char*>(destination);
  std::size_t done = 0;
  while (done < count) {
    const ssize_t got = ::pread(descriptor_, out + done, std::min(count - done, largest_read),
                                static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(op_, "cannot read '{}' at byte {}: {}", path_, offset + done, system_message(errno));
    if (got == 0)
      fail(op_, "'{}' ends at byte {}; it had {} bytes when it was opened", path_, offset + done, size_);
    done += static_cast<std::size_t>(got);
  }
}

std::vector<std::uint8_t> read_file(std::string_view op, const std::string& path) {
  const InputFile file(op, path);
  std::vector<std::uint8_t> bytes(file.size());
  file.read(0, bytes.data(), bytes.size());
  return bytes;
}

bool file_exists(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 && !S_ISDIR(status.st_mode);
}

bool directory_exists(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

}  // namespace isobit::io
