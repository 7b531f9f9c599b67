// Batches: one thread makes them, in order, into a short queue; the caller takes them out, in order. Nothing
// about the thread can be seen in the result.
#include <isobit/batches.h>
#include <isobit/error.h>
#include <isobit/gpu.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "core/backend.h"
#include "core/data/transform.h"

namespace isobit::data {
namespace {

constexpr std::string_view op = "batches";
constexpr int max_prefetch = 1024;

std::int64_t batch_count(std::int64_t samples, std::int64_t batch_size, bool drop_last) {
  return samples / batch_size + (!drop_last && samples % batch_size != 0 ? 1 : 0);
}

// Host memory that the device copies from without staging; plain memory where it has none to offer.
Tensor staging(Device device, const Shape& shape, DType dtype) {
  Backend& onto = backend(device);
  void* memory = onto.allocate_host(shape.numel() * size_of(dtype));
  if (memory == nullptr) return empty(shape, {.dtype = dtype});
  return from_memory(memory, shape, {.dtype = dtype}, [&onto, memory] { onto.deallocate_host(memory); });
}

}  // namespace

// One pass over an epoch. `next` is called by one thread at a time; the queue is guarded by mutex_.
class Batches::Stream {
 public:
  Stream(std::shared_ptr<const Dataset> dataset, std::int64_t batch_size, Seed seed, Device device,
         const BatchOptions& options)
      : dataset_(std::move(dataset)),
        batch_size_(batch_size),
        device_(device),
        options_(options),
        transform_(dataset_->image_shape(), seed, options),
        order_(epoch_order(dataset_->size(), seed, options.epoch, options.shuffle)),
        count_(batch_count(dataset_->size(), batch_size, options.drop_last)),
        next_(options.first_batch) {
    if (options.prefetch > 0 && next_ < count_) worker_ = std::thread([this] { work(); });
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  ~Stream() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    room_.notify_all();
    if (worker_.joinable()) worker_.join();
  }

  // Nothing at the end of the epoch.
  std::optional<Batch> next() {
    if (!worker_.joinable()) return next_ < count_ ? std::optional(make(next_++)) : std::nullopt;
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [this] { return !queue_.empty() || finished_; });
    if (queue_.empty()) {
      if (error_) std::rethrow_exception(error_);
      return std::nullopt;
    }
    std::optional<Batch> batch(std::move(queue_.front()));
    queue_.pop_front();
    lock.unlock();
    room_.notify_one();
    return batch;
  }

 private:
  // Where a batch is made: its own memory on a device that the host can address, else memory that every batch
  // of this pass is copied from in turn (to() returns when it has been).
  std::pair<Tensor, Tensor> room_for(std::int64_t size, const Shape& image) {
    const auto shape = [&](std::int64_t n) { return Shape{n, image[0], image[1], image[2]}; };
    if (backend(device_).host_accessible())
      return {empty(shape(size), {.dtype = options_.dtype}), empty({size}, {.dtype = DType::i64})};
    if (!images_.defined()) {
      images_ = staging(device_, shape(std::min(batch_size_, dataset_->size())), options_.dtype);
      labels_ = staging(device_, {std::min(batch_size_, dataset_->size())}, DType::i64);
    }
    return {images_.slice(0, size), labels_.slice(0, size)};
  }

  Batch make(std::int64_t index) {
    const std::int64_t first = index * batch_size_;
    const std::int64_t size = std::min(batch_size_, dataset_->size() - first);
    const Shape image = dataset_->image_shape();
    auto [images, labels] = room_for(size, image);
    const std::uint8_t* from = dataset_->images.data<std::uint8_t>().data();
    const std::int64_t* label = dataset_->labels.data<std::int64_t>().data();
    auto* out = static_cast<std::uint8_t*>(images.mutable_raw());
    auto* label_out = labels.mutable_data<std::int64_t>().data();
    const std::int64_t out_bytes = image.numel() * size_of(options_.dtype);
    for (std::int64_t i = 0; i < size; ++i) {
      const std::int64_t row = order_[static_cast<std::size_t>(first + i)];
      transform_.apply(from + row * image.numel(), row, out + i * out_bytes);
      label_out[i] = label[row];
    }
    return {images.to(device_), labels.to(device_), index, first};
  }

  void work() {
    try {
      backend(device_).work_aside();  // copies run beside the kernels of the thread that trains
      while (next_ < count_) {
        Batch batch = make(next_++);
        std::unique_lock lock(mutex_);
        room_.wait(lock,
                   [this] { return stop_ || queue_.size() < static_cast<std::size_t>(options_.prefetch); });
        if (stop_) return;
        queue_.push_back(std::move(batch));
        lock.unlock();
        filled_.notify_one();
      }
      finish(nullptr);
    } catch (...) {
      finish(std::current_exception());
    }
  }

  void finish(std::exception_ptr error) {
    {
      const std::lock_guard lock(mutex_);
      error_ = std::move(error);
      finished_ = true;
    }
    filled_.notify_one();
  }

  const std::shared_ptr<const Dataset> dataset_;
  const std::int64_t batch_size_;
  const Device device_;
  const BatchOptions options_;
  const Transform transform_;
  const std::vector<std::int64_t> order_;
  const std::int64_t count_;
  Tensor images_, labels_;
  std::int64_t next_;  // these three: of the worker where there is one, else of the caller

  std::mutex mutex_;
  std::condition_variable filled_, room_;
  std::deque<Batch> queue_;
  bool stop_ = false, finished_ = false;
  std::exception_ptr error_;
  std::thread worker_;  // last: it uses all of the above
};

Batches::Batches(Dataset dataset, std::int64_t batch_size, Seed seed, Device device, BatchOptions options)
    : batch_size_(batch_size), seed_(seed), device_(device), options_(std::move(options)) {
  dataset.check();
  dataset_ = std::make_shared<const Dataset>(std::move(dataset));
  if (batch_size_ < 1) fail(op, "batch size {}, expected at least 1", batch_size_);
  if (options_.prefetch < 0 || options_.prefetch > max_prefetch)
    fail(op, "prefetch {}, expected 0 to {} batches", options_.prefetch, max_prefetch);
  if (options_.epoch < 0) fail(op, "epoch {}, expected at least 0", options_.epoch);
  if (options_.first_batch < 0 || options_.first_batch > count())
    fail(op, "first batch {}, expected 0 to {} ({} samples by {})", options_.first_batch, count(),
         dataset_->size(), batch_size_);
  static_cast<void>(Transform(dataset_->image_shape(), seed_, options_));  // its checks, now
}

std::int64_t Batches::count() const {
  return batch_count(dataset_->size(), batch_size_, options_.drop_last);
}

Batches Batches::at(std::int64_t epoch, std::int64_t first_batch) const {
  Batches other = *this;
  other.options_.epoch = epoch;
  other.options_.first_batch = first_batch;
  if (epoch < 0) fail(op, "epoch {}, expected at least 0", epoch);
  if (first_batch < 0 || first_batch > count())
    fail(op, "first batch {}, expected 0 to {}", first_batch, count());
  return other;
}

Batches::Iterator Batches::begin() const {
  return Iterator(std::make_shared<Stream>(dataset_, batch_size_, seed_, device_, options_));
}

Batches::Iterator::Iterator(std::shared_ptr<Stream> stream) : stream_(std::move(stream)) {
  ++*this;
}

Batches::Iterator& Batches::Iterator::operator++() {
  batch_ = Batch();  // its memory goes back to the pool before the next batch is asked for
  done_ = true;      // also when next() throws
  std::optional<Batch> next = stream_->next();
  if (next) {
    batch_ = std::move(*next);
    done_ = false;
  }
  return *this;
}

}  // namespace isobit::data
