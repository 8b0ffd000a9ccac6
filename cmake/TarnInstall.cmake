# SPDX-License-Identifier: BSD-2-Clause
# What is installed: both libraries, the headers, a CMake package, and two pkg-config files (`tarn`,
# and `tarn-static` which names the archive).  Nothing in them depends on where the prefix is.
include(CMakePackageConfigHelpers)

install(TARGETS tarn tarn_static EXPORT tarn-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/tarn DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/tarn)
install(EXPORT tarn-targets NAMESPACE tarn:: DESTINATION ${package})
configure_file(cmake/tarn-config.cmake.in ${TARN_GENERATED}/tarn-config.cmake COPYONLY)
write_basic_package_version_file(${TARN_GENERATED}/tarn-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${TARN_GENERATED}/tarn-config.cmake ${TARN_GENERATED}/tarn-config-version.cmake
  DESTINATION ${package})

# From libdir/pkgconfig back to the prefix.
file(RELATIVE_PATH TARN_PC_UP /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
string(REGEX REPLACE "/$" "" TARN_PC_UP "${TARN_PC_UP}")
set(system_libs -pthread)
foreach(lib IN LISTS TARN_PORT_LIBS)
  string(APPEND system_libs " -l${lib}")
endforeach()
function(tarn_pkg_config TARN_PC_NAME TARN_PC_LIBS)
  configure_file(cmake/tarn.pc.in ${TARN_GENERATED}/${TARN_PC_NAME}.pc @ONLY)
  install(FILES ${TARN_GENERATED}/${TARN_PC_NAME}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()
tarn_pkg_config(tarn "-L\${libdir} -ltarn")
tarn_pkg_config(tarn-static "\${libdir}/libtarn.a ${system_libs}")
