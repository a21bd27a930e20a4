# The event loops that there are adapters for (include/connpool/adapters), each as a target to link to: loop_libuv,
# loop_libev, loop_libevent, loop_glib, loop_epoll. CONNPOOL_LOOPS has the names of those that are there. Only examples
# and tests use them; the tests want all.
pkg_check_modules(LIBUV IMPORTED_TARGET libuv>=1.44)
pkg_check_modules(LIBEVENT IMPORTED_TARGET libevent_core>=2.1)
pkg_check_modules(GLIB IMPORTED_TARGET glib-2.0>=2.74)
# libev comes without a file for pkg-config.
find_path(LIBEV_INCLUDE_FOLDER ev.h)
find_library(LIBEV_LIBRARY ev)
mark_as_advanced(LIBEV_INCLUDE_FOLDER LIBEV_LIBRARY)

# connpool_loop(NAME FOUND LIBRARY…)
function(connpool_loop name is_found)
  if(is_found)
    add_library(loop_${name} INTERFACE)
    target_link_libraries(loop_${name} INTERFACE ${ARGN})
    set(CONNPOOL_LOOPS ${CONNPOOL_LOOPS} ${name} PARENT_SCOPE)
  elseif(CONNPOOL_TESTS)
    message(FATAL_ERROR "the tests need ${name}, which is not there")
  endif()
endfunction()

set(CONNPOOL_LOOPS "")
connpool_loop(epoll TRUE)
connpool_loop(libuv "${LIBUV_FOUND}" PkgConfig::LIBUV)
connpool_loop(libevent "${LIBEVENT_FOUND}" PkgConfig::LIBEVENT)
connpool_loop(glib "${GLIB_FOUND}" PkgConfig::GLIB)
if(LIBEV_INCLUDE_FOLDER AND LIBEV_LIBRARY)
  connpool_loop(libev TRUE ${LIBEV_LIBRARY})
  target_include_directories(loop_libev SYSTEM INTERFACE ${LIBEV_INCLUDE_FOLDER})
else()
  connpool_loop(libev FALSE)
endif()
