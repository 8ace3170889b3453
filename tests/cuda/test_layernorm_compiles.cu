// The layernorm kernels compile for CUDA in every number type they are used with. An object: it is not run.
// A file for nvcc holds kernels only: with DINO_SPLIT the CPU kernel, and with it Eigen, stays out.
#include <dino/kernels/cuda/layernorm.cuh>

#if DINO_CUDA != 1 || !DINO_SPLIT
#  error "compile with -DDINO_CUDA=1 -DDINO_SPLIT=1"
#endif
#ifdef EIGEN_WORLD_VERSION
#  error "a file for nvcc must not include Eigen"
#endif

namespace dino::inline DINO_ABI::kernels {

template void launch(Context<Cuda>&, const LayerNormForward<float>&);
template void launch(Context<Cuda>&, const LayerNormForward<bf16>&);
template void launch(Context<Cuda>&, const LayerNormBackward<float>&);
template void launch(Context<Cuda>&, const LayerNormBackward<bf16>&);

}  // namespace dino::inline DINO_ABI::kernels
