// Helpers of the emulator's self-test: run a faulty kernel, and hold what was noticed against what should be.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <vector>

#include "cuda/simt/cuda.h"
#include "cuda/simt/sanitizers.h"

namespace isobit::emulator {

// Every test begins with a fresh device and ends with the settings it found.
class Simt : public testing::Test {
 protected:
  Simt() : before_(settings()) { reset(); }
  ~Simt() override {
    reset();
    configure(before_);
  }

  static void schedule(Schedule s, std::uint64_t seed = 0) {
    Settings now = settings();
    now.schedule = s;
    now.seed = seed;
    configure(now);
  }
  static void lazy() {
    Settings now = settings();
    now.lazy = true;
    configure(now);
  }

  // Device memory with these values, or with nothing written.
  template <class T = float>
  static T* device(const std::vector<T>& values) {
    T* memory = nullptr;
    EXPECT_EQ(cudaMalloc(&memory, values.size() * sizeof(T)), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(memory, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice),
              cudaSuccess);
    return memory;
  }
  template <class T = float>
  static T* unwritten(std::size_t count) {
    T* memory = nullptr;
    EXPECT_EQ(cudaMalloc(&memory, count * sizeof(T)), cudaSuccess);
    return memory;
  }
  template <class T>
  static std::vector<T> host(const T* memory, std::size_t count) {
    std::vector<T> values(count);
    EXPECT_EQ(cudaMemcpy(values.data(), memory, count * sizeof(T), cudaMemcpyDeviceToHost), cudaSuccess);
    return values;
  }
  static std::vector<float> counting(std::size_t count) {
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i);
    return values;
  }

  // The fault was noticed, is sticky, and its text says where.
  static void expect_fault(FaultKind kind) {
    const cudaError_t error = cudaDeviceSynchronize();
    EXPECT_NE(error, cudaSuccess);
    EXPECT_EQ(name_of(fault().kind), std::string(name_of(kind))) << fault().text;
    EXPECT_FALSE(fault().text.empty());
    void* memory = nullptr;
    EXPECT_EQ(cudaMalloc(&memory, 4), error);
    EXPECT_EQ(cudaGetLastError(), error);
    EXPECT_EQ(cudaGetLastError(), error);
    reset();
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  }
  static void expect_fine() {
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    EXPECT_EQ(fault().kind, FaultKind::none) << fault().text;
  }
  // The launch was refused; the device goes on.
  static void expect_refused(cudaError_t error) {
    EXPECT_EQ(cudaGetLastError(), error);
    expect_fine();
  }

 private:
  Settings before_;
};

inline constexpr unsigned kAll = 0xffffffffu;
inline constexpr Schedule kSchedules[] = {Schedule::forward, Schedule::reverse, Schedule::shuffled,
                                          Schedule::ahead};

}  // namespace isobit::emulator
