# SPDX-License-Identifier: BSD-2-Clause
foreach(name region rows own)
  tarn_test(${name} LAYERS region LABELS core)
endforeach()
