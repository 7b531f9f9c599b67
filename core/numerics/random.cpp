#include "isobit/random.h"

#include "core/numerics/philox.h"

namespace isobit {

RandomKey random_key(Seed seed, std::string_view purpose, std::uint64_t step) {
  return {seed.value, numerics::mix64(numerics::fnv1a(purpose) + step * 0x9e3779b97f4a7c15u)};
}

}  // namespace isobit
