# SPDX-License-Identifier: BSD-2-Clause
tarn_test(region LAYERS region LABELS core)
