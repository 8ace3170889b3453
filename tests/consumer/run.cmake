# Builds and runs the consumer:
#     cmake -DHOW=find_package|cuda|add_subdirectory|fetch|bare -DROOT=<source> -DBUILD=<build> -DWORK=<folder>
#           -DCXX=<compiler> [-DNVCC=<compiler>] [-DINCLUDES=<folders>] [-DEXPECTED=<pattern>] -P run.cmake
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

# refused(<pattern> <command>...): the command fails and says so.
function(refused pattern)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(REGEX REPLACE "[ \n]+" " " output "${output}")  # CMake breaks lines
  if(code EQUAL 0 OR NOT output MATCHES "${pattern}")
    message(FATAL_ERROR "${HOW}: expected '${pattern}', it ended with ${code} and:\n${output}")
  endif()
endfunction()

file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")
set(program "${WORK}/build/consumer")
set(arguments "")  # of the program

# Only a build that reads PNG can finish; a bare compiler call has to be told of stb.
load_cache("${BUILD}" READ_WITH_PREFIX "" DINO_STB stb_INCLUDE_DIR)
set(stb_flags "")
if(DINO_STB AND stb_INCLUDE_DIR)
  set(stb_flags -DDINO_HAS_STB=1 "-I${stb_INCLUDE_DIR}")
endif()
list(TRANSFORM INCLUDES PREPEND "-I")
set(compile "${CXX}" -std=c++20 -O2 "-I${ROOT}/include" ${INCLUDES} ${stb_flags} -pthread)

# The backbone and the picture are the same for every way that reads them: the first to come makes them.
if(NOT HOW STREQUAL "cuda")
  set(files "${WORK}/../files")
  set(arguments "${files}/backbone.safetensors" "${files}/picture.png")
  file(MAKE_DIRECTORY "${files}")
  file(LOCK "${files}" DIRECTORY GUARD PROCESS)
  if("${ROOT}/tests/consumer/make_files.cpp" IS_NEWER_THAN "${files}/picture.png")
    run(${compile} "${ROOT}/tests/consumer/make_files.cpp" -o "${files}/make_files")
    run("${files}/make_files" ${arguments})
  endif()
  file(LOCK "${files}" DIRECTORY RELEASE)
endif()

if(HOW STREQUAL "bare")
  file(MAKE_DIRECTORY "${WORK}/build")
  run("${CMAKE_COMMAND}" -E time ${compile} "${ROOT}/tests/consumer/main.cpp" -o "${program}")
else()
  if(HOW MATCHES "find_package|cuda")
    run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${WORK}/prefix")
  endif()
  set(configure "${CMAKE_COMMAND}" -S "${ROOT}/tests/consumer" -B "${WORK}/build" -G "${GENERATOR}" "-DHOW=${HOW}"
      "-DDINO_ROOT=${ROOT}" "-DCMAKE_CXX_COMPILER=${CXX}" -DCMAKE_BUILD_TYPE=Release "-DCMAKE_PREFIX_PATH=${WORK}/prefix"
      "-DCMAKE_FIND_PACKAGE_NO_PACKAGE_REGISTRY=ON")
  if(HOW STREQUAL "cuda")
    refused("no_nvcc does not compile C.*20 for sm_80" ${configure} "-DDINO_NVCC=${WORK}/no_nvcc")
    refused("the kernels need sm_80 or newer" ${configure} "-DDINO_NVCC=${NVCC}" -DCMAKE_CUDA_ARCHITECTURES=75)
    list(APPEND configure "-DDINO_NVCC=${NVCC}" -DCMAKE_CUDA_ARCHITECTURES=80)
    run(${configure} -DHOW=cuda_subdirectory -B "${WORK}/subdirectory")  # it would compile the same
  endif()
  run(${configure})
  run("${CMAKE_COMMAND}" -E time "${CMAKE_COMMAND}" --build "${WORK}/build")
endif()
if(output MATCHES "Elapsed time: ([0-9.]+) s")
  message(STATUS "${HOW}: compiled and linked in ${CMAKE_MATCH_1} s, budget ${compile_budget} s")
  if(CMAKE_MATCH_1 GREATER compile_budget)
    message(WARNING "${HOW}: over the budget (or the machine is busy)")
  endif()
endif()
if(NOT stb_flags AND NOT HOW STREQUAL "cuda")
  message(STATUS "${HOW}: built, not run: no stb, so no PNG can be read")
  return()
endif()
run("${program}" ${arguments})
if(NOT output MATCHES "${EXPECTED}")
  message(FATAL_ERROR "${HOW}: expected '${EXPECTED}', the program printed: ${output}")
endif()
message(STATUS "${HOW}: ${output}")
