// Start-up check that all files of a program were built with the same switches and the same vector instructions.
#pragma once

#include <dino/base/config.hpp>

#if !defined(DINO_NO_ABI_CHECK) && !defined(__CUDA_ARCH__)

#  include <cstdio>
#  include <cstdlib>
#  include <cstring>

// The alignment that Eigen gives its objects, from the macros that Eigen itself looks at.
#  if defined(EIGEN_MAX_STATIC_ALIGN_BYTES)
#    define DINO_PROBE_ALIGNMENT EIGEN_MAX_STATIC_ALIGN_BYTES
#  elif defined(EIGEN_MAX_ALIGN_BYTES)
#    define DINO_PROBE_ALIGNMENT EIGEN_MAX_ALIGN_BYTES
#  elif defined(EIGEN_DONT_VECTORIZE)
#    define DINO_PROBE_ALIGNMENT 0
#  elif defined(__AVX512F__)
#    define DINO_PROBE_ALIGNMENT 64
#  elif defined(__AVX__)
#    define DINO_PROBE_ALIGNMENT 32
#  else
#    define DINO_PROBE_ALIGNMENT 16
#  endif

#  if defined(__AVX512F__)
#    define DINO_PROBE_SIMD "AVX-512"
#  elif defined(__AVX2__) && defined(__FMA__)
#    define DINO_PROBE_SIMD "AVX2 and FMA"
#  elif defined(__AVX2__)
#    define DINO_PROBE_SIMD "AVX2"
#  elif defined(__AVX__)
#    define DINO_PROBE_SIMD "AVX"
#  elif defined(__SSE4_2__)
#    define DINO_PROBE_SIMD "SSE4.2"
#  elif defined(__SSE2__)
#    define DINO_PROBE_SIMD "SSE2"
#  elif defined(__ARM_NEON)
#    define DINO_PROBE_SIMD "NEON"
#  else
#    define DINO_PROBE_SIMD "no vector instructions"
#  endif

#  if defined(__BASE_FILE__)
#    define DINO_PROBE_FILE __BASE_FILE__
#  else
#    define DINO_PROBE_FILE __FILE__
#  endif

// Outside the ABI namespace: files with different switches meet here. For the same reason this layout never changes.
namespace dino::probe {

/// How one file was compiled. Objects of files that differ may disagree about alignment and vector code; programs made
/// of them crashed in every combination tried.
struct Build {
  const char* file;
  const char* version;
  const char* simd;
  int alignment;  // bytes
  int cuda;
};

/// Prints how the builds of two files differ, with the remedy. False when they are equal.
inline bool print_difference(std::FILE* out, const Build& a, const Build& b) {
  if (std::strcmp(a.version, b.version) != 0) {
    std::fprintf(out, "dino: %s was compiled with dino %s, %s with %s: use one version in the whole program\n", a.file,
                 a.version, b.file, b.version);
    return true;
  }
  if (a.cuda != b.cuda) {
    std::fprintf(out,
                 "dino: %s was compiled with DINO_CUDA=%d, %s with DINO_CUDA=%d: link every file of a program to "
                 "dino::cuda, or every file to dino::dino\n",
                 a.file, a.cuda, b.file, b.cuda);
    return true;
  }
  if (a.alignment != b.alignment || std::strcmp(a.simd, b.simd) != 0) {
    std::fprintf(out,
                 "dino: %s was compiled with alignment %d (%s), %s with %d (%s): compile every file of a program with "
                 "the same -march\n",
                 a.file, a.alignment, a.simd, b.file, b.alignment, b.simd);
    return true;
  }
  return false;
}

/// Compares one more file with the first one. If they differ, the message goes to stderr and the program ends with exit
/// code 70: nothing that it computed could be trusted.
inline void enter(const Build& build) {
  static const Build* first = nullptr;
  if (first == nullptr) first = &build;
  if (print_difference(stderr, *first, build)) std::_Exit(70);
}

namespace {

struct Entry {
  Build build{DINO_PROBE_FILE, DINO_VERSION, DINO_PROBE_SIMD, DINO_PROBE_ALIGNMENT, DINO_CUDA};
  Entry() { enter(build); }
};

[[maybe_unused]] const Entry entry;

}  // namespace
}  // namespace dino::probe

#  undef DINO_PROBE_FILE
#  undef DINO_PROBE_SIMD
#  undef DINO_PROBE_ALIGNMENT

#endif
