# Builds and runs the consumer:
#     cmake -DHOW=find_package|add_subdirectory|fetch|bare -DROOT=<source> -DBUILD=<build> -DWORK=<folder> -DCXX=<compiler>
#           [-DINCLUDES=<folders>] [-DEXPECTED=<pattern>] -P run.cmake
cmake_minimum_required(VERSION 3.22)
set(compile_budget 20)  # seconds

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT code EQUAL 0)
    string(REPLACE ";" " " command "${ARGN}")
    message(FATAL_ERROR "${HOW}: '${command}' ended with ${code}:\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")
set(program "${WORK}/build/consumer")
if(HOW STREQUAL "bare")
  file(MAKE_DIRECTORY "${WORK}/build")
  list(TRANSFORM INCLUDES PREPEND "-I")
  run("${CMAKE_COMMAND}" -E time "${CXX}" -std=c++20 -O2 "-I${ROOT}/include" ${INCLUDES} "${ROOT}/tests/consumer/main.cpp"
      -pthread -o "${program}")
else()
  if(HOW STREQUAL "find_package")
    run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${WORK}/prefix")
  endif()
  run("${CMAKE_COMMAND}" -S "${ROOT}/tests/consumer" -B "${WORK}/build" -G "${GENERATOR}" "-DHOW=${HOW}" "-DDINO_ROOT=${ROOT}"
      "-DCMAKE_CXX_COMPILER=${CXX}" -DCMAKE_BUILD_TYPE=Release "-DCMAKE_PREFIX_PATH=${WORK}/prefix"
      "-DCMAKE_FIND_PACKAGE_NO_PACKAGE_REGISTRY=ON")
  run("${CMAKE_COMMAND}" -E time "${CMAKE_COMMAND}" --build "${WORK}/build")
endif()
if(output MATCHES "Elapsed time: ([0-9.]+) s")
  message(STATUS "${HOW}: compiled and linked in ${CMAKE_MATCH_1} s, budget ${compile_budget} s")
  if(CMAKE_MATCH_1 GREATER compile_budget)
    message(WARNING "${HOW}: over the budget (or the machine is busy)")
  endif()
endif()
run("${program}")
if(NOT output MATCHES "${EXPECTED}")
  message(FATAL_ERROR "${HOW}: expected '${EXPECTED}', the program printed: ${output}")
endif()
message(STATUS "${HOW}: ${output}")
