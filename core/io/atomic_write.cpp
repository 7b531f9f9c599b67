// io::write_atomically: a temporary file beside the target, fsync, rename, fsync of the directory.
//
// The temporary file has a fixed name and is locked while it is written: a lock dies with its process, so
// what a killed process left is recognised (it is unlocked) and used again, and no save ever leaves a trail
// of files.
#include <fcntl.h>
#include <isobit/error.h>
#include <isobit/io.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "core/io/file.h"

namespace isobit::io {
namespace {

constexpr std::string_view op = "write";
constexpr int max_candidates = 64;
constexpr int max_links = 40;
constexpr std::size_t buffer_bytes = std::size_t{1} << 18;
constexpr std::size_t largest_write = std::size_t{1} << 30;

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// The file that `path` means: where it is a symbolic link, the end of the chain, which may not exist yet.
// Anything that a rename must not replace is refused.
std::string resolve_target(const std::string& path) {
  if (path.empty()) fail(op, "the file name is empty");
  if (path.find('\0') != std::string::npos) fail(op, "the file name '{}' holds a zero byte", path.c_str());
  std::string target = path;
  for (int links = 0; links <= max_links; ++links) {
    struct stat status;
    if (::lstat(target.c_str(), &status) != 0) {
      if (errno == ENOENT && target.back() != '/') return target;
      fail(op, "cannot write '{}': {}", path, system_message(errno));
    }
    if (S_ISREG(status.st_mode)) return target;
    if (S_ISDIR(status.st_mode)) fail(op, "cannot write '{}': it is a directory", path);
    if (!S_ISLNK(status.st_mode)) fail(op, "cannot write '{}': it is not a regular file", path);
    std::vector<char> text(4096);
    const ssize_t length = ::readlink(target.c_str(), text.data(), text.size());
    if (length < 0) fail(op, "cannot write '{}': {}", path, system_message(errno));
    const std::string next(text.data(), static_cast<std::size_t>(length));
    if (next.empty()) fail(op, "cannot write '{}': its link is empty", path);
    target = next.front() == '/' ? next : directory_of(target) + "/" + next;
  }
  fail(op, "cannot write '{}': too many symbolic links", path);
}

// The temporary file: opened and locked by the constructor, removed by the destructor unless it was renamed.
class PartialFile : public Writer {
 public:
  PartialFile(const std::string& path, const std::string& target) : path_(path), target_(target) {
    buffer_.reserve(buffer_bytes);
    for (int candidate = 0; candidate < max_candidates; ++candidate) {
      name_ = target + ".partial" + (candidate == 0 ? "" : std::to_string(candidate));
      if (open_and_lock()) return;
    }
    fail(op, "cannot write '{}': {} other writes to it are under way ('{}' and so on are locked)", path_,
         max_candidates, target + ".partial");
  }
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;
  ~PartialFile() override {
    if (descriptor_ < 0) return;
    if (!renamed_) ::unlink(name_.c_str());
    ::close(descriptor_);
  }

  void write(const void* bytes, std::size_t count) override {
    if (count == 0) return;
    const auto* from = static_cast<const char*>(bytes);
    if (buffer_.size() + count > buffer_bytes) flush();
    if (count >= buffer_bytes)
      write_through(from, count);
    else
      buffer_.insert(buffer_.end(), from, from + count);
  }

  // Makes the file `target`, for good.
  void finish() {
    flush();
    keep_mode();
    if (::fsync(descriptor_) != 0) fail_with("sync", errno);
    if (::rename(name_.c_str(), target_.c_str()) != 0) fail_with("rename", errno);
    renamed_ = true;
    const std::string directory = directory_of(target_);
    const int handle = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    // Some file systems cannot sync a directory (EINVAL), and one that may be written to but not read cannot
    // be opened (EACCES); the file is in place and whole either way.
    if (handle < 0) return;
    const int error = ::fsync(handle) == 0 ? 0 : errno;
    ::close(handle);
    if (error != 0 && error != EINVAL)
      fail(op, "'{}' was written, {} bytes, but its directory could not be synced: {}", path_, written_,
           system_message(error));
  }

 private:
  // False: somebody else is writing to that name, or has just renamed it away.
  bool open_and_lock() {
    const int handle = ::open(name_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (handle < 0) {
      const int error = errno;
      // Something of that name that is not ours to use: a link, a directory, another user's file.
      struct stat status;
      if ((error == ELOOP || error == EISDIR || error == EACCES || error == ENXIO) &&
          ::lstat(name_.c_str(), &status) == 0)
        return false;
      fail(op, "cannot write '{}': cannot make '{}': {}", path_, name_, system_message(error));
    }
    struct stat opened, named;
    const bool usable = ::fstat(handle, &opened) == 0 && S_ISREG(opened.st_mode) && opened.st_nlink == 1;
    if (!usable) {
      ::close(handle);
      return false;
    }
    if (::flock(handle, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      ::close(handle);
      if (error == EWOULDBLOCK || error == EINTR) return false;
      fail(op, "cannot write '{}': cannot lock '{}': {}", path_, name_, system_message(error));
    }
    // Between open and flock the owner before us may have renamed the file: then we hold the finished target.
    if (::lstat(name_.c_str(), &named) != 0 || named.st_dev != opened.st_dev ||
        named.st_ino != opened.st_ino) {
      ::close(handle);
      return false;
    }
    descriptor_ = handle;
    if (::ftruncate(descriptor_, 0) != 0) {
      // The destructor does not run when a constructor throws.
      const int error = errno;
      ::unlink(name_.c_str());
      ::close(descriptor_);
      fail(op, "cannot write '{}': cannot empty '{}': {}", path_, name_, system_message(error));
    }
    return true;
  }

  void flush() {
    write_through(buffer_.data(), buffer_.size());
    buffer_.clear();
  }

  void write_through(const char* from, std::size_t count) {
    while (count > 0) {
      const ssize_t done = ::write(descriptor_, from, std::min(count, largest_write));
      if (done < 0 && errno == EINTR) continue;
      if (done <= 0) fail_with("write", done < 0 ? errno : ENOSPC);
      from += done;
      count -= static_cast<std::size_t>(done);
      written_ += static_cast<std::uint64_t>(done);
    }
  }

  // The new file keeps the old one's permissions; a failure to set them must not cost the data.
  void keep_mode() {
    struct stat status;
    if (::stat(target_.c_str(), &status) == 0 && ::fchmod(descriptor_, status.st_mode & 0777) != 0) return;
  }

  [[noreturn]] void fail_with(std::string_view what, int error) {
    fail(op, "cannot {} '{}' after {} bytes: {}; the file that was there is untouched", what, path_, written_,
         system_message(error));
  }

  std::string path_, target_, name_;
  int descriptor_ = -1;
  bool renamed_ = false;
  std::uint64_t written_ = 0;
  std::vector<char> buffer_;
};

}  // namespace

void write_atomically(const std::string& path, const std::function<void(Writer&)>& writer) {
  PartialFile file(path, resolve_target(path));
  writer(file);
  file.finish();
}

}  // namespace isobit::io
