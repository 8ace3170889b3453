// The kernel of test_mma.cpp for a device.
#include "mma_check.cuh"

namespace dino::inline DINO_ABI::kernels {
template void launch(Context<Cuda>&, const MmaCheck<bf16>&);
template void launch(Context<Cuda>&, const MmaCheck<f16>&);
}  // namespace dino::inline DINO_ABI::kernels
