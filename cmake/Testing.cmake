# How tests are made: one executable a file, one process each, with a time limit.

if(CONNPOOL_TESTS)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
  pkg_check_modules(LIBSSH REQUIRED IMPORTED_TARGET libssh>=0.10)
endif()

# What runs a test. Where the kernel spreads mappings widely (vm.mmap_rnd_bits 32) the sanitizers of these compilers
# find their shadow memory taken, so address randomisation is switched off for them where that is allowed.
set(CONNPOOL_TEST_LAUNCHER "")
set(CONNPOOL_TEST_ENVIRONMENT "")
if(CONNPOOL_SANITIZE)
  find_program(SETARCH setarch)
  mark_as_advanced(SETARCH)
  if(SETARCH)
    execute_process(COMMAND ${SETARCH} -R true RESULT_VARIABLE setarch_result OUTPUT_QUIET ERROR_QUIET)
    if(setarch_result EQUAL 0)
      set(CONNPOOL_TEST_LAUNCHER ${SETARCH} -R)
    endif()
  endif()
  set(CONNPOOL_TEST_ENVIRONMENT
      ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1:allocator_may_return_null=1
      UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
      TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
  )
endif()

# connpool_test_library(TARGET SOURCES file… [LIBRARIES target…])
#
# What several tests share, compiled once: a static library whose code sees what that of connpool_test does.
function(connpool_test_library target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBRARIES")
  add_library(${target} STATIC ${arg_SOURCES})
  connpool_test_definitions(${target})
  target_include_directories(${target} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE connpool_flags PUBLIC connpool_kit connpool_testing PkgConfig::CMOCKA ${arg_LIBRARIES})
endfunction()

function(connpool_test_definitions target)
  target_compile_definitions(
    ${target}
    PRIVATE CONNPOOL_TEST_SOURCE_FOLDER="${PROJECT_SOURCE_DIR}"
            CONNPOOL_TEST_BINARY_FOLDER="${PROJECT_BINARY_DIR}"
            CONNPOOL_TEST_PLUGIN_FOLDER="${PROJECT_BINARY_DIR}/lib/connpool"
            CONNPOOL_TEST_TEST_PLUGIN_FOLDER="${PROJECT_BINARY_DIR}/tests/plugins"
  )
endfunction()

# connpool_test(NAME SOURCES file… LABELS label… [TIMEOUT seconds] [LIBRARIES target…] [ENVIRONMENT NAME=VALUE…]
#               [ARGUMENTS word…] [RUN_SERIAL] [SHARED])
#
# The test NAME (folder/what, as unit/foo): executable tests/NAME, linked to cmocka, the test kit and connpool_testing
# (all of core/ with its private symbols), or with SHARED to libconnpool.so as an application is. Time limit 60 s unless
# told. RUN_SERIAL: alone on the machine. Its code sees CONNPOOL_TEST_SOURCE_FOLDER (the tree),
# CONNPOOL_TEST_BINARY_FOLDER (build/<preset>), CONNPOOL_TEST_PLUGIN_FOLDER (the product's plugins) and
# CONNPOOL_TEST_TEST_PLUGIN_FOLDER (those made with connpool_plugin(… TEST)).
function(connpool_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "RUN_SERIAL;SHARED" "TIMEOUT" "SOURCES;LABELS;LIBRARIES;ENVIRONMENT;ARGUMENTS")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_SOURCES OR NOT arg_LABELS)
    message(FATAL_ERROR "connpool_test(${name}): SOURCES or LABELS missing, or unknown words: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  string(MAKE_C_IDENTIFIER "test_${name}" target)
  get_filename_component(output ${name} NAME)
  get_filename_component(folder ${name} DIRECTORY)

  add_executable(${target} ${arg_SOURCES})
  set_target_properties(
    ${target}
    PROPERTIES OUTPUT_NAME ${output} RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/${folder}/bin
  )
  connpool_test_definitions(${target})
  if(arg_SHARED)
    target_link_libraries(${target} PRIVATE connpool_flags connpool ${arg_LIBRARIES} PkgConfig::CMOCKA)
  else()
    target_link_libraries(${target} PRIVATE connpool_flags ${arg_LIBRARIES} connpool_kit connpool_testing PkgConfig::CMOCKA)
  endif()

  add_test(NAME ${name} COMMAND ${CONNPOOL_TEST_LAUNCHER} $<TARGET_FILE:${target}> ${arg_ARGUMENTS})
  set_tests_properties(
    ${name}
    PROPERTIES LABELS "${arg_LABELS}"
               TIMEOUT ${arg_TIMEOUT}
               RUN_SERIAL ${arg_RUN_SERIAL}
               ENVIRONMENT "${CONNPOOL_TEST_ENVIRONMENT};${arg_ENVIRONMENT}"
  )
endfunction()

# connpool_check(NAME LABEL label COMMAND word… [TIMEOUT seconds])
#
# A test that is a script, run from the top of the tree.
function(connpool_check name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "LABEL;TIMEOUT" "COMMAND")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_test(NAME ${name} COMMAND ${arg_COMMAND} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS ${arg_LABEL} TIMEOUT ${arg_TIMEOUT})
endfunction()
