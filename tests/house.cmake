# SPDX-License-Identifier: BSD-2-Clause
# Tests of the build itself.  The scripts print the same lines as check.h does.
tarn_test(version LABELS core valgrind)

add_test(NAME ports COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/ports.sh
  ${CMAKE_COMMAND} ${PROJECT_SOURCE_DIR} ${CMAKE_BINARY_DIR})
set_tests_properties(ports PROPERTIES TIMEOUT 120)

# What a sanitizer adds to the objects is nobody's layer.
if(NOT TARN_SANITIZE)
  add_test(NAME layers COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/layers.sh
    ${PROJECT_SOURCE_DIR} ${CMAKE_BINARY_DIR})
endif()

# A stranger cannot be asked to link a sanitizer.
if(NOT TARN_SANITIZE)
  add_test(NAME consumer COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/consumer.sh
    ${CMAKE_COMMAND} ${PROJECT_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  set_tests_properties(consumer PROPERTIES TIMEOUT 120)
endif()

add_executable(check_self check_self.c)
target_link_libraries(check_self PRIVATE tarn::tarn CUnit::CUnit)
add_test(NAME report COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/report.sh
  ${PROJECT_SOURCE_DIR} $<TARGET_FILE:check_self>)
