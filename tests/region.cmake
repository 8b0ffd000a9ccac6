# SPDX-License-Identifier: BSD-2-Clause
foreach(name region rows own death descriptor)
  tarn_test(${name} LAYERS region LABELS core)
endforeach()
