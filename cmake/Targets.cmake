# How plugins and benchmarks are made. Each takes its sources as a list; nothing is globbed.

# connpool_plugin(NAME SOURCES file… [LIBRARIES target…] [FOLDER folder] [TEST])
#
# A manager plugin: target connpool_NAME, product lib/connpool/connpool_NAME.so, installed. Only connpool_manager is
# exported. It sees the public headers and links nothing of the host. TEST: a plugin for tests, in
# tests/plugins/[FOLDER/], not installed.
function(connpool_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "TEST" "FOLDER" "SOURCES;LIBRARIES")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_SOURCES)
    message(FATAL_ERROR "connpool_plugin(${name}): SOURCES missing or unknown words: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  set(target connpool_${name})
  set(folder ${PROJECT_BINARY_DIR}/lib/connpool)
  if(arg_TEST)
    string(MAKE_C_IDENTIFIER "test_plugin_${arg_FOLDER}_${name}" target)
    set(folder ${PROJECT_BINARY_DIR}/tests/plugins/${arg_FOLDER})
  endif()
  add_library(${target} MODULE ${arg_SOURCES})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(${target} PRIVATE connpool_flags ${arg_LIBRARIES})
  target_link_options(${target} PRIVATE ${CONNPOOL_NO_UNDEFINED} -Wl,-z,nodelete)
  set_target_properties(
    ${target}
    PROPERTIES PREFIX "" OUTPUT_NAME connpool_${name} LIBRARY_OUTPUT_DIRECTORY ${folder}
  )
  if(NOT arg_TEST)
    set_property(GLOBAL APPEND PROPERTY CONNPOOL_PLUGINS ${target})
    install(TARGETS ${target} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/connpool)
  endif()
endfunction()

# connpool_bench(NAME SOURCES file… [LIBRARIES target…])
#
# A benchmark that `./dev bench` runs: benchmarks/NAME, linked to the library as an application is, and to what they
# share.
function(connpool_bench name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBRARIES")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_SOURCES)
    message(FATAL_ERROR "connpool_bench(${name}): SOURCES missing or unknown words: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  add_executable(bench_${name} ${arg_SOURCES})
  target_link_libraries(bench_${name} PRIVATE connpool_flags bench_common connpool ${arg_LIBRARIES})
  set_target_properties(
    bench_${name}
    PROPERTIES OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/benchmarks
  )
endfunction()
