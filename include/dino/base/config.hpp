// Version, build switches and the ABI namespace.
#pragma once

#define DINO_VERSION_MAJOR 0
#define DINO_VERSION_MINOR 1
#define DINO_VERSION_PATCH 0
#define DINO_VERSION "0.1.0"

// 0: CPU only.  1: CUDA as well.  2: CUDA kernels run on the host, for tests.  One value in the whole program.
#ifndef DINO_CUDA
#  define DINO_CUDA 0
#endif

// 1: kernels for CUDA are instantiated once by nvcc in a file of their own, and declared everywhere else.
#ifndef DINO_SPLIT
#  define DINO_SPLIT 0
#endif

// Optional libraries: 0 or 1, set by the CMake target. A bare `g++ -I` has none of them.
#ifndef DINO_HAS_TURBOJPEG
#  define DINO_HAS_TURBOJPEG 0
#endif
#ifndef DINO_HAS_STB
#  define DINO_HAS_STB 0
#endif
#ifndef DINO_HAS_YAML
#  define DINO_HAS_YAML 0
#endif

// Options that change code or layout are spelled into an inline namespace: mixing them is a link error, not a
// corruption.
//     namespace dino::inline DINO_ABI { ... }
#if DINO_CUDA == 2
#  if defined(__CUDACC__)
#    error "DINO_CUDA == 2 runs kernels on the host: compile with g++ or clang"
#  endif
#  define DINO_ABI v0_simt
#elif DINO_CUDA
#  define DINO_ABI v0_cuda
#else
#  define DINO_ABI v0
#endif

// Marks functions that host and device share.
#ifdef __CUDACC__
#  define DINO_SHARED_CODE __host__ __device__
#else
#  define DINO_SHARED_CODE
#endif

// Before a loop whose iterations are independent although pointers might overlap: lets the compiler vectorise it.
#if defined(__clang__)
#  define DINO_IVDEP _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#  define DINO_IVDEP _Pragma("GCC ivdep")
#else
#  define DINO_IVDEP
#endif

// Before a short loop of constant length: unrolled whole, so that its arrays live in registers. In host code nvcc and
// the g++ behind it understand no common pragma.
#if defined(__CUDACC__)
#  define DINO_HOST_UNROLL
#elif defined(__clang__)
#  define DINO_HOST_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#  define DINO_HOST_UNROLL _Pragma("GCC unroll 32")
#else
#  define DINO_HOST_UNROLL
#endif
#if defined(__clang__) || defined(__CUDACC__)
#  define DINO_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#  define DINO_UNROLL _Pragma("GCC unroll 32")
#else
#  define DINO_UNROLL
#endif
