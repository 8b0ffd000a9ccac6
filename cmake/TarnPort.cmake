# SPDX-License-Identifier: BSD-2-Clause
# Takes the ports file of this system, or the one of -DTARN_PORT=path, asks the compiler whether it
# is true, and makes from it, in TARN_GENERATED:
#   tarn_port.h        TARN_HAVE_*, TARN_FACT_*, and the texts that the library wants
#   tarn_port_table.c  the platform's table of OS functions, as `serves` says (struct tarn_port_os)
#   tarn_port_facts.c  names and values for `tarn ports` (ports/facts.h)
# Sets TARN_PORT_* (TarnPortRead.cmake) with the table among TARN_PORT_SOURCES, TARN_PORT_NAME, and
# the target tarn_port_facts.
include(CheckSymbolExists)
include(CheckCSourceCompiles)
include(${CMAKE_CURRENT_LIST_DIR}/TarnPortRead.cmake)

set(TARN_GENERATED ${CMAKE_BINARY_DIR}/generated)
string(TOLOWER ${CMAKE_SYSTEM_NAME} system)
set(TARN_PORT ${CMAKE_CURRENT_SOURCE_DIR}/ports/${system}.port CACHE FILEPATH
  "The ports file: what this platform has")
get_filename_component(TARN_PORT_FILE ${TARN_PORT} ABSOLUTE BASE_DIR ${CMAKE_CURRENT_SOURCE_DIR})
get_filename_component(TARN_PORT_NAME ${TARN_PORT_FILE} NAME_WE)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${TARN_PORT_FILE}
  ${CMAKE_CURRENT_SOURCE_DIR}/os/slots.h)

function(tarn_port_check)
  if(NOT TARN_PORT_SYSTEM STREQUAL CMAKE_SYSTEM_NAME)
    tarn_port_error("${TARN_PORT_FILE}:${TARN_PORT_LINE_system}" "system: this port is for ${TARN_PORT_SYSTEM}, the build is for ${CMAKE_SYSTEM_NAME}")
  endif()
  list(TRANSFORM TARN_PORT_DEFINES PREPEND -D OUTPUT_VARIABLE CMAKE_REQUIRED_DEFINITIONS)
  set(CMAKE_REQUIRED_LIBRARIES Threads::Threads ${TARN_PORT_LIBS})
  set(CMAKE_REQUIRED_QUIET ON)
  set(have "")
  set(optional "")
  foreach(item IN LISTS TARN_PORT_REQUIRES TARN_PORT_OPTIONAL)
    string(REPLACE "|" ";" item_parts "${item}")
    list(GET item_parts 0 line)
    list(GET item_parts 1 call)
    list(GET item_parts 2 header)
    string(TOUPPER "TARN_HAVE_${call}" variable)
    check_symbol_exists(${call} ${header} ${variable})
    if(item IN_LIST TARN_PORT_OPTIONAL)
      string(COMPARE NOTEQUAL "${${variable}}" "" there)
      string(APPEND have "#define ${variable} ${there}\n")
      list(APPEND optional "${call}|${there}")
    elseif(NOT ${variable})
      unset(${variable} CACHE)
      tarn_port_error("${TARN_PORT_FILE}:${line}" "requires: '${call}' is not in <${header}> here")
    endif()
  endforeach()
  check_c_source_compiles("#include <stdatomic.h>
    _Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_LONG_LOCK_FREE == 2, \"\");
    int main(void) { return 0; }" TARN_LOCK_FREE_64)
  if(TARN_PORT_FACT_lock_free_64 AND NOT TARN_LOCK_FREE_64)
    tarn_port_error("${TARN_PORT_FILE}:${TARN_PORT_LINE_fact_lock_free_64}" "fact lock_free_64: the compiler says that 64-bit atomics take a lock here")
  endif()
  set(TARN_PORT_HAVE "${have}" PARENT_SCOPE)
  set(TARN_PORT_HAVE_LIST "${optional}" PARENT_SCOPE)
endfunction()

# tarn_port.h: a fact of yes and no is 0 or 1, one of many values a constant for each of them.
function(tarn_port_header)
  set(facts "")
  foreach(fact IN LISTS TARN_PORT_FACTS)
    string(TOUPPER "TARN_FACT_${fact}" name)
    set(values ${TARN_PORT_FACT_VALUES_${fact}})
    if(values STREQUAL "words")
      string(REPLACE ";" " " words "${TARN_PORT_FACT_${fact}}")
      string(APPEND facts "#define ${name} \"${words}\"\n")
    elseif(values STREQUAL "yes;no")
      string(COMPARE EQUAL "${TARN_PORT_FACT_${fact}}" yes truth)
      string(APPEND facts "#define ${name} ${truth}\n")
    else()
      foreach(value IN LISTS values)
        string(TOUPPER ${value} upper)
        string(COMPARE EQUAL "${TARN_PORT_FACT_${fact}}" ${value} truth)
        string(APPEND facts "#define ${name}_${upper} ${truth}\n")
      endforeach()
    endif()
  endforeach()
  string(REGEX REPLACE "(TARN_[A-Z_]+) \n" "\\1 0\n" facts "${facts}")
  string(REPLACE ";" "," backends "${TARN_PORT_BACKENDS}")
  file(CONFIGURE OUTPUT ${TARN_GENERATED}/tarn_port.h @ONLY CONTENT
"/* SPDX-License-Identifier: BSD-2-Clause */
/* Made from ports/@TARN_PORT_NAME@.port by cmake/TarnPort.cmake. */
#ifndef TARN_PORT_H
#define TARN_PORT_H

/* Backends in order of preference, where nobody asks for one. */
#define TARN_PORT_BACKENDS \"${backends}\"

/* Where installed backend modules are. */
#define TARN_BACKEND_DIR \"${CMAKE_INSTALL_FULL_LIBDIR}/tarn\"

/* What the platform is. */
${facts}
/* Optional calls. */
${TARN_PORT_HAVE}
#endif
")
endfunction()

function(tarn_port_table)
  set(declarations "")
  set(tables "")
  set(entries "")
  set(implementations "")
  foreach(group IN LISTS TARN_PORT_GROUPS)
    string(APPEND tables "static const struct tarn_os_${group} port_${group} = {\n"
      "    .size = sizeof(struct tarn_os_${group}),\n")
    foreach(slot IN LISTS TARN_PORT_SLOTS_${group})
      set(by ${TARN_PORT_SERVES_${group}_${slot}})
      list(APPEND implementations ${by})
      string(APPEND tables "    .${slot} = ${by}_${group}_${slot},\n")
    endforeach()
    string(APPEND tables "};\n\n")
    string(APPEND entries "    .${group} = &port_${group},\n")
  endforeach()
  list(REMOVE_DUPLICATES implementations)
  list(REMOVE_ITEM implementations absent)
  foreach(by IN LISTS implementations)
    string(APPEND declarations
      "#define SLOT_INT(group, name, params, ...) int ${by}_##group##_##name params;\n"
      "#define SLOT_VOID(group, name, params, ...) void ${by}_##group##_##name params;\n"
      "SLOTS(SLOT_INT, SLOT_INT, SLOT_VOID)\n"
      "#undef SLOT_INT\n#undef SLOT_VOID\n\n")
  endforeach()
  file(CONFIGURE OUTPUT ${TARN_GENERATED}/tarn_port_table.c @ONLY CONTENT
"/* SPDX-License-Identifier: BSD-2-Clause */
/* Made from ports/${TARN_PORT_NAME}.port by cmake/TarnPort.cmake. */
#include \"os/absent.h\"

/* Declared for all slots; only those that the tables name need to exist. */
${declarations}${tables}extern const struct tarn_os tarn_port_os;
const struct tarn_os tarn_port_os = {
    .size = sizeof(struct tarn_os),
    .name = \"${TARN_PORT_NAME}\",
${entries}};
")
endfunction()

# What each fact is about, in the words of `tarn ports`; ports/README.md has the whole table.
set(TARN_PORT_ABOUT_lock_free_64 "64-bit atomics take no lock; without: no shared backends")
set(TARN_PORT_ABOUT_robust_word "the kernel marks a word when its holder dies; without: the lock byte alone tells")
set(TARN_PORT_ABOUT_lock_byte "file locks that the kernel releases at death; without: the robust word alone tells")
set(TARN_PORT_ABOUT_wait_any "sleep on several words at once; without: look again every 1 to 10 ms")
set(TARN_PORT_ABOUT_membarrier "one process can have all pass a barrier; without: a pin is an exchange")
set(TARN_PORT_ABOUT_publish "how a descriptor gets its name whole")
set(TARN_PORT_ABOUT_map_beyond_end "address space beyond the end of a file; without: regions do not grow")
set(TARN_PORT_ABOUT_coherent_mmap "a mapping shows what write put into the file; without: no mapped files")
set(TARN_PORT_ABOUT_punch "parts of a file can be given back; without: regions do not shrink")
set(TARN_PORT_ABOUT_firm_fs "file systems where allocated means writable; on others: a warning")

function(tarn_port_facts)
  set(lines "")
  macro(fact_line name value about)
    string(APPEND lines "    { \"${name}\", \"${value}\", \"${about}\" },\n")
  endmacro()
  fact_line(system "${TARN_PORT_SYSTEM}" "")
  fact_line(tier "${TARN_PORT_TIER}" "1: every test on every change; 2: now and then; 3: as its users report")
  foreach(key backends emulator sysroot)
    string(TOUPPER ${key} upper)
    string(REPLACE ";" " " value "${TARN_PORT_${upper}}")
    if(value)
      fact_line(${key} "${value}" "")
    endif()
  endforeach()
  foreach(fact IN LISTS TARN_PORT_FACTS)
    string(REPLACE ";" " " value "${TARN_PORT_FACT_${fact}}")
    fact_line("fact ${fact}" "${value}" "${TARN_PORT_ABOUT_${fact}}")
  endforeach()
  foreach(item IN LISTS TARN_PORT_HAVE_LIST)
    string(REGEX MATCH "(.*)\\|(.*)" item "${item}")
    set(value no)
    if(CMAKE_MATCH_2)
      set(value yes)
    endif()
    fact_line("optional ${CMAKE_MATCH_1}" ${value} "")
  endforeach()
  foreach(group IN LISTS TARN_PORT_GROUPS)
    foreach(slot IN LISTS TARN_PORT_SLOTS_${group})
      fact_line("serves ${group}.${slot}" "${TARN_PORT_SERVES_${group}_${slot}}" "")
    endforeach()
  endforeach()
  file(CONFIGURE OUTPUT ${TARN_GENERATED}/tarn_port_facts.c @ONLY CONTENT
"/* SPDX-License-Identifier: BSD-2-Clause */
/* Made from ports/${TARN_PORT_NAME}.port by cmake/TarnPort.cmake. */
#include \"ports/facts.h\"

const char port_name[] = \"${TARN_PORT_NAME}\";

const struct port_fact port_facts[] = {
${lines}    { NULL, NULL, NULL },
};
")
endfunction()

# backends/load.c looks here first: what is linked in, or nothing.
function(tarn_port_static_backends)
  set(declarations "")
  set(entries "")
  if(TARN_STATIC_BACKENDS)
    foreach(name IN LISTS TARN_PORT_BACKENDS)
      string(APPEND declarations "extern const struct tarn_backend tarn_backend_${name};\n")
      string(APPEND entries "    &tarn_backend_${name},\n")
    endforeach()
  endif()
  file(CONFIGURE OUTPUT ${TARN_GENERATED}/tarn_static_backends.h @ONLY CONTENT
"/* SPDX-License-Identifier: BSD-2-Clause */
/* The backends that are linked into the library, ended by NULL. */
#ifndef TARN_STATIC_BACKENDS_H
#define TARN_STATIC_BACKENDS_H

#include <tarn/backend.h>

extern const struct tarn_backend *const tarn_static_backends[];

#endif
")
  file(CONFIGURE OUTPUT ${TARN_GENERATED}/tarn_static_backends.c @ONLY CONTENT
"/* SPDX-License-Identifier: BSD-2-Clause */
#include \"tarn_static_backends.h\"

${declarations}
const struct tarn_backend *const tarn_static_backends[] = {
${entries}    NULL,
};
")
endfunction()

tarn_port_read(${TARN_PORT_FILE})
tarn_port_check()
tarn_port_header()
tarn_port_table()
tarn_port_facts()
tarn_port_static_backends()
list(APPEND TARN_PORT_SOURCES ${TARN_GENERATED}/tarn_port_table.c)
if(CMAKE_CROSSCOMPILING AND TARN_PORT_EMULATOR)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${TARN_PORT_EMULATOR})
endif()

# Called when the include path stands.
function(tarn_port_targets)
  add_library(tarn_port_facts OBJECT ${TARN_GENERATED}/tarn_port_facts.c)
endfunction()
