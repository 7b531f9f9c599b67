#include "core/verify/device_array.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace isobit::verify {
namespace {

constexpr std::int64_t kFence = 256;
constexpr unsigned char kFenceByte = 0xa5;

}  // namespace

DeviceArray::DeviceArray(Backend& backend, const HostArray& content, std::int64_t skip, Kind kind)
    : backend_(backend), dtype_(content.dtype()), numel_(content.numel()) {
  const std::int64_t fence = kind == Kind::output ? kFence : 0;
  before_ = fence + skip * size_of(dtype_);
  image_.assign(static_cast<std::size_t>(before_ + content.bytes() + fence), kFenceByte);
  if (content.bytes() > 0)
    std::memcpy(image_.data() + before_, content.data(), static_cast<std::size_t>(content.bytes()));
  memory_ = backend_.allocate(static_cast<std::int64_t>(image_.size()));
  try {
    reset();
  } catch (...) {
    backend_.deallocate(memory_, static_cast<std::int64_t>(image_.size()));
    throw;
  }
}

DeviceArray::DeviceArray(DeviceArray&& from) noexcept
    : backend_(from.backend_),
      dtype_(from.dtype_),
      numel_(from.numel_),
      before_(from.before_),
      image_(std::move(from.image_)),
      memory_(std::exchange(from.memory_, nullptr)) {}

DeviceArray::~DeviceArray() {
  if (memory_ != nullptr) backend_.deallocate(memory_, static_cast<std::int64_t>(image_.size()));
}

View DeviceArray::view() const {
  if (memory_ == nullptr) return {nullptr, dtype_, numel_};
  return {static_cast<unsigned char*>(memory_) + before_, dtype_, numel_};
}

void DeviceArray::reset() {
  if (!image_.empty()) backend_.upload(memory_, image_.data(), static_cast<std::int64_t>(image_.size()));
}

HostArray DeviceArray::download() const {
  backend_.synchronize();
  std::vector<unsigned char> now(image_.size());
  if (!now.empty()) backend_.download(now.data(), memory_, static_cast<std::int64_t>(now.size()));
  HostArray content(dtype_, numel_);
  const auto begin = static_cast<std::size_t>(before_),
             end = begin + static_cast<std::size_t>(content.bytes());
  if (content.bytes() > 0) std::memcpy(content.data(), now.data() + begin, end - begin);
  breach_.clear();
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (i == begin) i = end;
    if (i == now.size()) break;
    if (now[i] == kFenceByte) continue;
    breach_ = fmt::format("wrote outside its output: byte {} of {}", static_cast<std::int64_t>(i) - before_,
                          content.bytes());
    break;
  }
  return content;
}

}  // namespace isobit::verify
