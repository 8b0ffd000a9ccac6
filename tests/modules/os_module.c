/* SPDX-License-Identifier: BSD-2-Clause */
int module_answer(void);
int module_answer(void) { return 42; }
