# SPDX-License-Identifier: BSD-2-Clause
# The examples, and what the README shows.
if(TARGET tarn_tool)
  tarn_test(examples LABELS core)
  target_compile_definitions(test_examples PRIVATE TARN_SOURCE="${PROJECT_SOURCE_DIR}")
  add_dependencies(test_examples tarn_tool hello_region page_cache)
endif()
