# SPDX-License-Identifier: BSD-2-Clause
foreach(name os_file os_name os_memory os_sync os_proc os_misc os_fault os_calls)
  tarn_test(${name} LAYERS os LABELS core)
endforeach()
foreach(name stack text tmpdir)
  tarn_test(${name} LAYERS os LABELS core valgrind)
endforeach()

# Its open, write and so on take the place of the C library's: they need the names that os/ uses.
target_compile_definitions(test_os_calls PRIVATE _FILE_OFFSET_BITS=64)

add_library(os_module MODULE modules/os_module.c)
set_target_properties(os_module PROPERTIES PREFIX "" SUFFIX .so C_VISIBILITY_PRESET default)
add_dependencies(test_os_misc os_module)
target_compile_definitions(test_os_misc PRIVATE TARN_OS_MODULE="$<TARGET_FILE:os_module>")
