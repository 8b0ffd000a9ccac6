/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the ports file said when this Tarn was built: generated, for `tarn ports`.  A program that
 * wants it links the CMake target tarn_port_facts.
 */
#ifndef TARN_PORTS_FACTS_H
#define TARN_PORTS_FACTS_H

#include <stddef.h>

struct port_fact {
    const char *name, *value; /* "fact lock_byte", "ofd"; the last has NULL */
    const char *meaning;      /* one line, or "" */
};

extern const struct port_fact port_facts[];
extern const char port_name[]; /* "linux" */

#endif
