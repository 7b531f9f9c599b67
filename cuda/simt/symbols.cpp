// The names of functions, from the symbol tables of the program and its libraries.
#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <fmt/format.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "cuda/simt/device_state.h"

namespace isobit::emulator {
namespace {

// Looks `offset`, counted from where the file was loaded, up in its .symtab, which the dynamic linker does
// not read.
std::string find_symbol(const std::string& path, std::uintptr_t offset) {
  std::ifstream in(path, std::ios::binary);
  const std::vector<char> file((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const auto at = [&](std::size_t from, std::size_t bytes) -> const char* {
    return from <= file.size() && bytes <= file.size() - from ? file.data() + from : nullptr;
  };
  Elf64_Ehdr header;
  if (file.size() < sizeof header) return {};
  std::memcpy(&header, file.data(), sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64) return {};
  for (int i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr table, names;
    const char* p = at(header.e_shoff + static_cast<std::size_t>(i) * sizeof table, sizeof table);
    if (p == nullptr) return {};
    std::memcpy(&table, p, sizeof table);
    if (table.sh_type != SHT_SYMTAB) continue;
    p = at(header.e_shoff + table.sh_link * sizeof names, sizeof names);
    if (p == nullptr) return {};
    std::memcpy(&names, p, sizeof names);
    for (std::size_t s = 0; s < table.sh_size / sizeof(Elf64_Sym); ++s) {
      Elf64_Sym symbol;
      p = at(table.sh_offset + s * sizeof symbol, sizeof symbol);
      if (p == nullptr) return {};
      std::memcpy(&symbol, p, sizeof symbol);
      if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || offset < symbol.st_value ||
          offset >= symbol.st_value + std::max<std::uint64_t>(symbol.st_size, 1)) {
        continue;
      }
      p = at(names.sh_offset + symbol.st_name, 1);
      return p == nullptr
                 ? std::string()
                 : std::string(p, strnlen(p, static_cast<std::size_t>(file.data() + file.size() - p)));
    }
  }
  return {};
}

std::string demangled(const std::string& name) {
  int status = 0;
  char* const text = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  std::string result = text != nullptr ? text : name;
  std::free(text);
  // Without the result and the parameters: they are long and say nothing new.
  if (const auto end = result.rfind('('); end != std::string::npos) result.resize(end);
  if (result.rfind("void ", 0) == 0) result.erase(0, 5);
  return result;
}

}  // namespace

std::string kernel_name(const void* kernel) {
  Dl_info info{};
  if (dladdr(kernel, &info) == 0) return fmt::format("{}", kernel);
  if (info.dli_sname != nullptr && info.dli_saddr == kernel) return demangled(info.dli_sname);
  Elf64_Ehdr header;
  std::memcpy(&header, info.dli_fbase, sizeof header);
  const auto base = header.e_type == ET_DYN ? reinterpret_cast<std::uintptr_t>(info.dli_fbase) : 0;
  std::string name = find_symbol(info.dli_fname, reinterpret_cast<std::uintptr_t>(kernel) - base);
  if (name.empty()) name = find_symbol("/proc/self/exe", reinterpret_cast<std::uintptr_t>(kernel) - base);
  return name.empty() ? fmt::format("{}", kernel) : demangled(name);
}

}  // namespace isobit::emulator
