# SPDX-License-Identifier: BSD-2-Clause
# The Apache Portable Runtime, version 1: target APR::APR.  apr-1-config comes with it and knows the
# definitions that its headers want, so pkg-config is not needed.
find_path(APR_INCLUDE_DIR apr_general.h PATH_SUFFIXES apr-1.0 apr-1)
find_library(APR_LIBRARY NAMES apr-1)
find_program(APR_CONFIG NAMES apr-1-config apr-config)
mark_as_advanced(APR_INCLUDE_DIR APR_LIBRARY APR_CONFIG)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(APR REQUIRED_VARS APR_LIBRARY APR_INCLUDE_DIR)

if(APR_FOUND AND NOT TARGET APR::APR)
  set(APR_FLAGS "")
  if(APR_CONFIG AND NOT CMAKE_CROSSCOMPILING)
    execute_process(COMMAND ${APR_CONFIG} --cppflags
      OUTPUT_VARIABLE APR_FLAGS OUTPUT_STRIP_TRAILING_WHITESPACE)
    separate_arguments(APR_FLAGS)
  endif()
  add_library(APR::APR UNKNOWN IMPORTED)
  set_target_properties(APR::APR PROPERTIES
    IMPORTED_LOCATION "${APR_LIBRARY}"
    INTERFACE_COMPILE_OPTIONS "${APR_FLAGS}"
    INTERFACE_INCLUDE_DIRECTORIES "${APR_INCLUDE_DIR}")
endif()
