# The two ways in which cuda/ is compiled: by nvcc for GPUs (device "cuda"), and by the host compiler to be executed on
# the CPU (device "simt").
#
#   ISOBIT_CUDA=AUTO|ON|OFF   AUTO: with nvcc where it is found and fits; ON: or an error that says what does not fit.
#                             The presets say OFF, and preset "cuda" ON: a build for seven architectures takes long.
#   ISOBIT_CUDA_ARCHITECTURES as CMAKE_CUDA_ARCHITECTURES; the default is every architecture from Turing on, and PTX for
#                             what comes after. 80-virtual builds quickly, and any newer GPU compiles it when it starts.
#   ISOBIT_SIMT=ON|OFF        the device "simt"
#   ISOBIT_SIMT_FMA=ON|OFF    on x86-64 with g++: simt's kernels use the fma instruction (else they compute it: the same
#                             bits, several times slower). Where the processor lacks it the device is left out.
set(ISOBIT_CUDA AUTO CACHE STRING "the CUDA device: AUTO, ON or OFF")
set_property(CACHE ISOBIT_CUDA PROPERTY STRINGS AUTO ON OFF)
set(ISOBIT_CUDA_ARCHITECTURES "" CACHE STRING "GPU architectures, as CMAKE_CUDA_ARCHITECTURES; empty: all")
option(ISOBIT_SIMT "build the device simt: the CUDA kernels, executed on the CPU" ON)
option(ISOBIT_SIMT_FMA "simt's kernels use the fma instruction of x86-64" ON)

set(ISOBIT_HAS_CUDA OFF)
set(ISOBIT_MISSING_simt "this build was configured with ISOBIT_SIMT=OFF")
string(CONCAT ISOBIT_MISSING_cuda "this build of isobit has no CUDA: build it on a machine with the CUDA toolkit "
  "(12.0 or newer, nvcc in PATH) with scripts/build cuda, or cmake -DISOBIT_CUDA=ON; simt executes the same kernels "
  "on the CPU")
if(NOT ISOBIT_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "ISOBIT_CUDA=${ISOBIT_CUDA}: AUTO, ON or OFF is expected")
endif()
if(ISOBIT_CUDA STREQUAL OFF)
  return()
endif()

# What does not fit: an error for ON, a line of the configuration for AUTO.
function(isobit_no_cuda reason)
  if(ISOBIT_CUDA STREQUAL AUTO)
    message(STATUS "CUDA: left out: ${reason}")
  else()
    message(FATAL_ERROR "ISOBIT_CUDA=ON: ${reason}")
  endif()
endfunction()

if(DEFINED ENV{CUDACXX} AND NOT ISOBIT_NVCC)
  set(ISOBIT_NVCC $ENV{CUDACXX} CACHE FILEPATH "nvcc")
endif()
find_program(ISOBIT_NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
if(NOT ISOBIT_NVCC)
  isobit_no_cuda("nvcc was not found. Install the CUDA toolkit, and put its bin folder into PATH or name the compiler \
with -DISOBIT_NVCC=/path/to/nvcc")
  return()
endif()
execute_process(COMMAND ${ISOBIT_NVCC} --version OUTPUT_VARIABLE nvcc_version ERROR_VARIABLE nvcc_version)
if(NOT nvcc_version MATCHES "release ([0-9]+\\.[0-9]+)")
  isobit_no_cuda("${ISOBIT_NVCC} --version says nothing of a release:\n${nvcc_version}")
  return()
endif()
set(nvcc_version ${CMAKE_MATCH_1})
if(nvcc_version VERSION_LESS 12.0)
  isobit_no_cuda("${ISOBIT_NVCC} is of CUDA ${nvcc_version}; isobit is C++20 and needs CUDA 12.0 or newer")
  return()
endif()

# nvcc refuses host compilers that are newer than itself; a small program tells before CMake's own checks stop everything.
set(probe ${CMAKE_CURRENT_BINARY_DIR}/nvcc_probe)
file(WRITE ${probe}.cu "#include <vector>\n#include <string>\n__global__ void k(int* x) { *x = 1; }\nint main() { return std::vector<std::string>().size(); }\n")
execute_process(COMMAND ${ISOBIT_NVCC} -std=c++20 -cudart shared -ccbin ${CMAKE_CXX_COMPILER} ${probe}.cu -o ${probe}
  RESULT_VARIABLE probe_result OUTPUT_VARIABLE probe_output ERROR_VARIABLE probe_output)
if(NOT probe_result EQUAL 0)
  string(SUBSTRING "${probe_output}" 0 600 probe_output)
  isobit_no_cuda("nvcc ${nvcc_version} (${ISOBIT_NVCC}) builds no program with the host compiler ${CMAKE_CXX_COMPILER} \
(${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}). Choose one that it supports with -DCMAKE_CXX_COMPILER=..., or \
a toolkit that supports this one. It said:\n${probe_output}")
  return()
endif()

if(ISOBIT_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES ${ISOBIT_CUDA_ARCHITECTURES})
elseif(nvcc_version VERSION_LESS 12.8)
  set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90)
  message(STATUS "CUDA: nvcc ${nvcc_version} knows no sm_100 and sm_120; newer GPUs compile the PTX of sm_90 when they start")
else()
  set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90-real 100 120)
endif()
# What this nvcc does not know is said here, and not by a hundred lines of a failed test of the compiler.
execute_process(COMMAND ${ISOBIT_NVCC} --list-gpu-arch OUTPUT_VARIABLE known RESULT_VARIABLE known_result ERROR_QUIET)
if(known_result EQUAL 0)
  foreach(architecture IN LISTS CMAKE_CUDA_ARCHITECTURES)
    string(REGEX MATCH "^[0-9]+" number "${architecture}")
    if(number AND NOT known MATCHES "compute_${number}(\n|$)")
      string(REGEX REPLACE "[^0-9]+" " " known "${known}")
      string(STRIP "${known}" known)
      isobit_no_cuda("nvcc ${nvcc_version} (${ISOBIT_NVCC}) knows no architecture ${number}. Choose among ${known} with \
-DISOBIT_CUDA_ARCHITECTURES=..., or a toolkit that knows it")
      return()
    endif()
  endforeach()
endif()
set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)
set(CMAKE_CUDA_COMPILER ${ISOBIT_NVCC})
set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)
# The program compares what it was built for with the GPU that it meets: so "native" becomes numbers.
if(CMAKE_CUDA_ARCHITECTURES STREQUAL native)
  if(NOT CMAKE_CUDA_ARCHITECTURES_NATIVE MATCHES "^[0-9]")
    message(FATAL_ERROR "ISOBIT_CUDA_ARCHITECTURES=native: this machine shows no GPU; name the architecture, as 80 or 90")
  endif()
  set(CMAKE_CUDA_ARCHITECTURES ${CMAKE_CUDA_ARCHITECTURES_NATIVE})
endif()
set(ISOBIT_HAS_CUDA ON)
message(STATUS "CUDA: nvcc ${nvcc_version} for ${CMAKE_CUDA_ARCHITECTURES}")
