# SPDX-License-Identifier: BSD-2-Clause
# The targets that more than one folder needs.
#
#   TARN_LAYERS                the floors of the library, lowest first
#   tarn_backend_modules()     called by backends/: one module per backend of the port, and the target
#                              tarn_modules for all of them
#   tarn_libraries()           joins the floors into the libraries that are installed
#   tarn_link_layers(T L...)   links the floors up to the highest of L into the executable T, so that
#                              tests reach what the library hides

set(TARN_LAYERS os backends region mpool)
set(TARN_BACKEND_BUILD_DIR ${CMAKE_BINARY_DIR}/backends)

# backends/<name>.c is a module of its own, or with TARN_STATIC_BACKENDS part of the library.
function(tarn_backend_modules)
  target_sources(tarn_backends PRIVATE ${TARN_GENERATED}/tarn_static_backends.c)
  add_custom_target(tarn_modules)
  foreach(name IN LISTS TARN_PORT_BACKENDS)
    if(TARN_STATIC_BACKENDS)
      target_sources(tarn_backends PRIVATE ${name}.c)
      continue()
    endif()
    add_library(tarn_backend_${name} MODULE ${name}.c)
    set_target_properties(tarn_backend_${name} PROPERTIES PREFIX "" SUFFIX .so
      LIBRARY_OUTPUT_DIRECTORY ${TARN_BACKEND_BUILD_DIR})
    add_dependencies(tarn_modules tarn_backend_${name})
    install(TARGETS tarn_backend_${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/tarn)
  endforeach()
endfunction()

# Both kinds are made from the same objects, so the second costs one link: `tarn` is what programs
# link (tarn::tarn), `tarn_static` the archive for those that want no library at run time.
function(tarn_libraries)
  set(objects "")
  foreach(layer IN LISTS TARN_LAYERS)
    list(APPEND objects $<TARGET_OBJECTS:tarn_${layer}>)
  endforeach()
  add_library(tarn SHARED ${objects})
  add_library(tarn_static STATIC ${objects})
  set_target_properties(tarn PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0)
  set_target_properties(tarn_static PROPERTIES OUTPUT_NAME tarn EXPORT_NAME static)
  foreach(library tarn tarn_static)
    set_target_properties(${library} PROPERTIES LINKER_LANGUAGE C)
    target_include_directories(${library} INTERFACE
      $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    target_link_libraries(${library} PRIVATE Threads::Threads ${TARN_PORT_LIBS})
  endforeach()
  if(NOT TARN_SANITIZE AND CMAKE_SYSTEM_NAME STREQUAL "Linux")
    target_link_options(tarn PRIVATE LINKER:-z,defs) # nothing is left for a program to bring
  endif()
  add_library(tarn::tarn ALIAS tarn)
  add_library(tarn::static ALIAS tarn_static)
endfunction()

function(tarn_link_layers target)
  set(wanted ${ARGN})
  set(linked "")
  foreach(layer IN LISTS TARN_LAYERS)
    if(NOT wanted)
      break()
    endif()
    list(APPEND linked tarn_${layer})
    list(REMOVE_ITEM wanted ${layer})
  endforeach()
  if(wanted)
    message(FATAL_ERROR "${target}: no such layer: ${wanted} (there are: ${TARN_LAYERS})")
  endif()
  target_link_libraries(${target} PRIVATE ${linked} Threads::Threads ${TARN_PORT_LIBS})
endfunction()
