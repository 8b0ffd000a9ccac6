# SPDX-License-Identifier: BSD-2-Clause
set(TARN_GENERATED ${CMAKE_BINARY_DIR}/generated)
set(TARN_PORT_DEFINES _GNU_SOURCE)
set(TARN_PORT_BACKENDS mmap malloc)
set(TARN_PORT_LIBS dl)
