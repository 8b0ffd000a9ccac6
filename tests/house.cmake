# SPDX-License-Identifier: BSD-2-Clause
tarn_test(version LABELS core)
