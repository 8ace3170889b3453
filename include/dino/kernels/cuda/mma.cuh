// Tensor-core words: mma_16816, ldmatrix_x4, cp_async. The files differ, the words are the same.
#pragma once

#include <dino/kernels/cuda/common.cuh>

#if DINO_CUDA == 2
#  include <dino/kernels/cuda/mma_host.hpp>
#else
#  include <dino/kernels/cuda/mma_nvcc.cuh>
#endif
