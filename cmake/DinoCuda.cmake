# Switches the CUDA language on, where there are CUDA files to compile and an nvcc that can; says why where not.
#     AUTO  tests compile the kernels where nvcc is; programs use them where a device is as well
#     ON    programs use CUDA: an nvcc is needed
#     HOST  programs run the kernels on the host, thread by thread: for debuggers, needs no toolkit
#     OFF   no file is compiled by nvcc
set(DINO_CUDA AUTO CACHE STRING "CUDA: AUTO, ON, HOST or OFF")  # an option() would turn AUTO into OFF
set_property(CACHE DINO_CUDA PROPERTY STRINGS AUTO ON HOST OFF)
set(dino_cuda_enabled OFF)
set(dino_cuda_programs OFF)
if(DINO_CUDA STREQUAL "AUTO" AND (EXISTS "/dev/nvidiactl" OR EXISTS "/dev/dxg"))
  set(dino_cuda_programs ON)
elseif(DINO_CUDA AND NOT DINO_CUDA STREQUAL "AUTO" AND NOT DINO_CUDA STREQUAL "HOST")
  set(dino_cuda_programs ON)
endif()

# CMake looks along PATH only; a toolkit is often installed elsewhere.
if(DEFINED ENV{CUDACXX} AND EXISTS "$ENV{CUDACXX}")
  set(DINO_NVCC "$ENV{CUDACXX}" CACHE FILEPATH "The CUDA compiler")
endif()
find_program(DINO_NVCC nvcc DOC "The CUDA compiler"
             PATHS "$ENV{CUDA_HOME}/bin" "$ENV{CUDA_PATH}/bin" /usr/local/cuda/bin /opt/cuda/bin)

# Sets DINO_NVCC_WORKS: compiles one kernel, so that a broken or too old toolkit is a line in the list and not an error.
function(dino_try_nvcc)
  if(NOT DEFINED DINO_NVCC_WORKS)
    set(source "${PROJECT_BINARY_DIR}/CMakeFiles/dino_nvcc.cu")
    file(WRITE "${source}" "template <class T> concept Any = true;\n__global__ void kernel(int* x) { *x = 1; }\n")
    execute_process(COMMAND "${DINO_NVCC}" -std=c++20 -arch=sm_80 -c "${source}" -o "${source}.o"
                    RESULT_VARIABLE code OUTPUT_QUIET ERROR_VARIABLE message)
    if(code EQUAL 0)
      set(DINO_NVCC_WORKS ON CACHE INTERNAL "")
    else()
      string(REGEX REPLACE "\n.*" "" message "${message}")
      set(DINO_NVCC_WORKS OFF CACHE INTERNAL "")
      set(DINO_NVCC_MESSAGE "${message}" CACHE INTERNAL "")
    endif()
  endif()
endfunction()

if(NOT DINO_CUDA)
  dino_feature("CUDA" OFF "-" "switched off" "-DDINO_CUDA=AUTO")
elseif(DINO_CUDA STREQUAL "HOST")
  dino_feature("CUDA" ON "-" "kernels run on the host, for tests and debuggers" "-DDINO_CUDA=AUTO")
elseif(NOT DINO_BUILD_TESTS AND NOT dino_cuda_programs)
  dino_feature("CUDA" OFF "-" "no device here" "-DDINO_CUDA=ON")
else()
  set(reason "")
  if(NOT DINO_NVCC)
    set(reason "no nvcc in CUDACXX, PATH, CUDA_HOME, CUDA_PATH, /usr/local/cuda, /opt/cuda")
  else()
    dino_try_nvcc()
    if(NOT DINO_NVCC_WORKS)
      set(reason "${DINO_NVCC} does not compile C++20 for sm_80: ${DINO_NVCC_MESSAGE}")
    endif()
  endif()
  if(reason STREQUAL "")
    set(CMAKE_CUDA_COMPILER "${DINO_NVCC}")
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES "80;90a-real")  # unset means 75 with CUDA 13; 80 also gives PTX for newer devices
    endif()
    enable_language(CUDA)
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25.1 does not know -std=c++20 of nvcc 12 and newer
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
    endif()
    set(dino_cuda_enabled ON)
    if(dino_cuda_programs)
      set(reason "programs use it, for ${CMAKE_CUDA_ARCHITECTURES}")
    else()
      set(reason "tests compile kernels; no device for programs")
    endif()
    dino_feature("CUDA" ON "${CMAKE_CUDA_COMPILER_VERSION}" "${reason}" "-DDINO_CUDA=ON or OFF")
  elseif(DINO_CUDA STREQUAL "AUTO")
    set(dino_cuda_programs OFF)
    dino_feature("CUDA" OFF "-" "${reason}" "CUDACXX=<toolkit>/bin/nvcc")
  else()
    message(FATAL_ERROR "DINO_CUDA is ${DINO_CUDA}, but: ${reason}")
  endif()
endif()
