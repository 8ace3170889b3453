# Flags of our own programs, tests and benchmarks: never part of dino::dino.
include(CheckCXXSourceCompiles)
include(CheckCXXCompilerFlag)

if(dino_top_level AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo or MinSizeRel" FORCE)  # Release: -O3
endif()

set(dino_machine_flags "")
if(DINO_NATIVE)
  check_cxx_compiler_flag(-march=native DINO_MARCH_NATIVE_WORKS)
  if(DINO_MARCH_NATIVE_WORKS)
    list(APPEND dino_machine_flags -march=native)
  endif()
  list(APPEND dino_machine_flags -fno-math-errno -fno-trapping-math)
  # g++ before 13 does not know Zen 4, tunes for Zen 3 and then splits 512-bit operations.
  set(CMAKE_REQUIRED_FLAGS -march=native)
  check_cxx_source_compiles("
#if !(defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13 && defined(__tune_znver3__) && defined(__AVX512F__))
#  error no need to tune by hand
#endif
int main() {}" DINO_TUNE_FOR_ZEN4)
  unset(CMAKE_REQUIRED_FLAGS)
  if(DINO_TUNE_FOR_ZEN4)
    list(APPEND dino_machine_flags -mtune=skylake-avx512)
  endif()
  string(REPLACE ";" " " flags_text "${dino_machine_flags}")
  dino_feature("native" ON "-" "${flags_text}" "-DDINO_NATIVE=OFF")
else()
  dino_feature("native" OFF "-" "switched off: no -march, slower by far" "-DDINO_NATIVE=ON")
endif()

set(dino_warning_flags "")
if(DINO_WARNINGS)
  list(APPEND dino_warning_flags -Wall -Wextra)
endif()
if(DINO_WERROR)
  list(APPEND dino_warning_flags -Werror)
endif()

add_library(dino_flags INTERFACE)
target_compile_options(dino_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:${dino_machine_flags}>
                                            $<$<COMPILE_LANGUAGE:CXX>:${dino_warning_flags}>)
if(DINO_WARNINGS)
  target_compile_options(dino_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wshadow>
                         $<$<COMPILE_LANGUAGE:CXX>:-Wconversion> $<$<COMPILE_LANGUAGE:CXX>:-Wsign-conversion>)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # False alarms of g++ 12, from its own AVX-512 headers and from "literal" + std::string.
    target_compile_options(dino_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized>
                                                $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
  endif()
endif()

if(DINO_WARNINGS AND CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # Says which loops stay scalar although they were marked for vectors, such as one with a caller's std::exp in it: no fault.
  target_compile_options(dino_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-pass-failed>)
endif()

# nvcc: its host compiler gets the same machine flags, and all of its warnings count.
if(dino_machine_flags)
  string(REPLACE ";" "," host_flags "${dino_machine_flags}")
  target_compile_options(dino_flags INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=${host_flags}>)
endif()
if(DINO_WARNINGS)
  target_compile_options(dino_flags INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Werror>
                                              $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>)
endif()

# dino_program(name sources...): an executable in <build>/bin.
function(dino_program name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE dino::dino dino_flags)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin" CXX_EXTENSIONS OFF)
endfunction()
