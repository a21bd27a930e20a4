# Language level, warnings, hardening and sanitizers: one interface target, connpool_flags, that everything we compile
# links to. Nothing here reaches those who use the installed library.
include(CheckCCompilerFlag)
include(CheckLinkerFlag)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

find_program(CCACHE ccache)
mark_as_advanced(CCACHE)
if(CCACHE AND NOT CMAKE_C_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(connpool_flags INTERFACE)
# Empty, not 1, so that a source that defines it once more, as man pages tell, is not told of a redefinition.
target_compile_definitions(connpool_flags INTERFACE _GNU_SOURCE=)

# Adds each flag that the compiler knows.
function(connpool_compile_flags)
  foreach(flag IN LISTS ARGN)
    string(MAKE_C_IDENTIFIER "CONNPOOL_HAVE${flag}" variable)
    check_c_compiler_flag(${flag} ${variable})
    if(${variable})
      target_compile_options(connpool_flags INTERFACE ${flag})
    endif()
  endforeach()
endfunction()

# Adds each flag that the linker knows.
function(connpool_link_flags)
  foreach(flag IN LISTS ARGN)
    string(MAKE_C_IDENTIFIER "CONNPOOL_HAVE${flag}" variable)
    check_linker_flag(C ${flag} ${variable})
    if(${variable})
      target_link_options(connpool_flags INTERFACE ${flag})
    endif()
  endforeach()
endfunction()

connpool_compile_flags(
  -Wall
  -Wextra
  -Wconversion
  -Wshadow
  -Wvla
  -Wformat=2
  -Wstrict-prototypes
  -Wmissing-prototypes
  -Werror=implicit-function-declaration
)
# Tried alone it is refused: without -Wformat it does nothing, and gcc warns of that.
target_compile_options(connpool_flags INTERFACE -Werror=format-security)
if(CONNPOOL_WERROR)
  target_compile_options(connpool_flags INTERFACE -Werror)
endif()

connpool_compile_flags(
  -fstack-protector-strong
  -fstack-clash-protection
  -fcf-protection=full
)
connpool_link_flags(
  -Wl,-z,relro
  -Wl,-z,now
  -Wl,-z,noexecstack
  -Wl,-z,text
  -Wl,-z,separate-code
  -Wl,--as-needed
)

if(CONNPOOL_SANITIZE)
  set(sanitizer_flags -fsanitize=${CONNPOOL_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -O1)
  target_compile_options(connpool_flags INTERFACE ${sanitizer_flags})
  target_link_options(connpool_flags INTERFACE ${sanitizer_flags})
else()
  # Where a sanitizer is at work these would hide what it looks for: they give a meaning to the mistake.
  connpool_compile_flags(
    -fno-delete-null-pointer-checks
    -fno-strict-overflow
    -ftrivial-auto-var-init=zero
    -fzero-call-used-regs=used-gpr
  )
  # glibc warns of _FORTIFY_SOURCE without optimisation. A distribution's compiler may have set a lower level.
  target_compile_options(connpool_flags INTERFACE $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE> $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=3>)
endif()

# Shared objects resolve every symbol when they are linked; under clang the sanitizers' runtime is only in the executable.
if(NOT (CONNPOOL_SANITIZE AND CMAKE_C_COMPILER_ID MATCHES Clang))
  set(CONNPOOL_NO_UNDEFINED -Wl,-z,defs)
endif()
