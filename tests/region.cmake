# SPDX-License-Identifier: BSD-2-Clause
foreach(name env region rows descriptor)
  tarn_test(${name} LAYERS region LABELS core valgrind)
endforeach()
foreach(name own death fork region_fault)
  tarn_test(${name} LAYERS region LABELS core)
endforeach()

# Kills: fewer where all is slower.
set(kills 200)
if(TARN_SANITIZE)
  set(kills 40)
endif()
tarn_test(storm LAYERS region ARGS ${kills} TIMEOUT 120)
