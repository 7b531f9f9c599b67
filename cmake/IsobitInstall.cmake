# cmake --install and find_package(isobit): the library, its public headers, the program, the version.
option(ISOBIT_INSTALL "make install rules" ${PROJECT_IS_TOP_LEVEL})
if(NOT ISOBIT_INSTALL)
  return()
endif()
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/isobit)

install(TARGETS isobit EXPORT isobitTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(EXPORT isobitTargets NAMESPACE isobit:: DESTINATION ${package_dir})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/core/include/isobit DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h")
if(TARGET isobit_cli)
  install(TARGETS isobit_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

get_target_property(library_type isobit TYPE)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/isobitConfig.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/isobitConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/isobitConfigVersion.cmake
  VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/isobitConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/isobitConfigVersion.cmake
  DESTINATION ${package_dir})
