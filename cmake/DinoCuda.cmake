# The CUDA language, where there is something to compile and an nvcc.
set(DINO_CUDA AUTO CACHE STRING "Compile the CUDA files: AUTO, ON or OFF")  # an option() would turn AUTO into OFF
set_property(CACHE DINO_CUDA PROPERTY STRINGS AUTO ON OFF)
set(DINO_HAS_NVCC OFF)
file(GLOB dino_cuda_files CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/cuda/*.cu")
