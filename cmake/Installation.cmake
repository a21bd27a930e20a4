# What `cmake --install` copies beside the library, the command and the plugins, which say so themselves.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/connpool TYPE INCLUDE FILES_MATCHING PATTERN "*.h")

# All relative to the file, so that an installation may be moved (cmake --install --prefix).
set(pc_folder ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH prefix_from_pc ${pc_folder} ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" prefix_from_pc "${prefix_from_pc}")
file(RELATIVE_PATH include_from_pc ${pc_folder} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
configure_file(${PROJECT_SOURCE_DIR}/cmake/connpool.pc.in ${PROJECT_BINARY_DIR}/connpool.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/connpool.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

include(CMakePackageConfigHelpers)
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/connpool)
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/connpool-config-version.cmake
  COMPATIBILITY SameMinorVersion
)
install(FILES ${PROJECT_BINARY_DIR}/connpool-config-version.cmake DESTINATION ${package_folder})
install(EXPORT connpool FILE connpool-config.cmake NAMESPACE connpool:: DESTINATION ${package_folder})
