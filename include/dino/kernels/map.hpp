// Element-wise kernels: fill, copy, sums, and activations from functors.
#pragma once

#include <dino/base/math.hpp>
#include <dino/base/view.hpp>
#include <dino/device/device.hpp>

namespace dino::inline DINO_ABI::kernels {

/// y = value.
template <class T> struct Fill {
  T* y;  // (n)
  i64 n;
  T value;
  double bytes() const { return static_cast<double>(n) * sizeof(T); }
};

/// y = x, row by row without gaps. From may differ from T: the value is converted through acc_t.
template <class T, class From = T> struct CopyRows {
  T* y;  // (R,C)
  Rows<const From> x;
  double bytes() const { return static_cast<double>(x.rows * x.cols) * (sizeof(T) + sizeof(From)); }
};

/// out = a + b.
template <class T> struct Add {
  Target<T> out;       // (n)
  const T *a, *b;      // (n) (n)
  i64 n;
  double bytes() const { return 3.0 * static_cast<double>(n) * sizeof(T); }
};

/// out = factor * x.
template <class T> struct Scale {
  Target<T> out;  // (n)
  const T* x;     // (n)
  i64 n;
  acc_t<T> factor;
  double bytes() const { return 2.0 * static_cast<double>(n) * sizeof(T); }
};

/// out = a * b.
template <class T> struct Multiply {
  Target<T> out;   // (n)
  const T *a, *b;  // (n) (n)
  i64 n;
  double bytes() const { return 3.0 * static_cast<double>(n) * sizeof(T); }
};

/// y = F::f(x).
template <class F, class T> struct MapForward {
  T* y;        // (n)
  const T* x;  // (n)
  i64 n;
  double bytes() const { return 2.0 * static_cast<double>(n) * sizeof(T); }
};

/// dx = dy * F::df(x).
template <class F, class T> struct MapBackward {
  Target<T> dx;         // (n)
  const T *dy, *x;      // (n) (n)
  i64 n;
  double bytes() const { return 3.0 * static_cast<double>(n) * sizeof(T); }
};

/// x/2 (1 + erf(x / sqrt 2)), the exact form (nn.GELU of PyTorch).
struct Gelu {
  template <class T> DINO_SHARED_CODE static T f(T x) { return math::gelu(x); }
  template <class T> DINO_SHARED_CODE static T df(T x) { return math::gelu_grad(x); }
};

struct Relu {
  template <class T> DINO_SHARED_CODE static T f(T x) { return x > T(0) ? x : T(0); }
  template <class T> DINO_SHARED_CODE static T df(T x) { return x > T(0) ? T(1) : T(0); }
};

/// x sigmoid(x) (nn.SiLU of PyTorch).
struct Silu {
  template <class T> DINO_SHARED_CODE static T f(T x) { return x / (1 + math::exp(-x)); }
  template <class T> DINO_SHARED_CODE static T df(T x) {
    const T s = 1 / (1 + math::exp(-x));
    return s * (1 + x * (1 - s));
  }
};

#if DINO_CUDA
template <class T> void launch(Context<Cuda>&, const Fill<T>&);
template <class T, class From> void launch(Context<Cuda>&, const CopyRows<T, From>&);
template <class T> void launch(Context<Cuda>&, const Add<T>&);
template <class T> void launch(Context<Cuda>&, const Scale<T>&);
template <class T> void launch(Context<Cuda>&, const Multiply<T>&);
template <class F, class T> void launch(Context<Cuda>&, const MapForward<F, T>&);
template <class F, class T> void launch(Context<Cuda>&, const MapBackward<F, T>&);
#endif

}  // namespace dino::inline DINO_ABI::kernels

#if !(DINO_SPLIT && defined(__CUDACC__))  // split build: files for nvcc hold kernels only
#  include <dino/kernels/cpu/map.hpp>
#endif
#if DINO_CUDA == 2 || (DINO_CUDA == 1 && defined(__CUDACC__) && !DINO_SPLIT)  // CUDA on host; one-file build
#  include <dino/kernels/cuda/map.cuh>
#endif
