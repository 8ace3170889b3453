// What kernels see of memory: rows with a stride, and gradient targets.
#pragma once

#include <dino/base/types.hpp>

namespace dino::inline DINO_ABI {

/// A matrix whose last axis is contiguous; row r starts at data + r * stride (in elements).
template <class T> struct Rows {
  T* data;
  i64 rows, cols, stride;

  DINO_SHARED_CODE T* operator[](i64 r) const { return data + r * stride; }
};

/// Where a gradient goes. ptr == nullptr: nobody wants it. add: +=, else =.
template <class G> struct Target {
  G* ptr = nullptr;
  bool add = false;

  DINO_SHARED_CODE explicit operator bool() const { return ptr != nullptr; }
  DINO_SHARED_CODE void put(i64 i, G value) const { ptr[i] = add ? ptr[i] + value : value; }
};

}  // namespace dino::inline DINO_ABI
