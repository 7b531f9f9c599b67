# Flags that every target of the project is compiled with.
#
# The bit contract (docs/numerics.md) rests on the three floating-point flags: nothing may contract a product and a
# sum on its own, and nothing may reassociate. They stay private to the project: a user's own code is compiled as the user says.
add_library(isobit_options INTERFACE)
target_compile_features(isobit_options INTERFACE cxx_std_20)
# nvcc has flags of its own, in cuda/nvcc/CMakeLists.txt.
target_compile_options(isobit_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off -fno-fast-math -fno-strict-aliasing>
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wno-unused-parameter>)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # g++ 12 takes "text" + std::string for an overlapping copy (GCC bug 105651, mended in 13).
  target_compile_options(isobit_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
if(ISOBIT_WERROR)
  target_compile_options(isobit_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
if(ISOBIT_SANITIZE)
  target_compile_options(isobit_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${ISOBIT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all>)
  target_link_options(isobit_options INTERFACE -fsanitize=${ISOBIT_SANITIZE})
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(arm|armv[67].*)$")
  message(FATAL_ERROR "isobit: 32-bit ARM is refused: its vector unit flushes subnormals (docs/numerics.md)")
endif()
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# So that the static library may go into somebody's shared one.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# Highway's targets: AVX-512, AVX2 and plain scalar code (one lane, no hardware fma), with every compiler. Its emulated
# 128-bit target is left out because g++ before 12.3 miscompiles it, SSE because it would add nothing but build time.
target_compile_definitions(isobit_options INTERFACE
  "HWY_DISABLED_TARGETS=(HWY_SSSE3|HWY_SSE4|HWY_AVX3_DL)" HWY_BROKEN_EMU128=1)
