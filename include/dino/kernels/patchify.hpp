// Images as rows of patches: what the kernels compute.
#pragma once

#include <dino/base/view.hpp>
#include <dino/device/device.hpp>

namespace dino::inline DINO_ABI::kernels {

/// Patch (i, j) of image b becomes row b * gh * gw + i * gw + j, its values in the order (channel, y, x): the order of
/// a convolution weight (C,3,p,p), so that patch embedding is a linear layer. gh = height / patch, gw = width / patch.
template <class T> struct Patchify {
  T* rows;     // (images*gh*gw, channels*p*p)
  const T* x;  // (images,channels,height,width)
  i64 images, channels, height, width, patch;
  double bytes() const { return 2.0 * static_cast<double>(images * channels * height * width) * sizeof(T); }
};

/// The inverse, for gradients: dx = rows put back.
template <class T> struct Unpatchify {
  Target<T> dx;    // (images,channels,height,width)
  const T* drows;  // (images*gh*gw, channels*p*p)
  i64 images, channels, height, width, patch;
  double bytes() const { return 2.0 * static_cast<double>(images * channels * height * width) * sizeof(T); }
};

#if DINO_CUDA
template <class T> void launch(Context<Cuda>&, const Patchify<T>&);
template <class T> void launch(Context<Cuda>&, const Unpatchify<T>&);
#endif

}  // namespace dino::inline DINO_ABI::kernels

#if !(DINO_SPLIT && defined(__CUDACC__))  // split build: files for nvcc hold kernels only
#  include <dino/kernels/cpu/patchify.hpp>
#endif
#if DINO_CUDA == 2 || (DINO_CUDA == 1 && defined(__CUDACC__) && !DINO_SPLIT)  // CUDA on host; one-file build
#  include <dino/kernels/cuda/patchify.cuh>
#endif
