# Every header compiles by itself: as the first include of its test or of another header, and otherwise here, in a file of
# its own. All headers together compile without warnings, with CXX and with a second compiler (what a header forgets to
# include is the same for both: they share a standard library). Syntax only, no machine flags.
# A build target, so that an edit repeats only what it touched; the CTest entry house/headers_alone builds it.
set(second_names clang++ clang++-19 clang++-18 clang++-17 clang++-16 clang++-15 clang++-14)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  set(second_names g++)
endif()
find_program(DINO_SECOND_COMPILER NAMES ${second_names} DOC "The compiler that checks headers besides CXX")

# Headers of libraries are system headers; /usr/include must not be named again, or libstdc++ does not find its C headers.
set(includes "$<TARGET_PROPERTY:dino,INTERFACE_INCLUDE_DIRECTORIES>")
set(includes "$<FILTER:${includes},EXCLUDE,^(/usr/include|${PROJECT_SOURCE_DIR}/include)$>")
set(definitions "$<TARGET_PROPERTY:dino,INTERFACE_COMPILE_DEFINITIONS>")
set(stamps "")

# check_syntax(compiler name text flags...): a file of this text compiles.
function(check_syntax compiler name text)
  set(source "${CMAKE_CURRENT_BINARY_DIR}/headers_alone/${name}.cpp")
  file(CONFIGURE OUTPUT "${source}" CONTENT "${text}" @ONLY)
  add_custom_command(OUTPUT "${source}.stamp"
    COMMAND "${compiler}" -std=c++20 -fsyntax-only -Wall -Wextra -Werror "-I${PROJECT_SOURCE_DIR}/include"
            "$<$<BOOL:${includes}>:-isystem$<JOIN:${includes},;-isystem>>" "-D$<JOIN:${definitions},;-D>" ${ARGN} -MD -MF "${source}.d" -MT "${source}.stamp" "${source}"
    COMMAND "${CMAKE_COMMAND}" -E touch "${source}.stamp"
    DEPENDS "${source}" DEPFILE "${source}.d" COMMENT "Syntax of ${name}, ${compiler}" COMMAND_EXPAND_LISTS VERBATIM)
  set(stamps "${stamps};${source}.stamp" PARENT_SCOPE)
endfunction()

file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/include/*.hpp")
file(GLOB tests CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*/test_*.cpp")
set(first "")  # headers before which nothing is included somewhere
foreach(file IN LISTS tests headers)
  get_filename_component(file "${file}" ABSOLUTE BASE_DIR "${PROJECT_SOURCE_DIR}/include")
  file(STRINGS "${file}" line REGEX "^ *# *include" LIMIT_COUNT 1)
  if(line MATCHES "<(dino/[^>]*)>")
    list(APPEND first "${CMAKE_MATCH_1}")
  endif()
endforeach()
set(all "")
foreach(header IN LISTS headers)
  string(MAKE_C_IDENTIFIER "${header}" name)
  if(header MATCHES "/(cuda_on_host|cuda/.*_host)[.]")  # the host executor: needs no toolkit
    check_syntax("${CMAKE_CXX_COMPILER}" ${name} "#include <${header}>\n" -DDINO_CUDA=2)
  elseif(NOT header MATCHES "/cuda[_/.]")
    if(NOT header IN_LIST first)
      check_syntax("${CMAKE_CXX_COMPILER}" ${name} "#include <${header}>\n")
    endif()
    string(APPEND all "#include <${header}>\n")
  elseif(dino_cuda_enabled)  # needs cuda_runtime_api.h, and agrees with no CPU header on DINO_CUDA
    list(TRANSFORM CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES PREPEND "-isystem" OUTPUT_VARIABLE toolkit)
    check_syntax("${CMAKE_CXX_COMPILER}" ${name} "#include <${header}>\n" ${toolkit} -DDINO_CUDA=1 -DDINO_SPLIT=1)
  endif()
endforeach()
list(LENGTH stamps count)
list(LENGTH headers total)
check_syntax("${CMAKE_CXX_COMPILER}" all_headers "${all}")
if(DINO_SECOND_COMPILER)
  check_syntax("${DINO_SECOND_COMPILER}" all_headers_second "${all}")
  set(second "and with ${DINO_SECOND_COMPILER}")
else()
  set(second "skipped for a second compiler: found none of ${second_names}")
endif()
add_custom_target(headers_alone DEPENDS ${stamps} VERBATIM
  COMMAND "${CMAKE_COMMAND}" -E echo "${total} headers compile alone, ${count} of them here, all together with ${CMAKE_CXX_COMPILER}, ${second}")
add_test(NAME house/headers_alone
         COMMAND "${CMAKE_COMMAND}" --build "${PROJECT_BINARY_DIR}" --target headers_alone --parallel 2)
set_tests_properties(house/headers_alone PROPERTIES PROCESSORS 2 TIMEOUT 1200)
