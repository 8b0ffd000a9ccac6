# SPDX-License-Identifier: BSD-2-Clause
# Modules that the loader must refuse, or that the choice passes over.
set(TARN_FAKES ${CMAKE_BINARY_DIR}/tests/fakes)
file(MAKE_DIRECTORY ${TARN_FAKES})
file(CHMOD ${TARN_FAKES} PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
function(tarn_fake name)
  add_library(fake_${name} MODULE modules/fake_backend.c)
  target_compile_definitions(fake_${name} PRIVATE FAKE_NAME=${name} ${ARGN})
  set_target_properties(fake_${name} PROPERTIES PREFIX "" SUFFIX .so
    OUTPUT_NAME tarn_backend_${name} LIBRARY_OUTPUT_DIRECTORY ${TARN_FAKES})
  add_custom_command(TARGET fake_${name} POST_BUILD
    COMMAND chmod go-w $<TARGET_FILE:fake_${name}>)
endfunction()
tarn_fake(alpha)
tarn_fake(beta)
tarn_fake(full FAKE_ERR=TARN_ENOSPC)
tarn_fake(local FAKE_LOCAL=1)
tarn_fake(old FAKE_ABI=77)
tarn_fake(liar FAKE_SAYS=alpha)
tarn_fake(torn FAKE_CAPS=3)
tarn_fake(nameless FAKE_EXPORT=other)

foreach(name load choose)
  tarn_test(${name} LAYERS backends LABELS core valgrind)
  target_compile_definitions(test_${name} PRIVATE TARN_FAKES="${TARN_FAKES}")
  foreach(fake alpha beta full local old liar torn nameless)
    add_dependencies(test_${name} fake_${fake})
  endforeach()
endforeach()

# The contract, once per backend of the port.
foreach(name IN LISTS TARN_PORT_BACKENDS)
  tarn_test(backend_${name} SOURCES test_backend.c LAYERS backends ARGS ${name} LABELS core)
endforeach()
if(mmap IN_LIST TARN_PORT_BACKENDS)
  tarn_test(mmap LAYERS backends LABELS core valgrind)
endif()

# Backends that share in a way of their own, up to the regions that they serve.
foreach(name anon sysv)
  if(${name} IN_LIST TARN_PORT_BACKENDS)
    tarn_test(${name} LAYERS region LABELS core)
  endif()
endforeach()

# Tests of the floors above, once more on memory of another kind.
function(tarn_tests_with backend)
  if(NOT backend IN_LIST TARN_PORT_BACKENDS)
    return()
  endif()
  foreach(name IN LISTS ARGN)
    set(folder ${CMAKE_BINARY_DIR}/run/${name}.${backend})
    file(MAKE_DIRECTORY ${folder})
    add_test(NAME ${name}.${backend} COMMAND $<TARGET_FILE:test_${name}> WORKING_DIRECTORY ${folder})
    set_tests_properties(${name}.${backend} PROPERTIES TIMEOUT 120 SKIP_RETURN_CODE 77
      ENVIRONMENT "TARN_BACKEND=${backend};TARN_BACKEND_PATH=${TARN_BACKEND_BUILD_DIR};TARN_TEST_BUILD=${CMAKE_BINARY_DIR}")
  endforeach()
endfunction()
tarn_tests_with(sysv env own fork get file sync race)
tarn_tests_with(anon env fork get)
