// The dino_loss kernels compile for CUDA in every number type they are used with, once for the whole program.
// A file for nvcc holds kernels only: with DINO_SPLIT the CPU kernel stays out.
#include <dino/kernels/cuda/dino_loss.cuh>

#if DINO_CUDA != 1 || !DINO_SPLIT
#  error "compile with -DDINO_CUDA=1 -DDINO_SPLIT=1"
#endif

namespace dino::inline DINO_ABI::kernels {

template void launch(Context<Cuda>&, const DinoLossForward<float>&);
template void launch(Context<Cuda>&, const DinoLossForward<bf16>&);
template void launch(Context<Cuda>&, const DinoLossForward<f16>&);
template void launch(Context<Cuda>&, const DinoLossBackward<float>&);
template void launch(Context<Cuda>&, const DinoLossBackward<bf16>&);
template void launch(Context<Cuda>&, const DinoLossBackward<f16>&);

}  // namespace dino::inline DINO_ABI::kernels
