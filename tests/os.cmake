# SPDX-License-Identifier: BSD-2-Clause
foreach(name os_file os_name os_memory os_sync)
  tarn_test(${name} LAYERS os LABELS core)
endforeach()
