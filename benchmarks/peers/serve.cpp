#include "benchmarks/peers/serve.h"

#include <cstdio>
#include <ctime>
#include <fstream>
#include <iostream>
#include <stdexcept>

namespace peers {
namespace {

using Json = nlohmann::json;

double seconds_of(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

class Loop {
 public:
  explicit Loop(Open open) : open_(open) {}

  Json answer(const Json& question) {
    const std::string what = question.at("do");
    if (what == "case") return open_case(question);
    Variant& variant = *variants_.at(question.at("variant").get<std::size_t>());
    if (what == "check") {
      variant.run(false);
      variant.write(output_);
      return {{"implementation", variant.implementation()}};
    }
    if (what != "time") throw std::runtime_error("unknown question " + what);
    const int calls = question.at("calls"), warm = question.at("warm");
    const bool cached = question.at("cached");
    if (cached) variant.prepare_weights();
    for (int i = 0; i < warm; ++i) variant.run(cached);
    const double wall = seconds_of(CLOCK_MONOTONIC), cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < calls; ++i) variant.run(cached);
    const double cpu_end = seconds_of(CLOCK_PROCESS_CPUTIME_ID), wall_end = seconds_of(CLOCK_MONOTONIC);
    return {{"wall", wall_end - wall}, {"cpu", cpu_end - cpu}};
  }

 private:
  Json open_case(const Json& question) {
    variants_.clear();
    output_ = question.at("output").at("path");
    variants_ = open_(question);
    Json names = Json::array();
    for (const auto& variant : variants_) names.push_back(variant->name());
    return {{"variants", names}};
  }

  Open open_;
  std::vector<std::unique_ptr<Variant>> variants_;
  std::string output_;
};

}  // namespace

int serve(const std::string& name, Open open) {
  Loop loop(open);
  std::cout << Json{{"ready", name}}.dump() << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    Json answer;
    try {
      answer = loop.answer(Json::parse(line));
    } catch (const Refused& refused) {
      answer = {{"refused", refused.why}};
    } catch (const std::exception& error) {
      answer = {{"error", error.what()}};
    }
    std::cout << answer.dump() << std::endl;
  }
  return 0;
}

std::vector<char> read_file(const Json& operand) {
  const std::string path = operand.at("path");
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  std::vector<char> bytes(in ? static_cast<std::size_t>(in.tellg()) : 0);
  in.seekg(0);
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!in) throw std::runtime_error(path + " cannot be read");
  return bytes;
}

void write_file(const std::string& path, const void* data, std::size_t bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
  out.close();
  if (!out) throw std::runtime_error(path + " cannot be written");
}

}  // namespace peers
