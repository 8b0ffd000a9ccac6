# SPDX-License-Identifier: BSD-2-Clause
# The tool: its parts alone, and as people use it.
if(TARN_TOOLS)
  list(TRANSFORM TARN_TOOL_PARTS PREPEND ${PROJECT_SOURCE_DIR}/tools/ OUTPUT_VARIABLE parts)
  tarn_test(tool_texts SOURCES test_tool_texts.c ${parts} LAYERS os LIBS APR::APR m LABELS core)
endif()
if(TARGET tarn_tool)
  tarn_test(tool_run LABELS core TIMEOUT 120)
  tarn_test(tool_look LABELS core)
  tarn_test(newcomer LABELS core)
  foreach(name tool_run tool_look newcomer)
    add_dependencies(test_${name} tarn_tool hello_region page_cache)
  endforeach()
endif()
