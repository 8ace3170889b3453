// Tensor-core words for nvcc: products of 16 x 16 x 8 tiles, loads of their fragments, copies into shared memory.
#pragma once

#include <dino/kernels/cuda/words_nvcc.cuh>

namespace dino::inline DINO_ABI::kernels {

/// c (16,8) += a (16,16) b (16,8), T = bf16 or f16, sums in float. With g = lane / 4 and t = lane % 4 a lane holds
///     c[0] c[1]: row g, columns 2t 2t+1          c[2] c[3]: row g+8
///     a[0]: row g, columns 2t 2t+1   a[1]: row g+8   a[2]: row g, columns 2t+8 2t+9   a[3]: row g+8, the same
///     b[0]: column g, rows 2t 2t+1   b[1]: column g, rows 2t+8 2t+9
/// with the lower number in the lower half of a word. Every lane of the warp calls it.
template <class T> DINO_DEVICE void mma_16816(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2]) {
  if constexpr (std::is_same_v<T, bf16>) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  } else {
    static_assert(std::is_same_v<T, f16>);
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
}

/// Four 8 x 8 matrices of 16-bit numbers from shared memory: lane 8 i + j gives the address of row j of matrix i (16
/// bytes, 16-byte aligned); lane 4 g + t receives in r[i] the elements 2t and 2t+1 of row g of matrix i.
DINO_DEVICE void ldmatrix_x4(u32 (&r)[4], const void* row) {
  const u32 at = static_cast<u32>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(at)
               : "memory");
}

/// The same with each matrix transposed: lane 4 g + t receives the elements of column g in rows 2t and 2t+1.
DINO_DEVICE void ldmatrix_x4_transposed(u32 (&r)[4], const void* row) {
  const u32 at = static_cast<u32>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(at)
               : "memory");
}

/// Starts the copy of 16 bytes into shared memory, zeros where not `valid`. Both addresses are 16-byte aligned. The
/// bytes are there for this thread after cp_async_wait, for the others after a barrier behind it.
DINO_DEVICE void cp_async(void* to, const void* from, bool valid = true) {
  const u32 at = static_cast<u32>(__cvta_generic_to_shared(to));
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from), "r"(bytes) : "memory");
}

/// Closes a group of copies.
DINO_DEVICE void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/// Waits until at most `keep` of the latest groups are under way.
template <int keep> DINO_DEVICE void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(keep) : "memory");
}

}  // namespace dino::inline DINO_ABI::kernels
