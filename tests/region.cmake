# SPDX-License-Identifier: BSD-2-Clause
foreach(name env region rows descriptor)
  tarn_test(${name} LAYERS region LABELS core valgrind)
endforeach()
foreach(name own death fork region_fault)
  tarn_test(${name} LAYERS region LABELS core)
endforeach()
tarn_test(storm LAYERS region TIMEOUT 120)
