// Tensor-core words for the host executor. mma_nvcc.cuh says what each one does.
#pragma once

#include <dino/kernels/cuda/words_host.hpp>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

template <class T> DINO_DEVICE float half_of(u32 word, int half) {
  return to_acc(T{static_cast<u16>(half == 0 ? word & 0xffffu : word >> 16)});
}

/// The words of the rows that each lane has read, given out as ldmatrix does.
DINO_DEVICE void load_matrices(const char* operation, u32 (&r)[4], const void* row, bool transposed, simt::Site where) {
  struct Slot {
    u16 row[8];
    u32 out[4];
    bool transposed;
  } slot{{}, {}, transposed};
  auto& machine = simt::Machine::current();
  machine.check(machine.is_shared(row), where, "{} outside shared memory", operation);
  machine.check(reinterpret_cast<u64>(row) % 16 == 0, where, "misaligned 16-byte {}", operation);
  std::memcpy(slot.row, row, 16);  // by the lane itself: sanitizers are to blame the right thread
  machine.collective(operation, all_lanes, where, &slot, [](void* const* slots, u32) {
    for (int lane = 0; lane < 32; ++lane) {
      auto* const mine = static_cast<Slot*>(slots[lane]);
      const int g = lane / 4, t = 2 * (lane % 4);
      for (int i = 0; i < 4; ++i) {
        const auto at = [&](int matrix_row, int column) {
          return u32{static_cast<const Slot*>(slots[8 * i + matrix_row])->row[column]};
        };
        mine->out[i] = mine->transposed ? at(t, g) | (at(t + 1, g) << 16) : at(g, t) | (at(g, t + 1) << 16);
      }
    }
  });
  for (int i = 0; i < 4; ++i) r[i] = slot.out[i];
}

}  // namespace detail

template <class T> DINO_DEVICE void mma_16816(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2] DINO_SITE) {
  static_assert(std::is_same_v<T, bf16> || std::is_same_v<T, f16>);
  struct Slot {
    float* c;
    const u32 *a, *b;
  } slot{c, a, b};
  simt::Machine::current().collective("mma", all_lanes, where, &slot, [](void* const* slots, u32) {
    float left[16][16], right[16][8];
    for (int lane = 0; lane < 32; ++lane) {
      const auto& s = *static_cast<const Slot*>(slots[lane]);
      const int g = lane / 4, t = 2 * (lane % 4);
      for (int i = 0; i < 4; ++i) {
        for (int h = 0; h < 2; ++h) left[g + 8 * (i % 2)][t + h + 8 * (i / 2)] = detail::half_of<T>(s.a[i], h);
      }
      for (int i = 0; i < 2; ++i) {
        for (int h = 0; h < 2; ++h) right[t + h + 8 * i][g] = detail::half_of<T>(s.b[i], h);
      }
    }
    for (int lane = 0; lane < 32; ++lane) {
      const auto& s = *static_cast<const Slot*>(slots[lane]);
      const int g = lane / 4, t = 2 * (lane % 4);
      for (int i = 0; i < 4; ++i) {
        float sum = s.c[i];
        for (int k = 0; k < 16; ++k) sum += left[g + 8 * (i / 2)][k] * right[k][t + i % 2];
        s.c[i] = sum;
      }
    }
  });
}

DINO_DEVICE void ldmatrix_x4(u32 (&r)[4], const void* row DINO_SITE) {
  detail::load_matrices("ldmatrix", r, row, false, where);
}
DINO_DEVICE void ldmatrix_x4_transposed(u32 (&r)[4], const void* row DINO_SITE) {
  detail::load_matrices("ldmatrix transposed", r, row, true, where);
}

/// Copies at the wait, as late as allowed: without one the old bytes stand there.
DINO_DEVICE void cp_async(void* to, const void* from, bool valid = true DINO_SITE) {
  auto& machine = simt::Machine::current();
  machine.check(machine.is_shared(to), where, "cp.async to an address outside shared memory");
  machine.check(reinterpret_cast<u64>(to) % 16 == 0 && reinterpret_cast<u64>(from) % 16 == 0, where,
                "misaligned 16-byte cp.async");
  machine.copies().push_back({to, valid ? from : nullptr, false});
}

DINO_DEVICE void cp_async_commit(DINO_SITE_ONLY) {
  (void)where;
  simt::Machine::current().copies().push_back({nullptr, nullptr, true});
}

template <int keep> DINO_DEVICE void cp_async_wait(DINO_SITE_ONLY) {
  (void)where;
  auto& copies = simt::Machine::current().copies();
  int groups = 0;
  for (const auto& c : copies) groups += c.commit ? 1 : 0;
  size_t done = 0;
  for (; groups > keep; ++done) {
    const auto& c = copies[done];
    if (c.commit) {
      --groups;
    } else if (c.from) {
      std::memcpy(c.to, c.from, 16);
    } else {
      std::memset(c.to, 0, 16);
    }
  }
  copies.erase(copies.begin(), copies.begin() + static_cast<std::ptrdiff_t>(done));
}

}  // namespace dino::inline DINO_ABI::kernels
