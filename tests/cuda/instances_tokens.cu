// The tokens kernels compile for CUDA in every number type they are used with, once for the whole program.
// A file for nvcc holds kernels only: with DINO_SPLIT the CPU kernel stays out.
#include <dino/kernels/cuda/tokens.cuh>

#if DINO_CUDA != 1 || !DINO_SPLIT
#  error "compile with -DDINO_CUDA=1 -DDINO_SPLIT=1"
#endif

namespace dino::inline DINO_ABI::kernels {

template void launch(Context<Cuda>&, const AssembleTokens<float>&);
template void launch(Context<Cuda>&, const AssembleTokens<bf16>&);
template void launch(Context<Cuda>&, const AssembleTokensBackward<float>&);
template void launch(Context<Cuda>&, const AssembleTokensBackward<bf16>&);
template void launch(Context<Cuda>&, const DropPath<float>&);
template void launch(Context<Cuda>&, const DropPath<bf16>&);
template void launch(Context<Cuda>&, const GatherRows<float>&);
template void launch(Context<Cuda>&, const GatherRows<bf16>&);
template void launch(Context<Cuda>&, const GatherRowsBackward<float>&);
template void launch(Context<Cuda>&, const GatherRowsBackward<bf16>&);

}  // namespace dino::inline DINO_ABI::kernels
