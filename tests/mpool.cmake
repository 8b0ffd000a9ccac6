# SPDX-License-Identifier: BSD-2-Clause
foreach(name entry replace pin get)
  tarn_test(${name} LAYERS mpool LABELS core)
endforeach()
