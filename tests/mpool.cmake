# SPDX-License-Identifier: BSD-2-Clause
foreach(name entry replace pin get write sync evict extent file record pool pool_fault)
  tarn_test(${name} LAYERS mpool LABELS core)
endforeach()

# The pool and the region once more, in a build where every write to a shared word is a step.
set(stepped "")
foreach(floor region mpool)
  get_target_property(sources tarn_${floor} SOURCES)
  list(TRANSFORM sources PREPEND ${PROJECT_SOURCE_DIR}/${floor}/)
  list(APPEND stepped ${sources})
endforeach()
tarn_test(steps SOURCES test_steps.c ${stepped} LAYERS backends LABELS core no-tsan)
target_compile_options(test_steps PRIVATE -include ${CMAKE_CURRENT_SOURCE_DIR}/steps.h)

foreach(name repair race)
  tarn_test(${name} LAYERS mpool LABELS core)
endforeach()
tarn_test(mpool_storm LAYERS mpool LABELS core no-tsan)
