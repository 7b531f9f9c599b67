# One library of all floors; the folders say who may include whom (docs/architecture.md), scripts/check-layout checks it.
file(GLOB_RECURSE core_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/core/*.cpp)
# The sources of a device: its folder's, or the objects that cuda/nvcc and cuda/host make of cuda/.
set(device_sources)
set(device_declarations "")
set(device_calls "")
foreach(device IN LISTS ISOBIT_DEVICES)
  if(device STREQUAL cuda)
    add_subdirectory(${PROJECT_SOURCE_DIR}/cuda/nvcc)
    list(APPEND device_sources $<TARGET_OBJECTS:isobit_cuda>)
  elseif(device STREQUAL simt)
    add_subdirectory(${PROJECT_SOURCE_DIR}/cuda/host)
    list(APPEND device_sources $<TARGET_OBJECTS:isobit_simt>)
  else()
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${device}/*.cpp)
    list(APPEND device_sources ${sources})
  endif()
  string(APPEND device_declarations "namespace isobit::${device} { void register_device(); }\n")
  string(APPEND device_calls "  isobit::${device}::register_device();\n")
endforeach()
foreach(device cuda simt)
  if(NOT device IN_LIST ISOBIT_DEVICES)
    string(APPEND device_calls "  report_missing_device(\"${device}\", \"${ISOBIT_MISSING_${device}}\");\n")
  endif()
endforeach()
configure_file(${PROJECT_SOURCE_DIR}/cmake/builtin_devices.cpp.in ${CMAKE_CURRENT_BINARY_DIR}/builtin_devices.cpp @ONLY)

# The shape files go into the library, so that `isobit verify` needs no folder of tests.
file(GLOB shape_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/shapes/*.txt)
list(SORT shape_files)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${shape_files})
set(shape_entries "")
foreach(file IN LISTS shape_files)
  get_filename_component(name ${file} NAME)
  file(READ ${file} text)
  string(APPEND shape_entries "    {\"${name}\", R\"shapes(${text})shapes\"},\n")
endforeach()
configure_file(${PROJECT_SOURCE_DIR}/cmake/builtin_shapes.cpp.in ${CMAKE_CURRENT_BINARY_DIR}/builtin_shapes.cpp @ONLY)

add_library(isobit ${core_sources} ${device_sources} ${CMAKE_CURRENT_BINARY_DIR}/builtin_devices.cpp
            ${CMAKE_CURRENT_BINARY_DIR}/builtin_shapes.cpp)
add_library(isobit::isobit ALIAS isobit)
target_include_directories(isobit
  PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/core/include> $<INSTALL_INTERFACE:include>
  PRIVATE ${PROJECT_SOURCE_DIR})
target_compile_features(isobit PUBLIC cxx_std_20)
# Long chains of dependent operations, several registers of them: g++ interleaves them only when it schedules before
# it gives out registers.
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND NOT ISOBIT_SANITIZE)
  set_source_files_properties(
    ${PROJECT_SOURCE_DIR}/cpu/kernels/unary_elementary_f32.cpp ${PROJECT_SOURCE_DIR}/cpu/kernels/binary_gradients_f32.cpp
    PROPERTIES COMPILE_OPTIONS -fschedule-insns)
endif()
target_link_libraries(isobit
  PUBLIC fmt::fmt
  PRIVATE $<BUILD_INTERFACE:isobit_options> Threads::Threads hwy::hwy ZLIB::ZLIB PNG::PNG JPEG::JPEG OpenSSL::Crypto
          $<BUILD_INTERFACE:nlohmann_json::nlohmann_json>)
if(ISOBIT_HAS_CUDA)
  target_link_libraries(isobit PRIVATE CUDA::cudart)
  # For users' own .cu files: fmt 9 thinks that nvcc's C++20 cannot check format strings; it can.
  target_compile_definitions(isobit INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:FMT_USE_CONSTEXPR=1>)
endif()
set_target_properties(isobit PROPERTIES DEFINE_SYMBOL "" VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
