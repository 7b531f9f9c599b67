// Plans as text (isobit/plan.h).
#pragma once
#include <isobit/plan.h>

#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace isobit::plans {

/// Device, arithmetic, kernel, problem.
using Key = std::tuple<std::string, std::string, std::string, std::string>;
using Lines = std::map<Key, std::vector<PlanLine::Timing>, std::less<>>;

/// `name` stands for the file in messages.
Lines parse(std::string_view text, const std::string& name);
std::string format(const Lines& lines);
/// No lines when there is no such file and `may_be_missing`.
Lines read(const std::string& path, bool may_be_missing);

}  // namespace isobit::plans
