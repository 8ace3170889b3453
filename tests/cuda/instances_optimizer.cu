// The optimizer kernels for CUDA, in every number type they are used with.
#include <dino/kernels/cuda/optimizer.cuh>

#if DINO_CUDA != 1 || !DINO_SPLIT
#  error "compile with -DDINO_CUDA=1 -DDINO_SPLIT=1"
#endif

namespace dino::inline DINO_ABI::kernels {

template void launch(Context<Cuda>&, const RangeNorms<float>&);
template void launch(Context<Cuda>&, const RangeNorms<bf16>&);
template void launch(Context<Cuda>&, const AdamW<float>&);
template void launch(Context<Cuda>&, const AdamW<bf16>&);
template void launch(Context<Cuda>&, const Sgd<float>&);
template void launch(Context<Cuda>&, const Sgd<bf16>&);
template void launch(Context<Cuda>&, const Lars<float>&);
template void launch(Context<Cuda>&, const Lars<bf16>&);
template void launch(Context<Cuda>&, const Ema<float>&);
template void launch(Context<Cuda>&, const Ema<bf16>&);

}  // namespace dino::inline DINO_ABI::kernels
