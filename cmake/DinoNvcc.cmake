# Finds nvcc and switches the CUDA language on: for this project, and for projects that ask the installed package for CUDA.

# CMake looks along PATH only; a toolkit is often installed elsewhere.
if(CMAKE_CUDA_COMPILER)
  set(DINO_NVCC "${CMAKE_CUDA_COMPILER}")
elseif(DEFINED ENV{CUDACXX} AND EXISTS "$ENV{CUDACXX}")
  set(DINO_NVCC "$ENV{CUDACXX}" CACHE FILEPATH "The CUDA compiler")
endif()
find_program(DINO_NVCC nvcc DOC "The CUDA compiler"
             PATHS "$ENV{CUDA_HOME}/bin" "$ENV{CUDA_PATH}/bin" /usr/local/cuda/bin /opt/cuda/bin)

# Compiles one kernel, so that a broken or too old toolkit is a sentence in dino_cuda_problem and not an error of CMake.
function(dino_try_nvcc)
  if(DINO_NVCC STREQUAL "${DINO_NVCC_WORKS}")
    return()
  endif()
  set(source "${PROJECT_BINARY_DIR}/CMakeFiles/dino_nvcc.cu")
  file(WRITE "${source}" "template <class T> concept Any = true;\n__global__ void kernel(int* x) { *x = 1; }\n")
  execute_process(COMMAND "${DINO_NVCC}" -std=c++20 -arch=sm_80 -c "${source}" -o "${source}.o"
                  RESULT_VARIABLE code OUTPUT_QUIET ERROR_VARIABLE message)
  if(code EQUAL 0)
    set(DINO_NVCC_WORKS "${DINO_NVCC}" CACHE INTERNAL "The nvcc that compiled a kernel")
    return()
  endif()
  if(message STREQUAL "")
    set(message "${code}")  # it did not even start
  endif()
  string(REGEX REPLACE "\n.*" "" message "${message}")
  set(dino_cuda_problem "${DINO_NVCC} does not compile C++20 for sm_80: ${message}" PARENT_SCOPE)
endfunction()

# Switches the CUDA language on in the calling folder, or says in dino_cuda_problem why it cannot ("" where it can).
macro(dino_enable_cuda)
  set(dino_cuda_problem "")
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES "80;90a-real")  # unset means 75 with CUDA 13; 80 also gives PTX for newer devices
  endif()
  foreach(architecture IN LISTS CMAKE_CUDA_ARCHITECTURES)
    if(architecture MATCHES "^([0-9]+)" AND CMAKE_MATCH_1 LESS 80)
      set(dino_cuda_problem "the kernels need sm_80 or newer, CMAKE_CUDA_ARCHITECTURES names ${architecture}")
    endif()
  endforeach()
  if(NOT DINO_NVCC)
    set(dino_cuda_problem "no nvcc in CUDACXX, PATH, CUDA_HOME, CUDA_PATH, /usr/local/cuda, /opt/cuda")
  else()
    dino_try_nvcc()
  endif()
  if(dino_cuda_problem STREQUAL "")
    set(CMAKE_CUDA_COMPILER "${DINO_NVCC}")
    enable_language(CUDA)
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25.1 does not know -std=c++20 of nvcc 12 and newer
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
    endif()
  endif()
endmacro()
