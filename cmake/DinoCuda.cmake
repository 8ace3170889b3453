# Switches the CUDA language on and makes the kernels, where there are CUDA files to compile and an nvcc that can; says why
# where not.
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

include(DinoNvcc)
if(NOT DINO_CUDA)
  dino_feature("CUDA" OFF "-" "switched off" "-DDINO_CUDA=AUTO")
elseif(DINO_CUDA STREQUAL "HOST")
  dino_feature("CUDA" ON "-" "kernels run on the host, for tests and debuggers" "-DDINO_CUDA=AUTO")
elseif(NOT DINO_BUILD_TESTS AND NOT dino_cuda_programs)
  dino_feature("CUDA" OFF "-" "no device here" "-DDINO_CUDA=ON")
else()
  dino_enable_cuda()
  set(reason "${dino_cuda_problem}")
  if(reason STREQUAL "")
    set(dino_cuda_enabled ON)
    include(DinoKernels)
    dino_add_kernels()
    if(TARGET dino_flags)  # not in a project that contains this one
      target_link_libraries(dino_kernels PRIVATE dino_flags)
      target_compile_options(dino_kernels PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:-Xptxas=-v>")
      set_target_properties(dino_kernels PROPERTIES RULE_LAUNCH_COMPILE "${PROJECT_SOURCE_DIR}/cmake/keep_ptxas.sh")
    endif()
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
