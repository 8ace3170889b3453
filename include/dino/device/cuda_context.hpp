// Context<Cuda> of this build: a device, or the host executor of its kernels.
#pragma once

#if DINO_CUDA == 2
#  include <dino/device/cuda_on_host.hpp>
#else
#  include <dino/device/cuda.hpp>
#endif
