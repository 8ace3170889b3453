// The largest values of each row for CUDA: one block per row. Columns that beat the worst of the best k are set aside,
// a chunk at a time, and each survivor finds its place by counting those before it: the order is total, so the places
// are fixed whatever order the threads come in.
#pragma once

#include <dino/kernels/cuda/common.cuh>
#include <dino/kernels/topk.hpp>

#include <limits>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

inline constexpr int topk_threads = 256;
inline constexpr int topk_chunk = 4 * topk_threads;  // columns between two merges
inline constexpr i64 topk_shared_bytes = 160 * 1024;
inline constexpr float topk_lowest = -std::numeric_limits<float>::infinity();

/// What a row holds at a time: the best so far, and behind them the columns set aside.
template <class T> struct TopKList {
  i64* index;
  T* value;

  static constexpr i64 entry_bytes = static_cast<i64>(sizeof(i64) + sizeof(T));

  /// A NaN ranks with -infinity: any order of the values keeps every place written once.
  DINO_DEVICE float rank_value(int i) const {
    const float x = to_acc(value[i]);
    return x == x ? x : topk_lowest;
  }
  DINO_DEVICE bool ranks_before(int i, float x, i64 at) const {
    const float own = rank_value(i);
    return own > x || (own == x && index[i] < at);
  }
};

template <class T> DINO_DEVICE TopKList<T> topk_list(int which, int entries DINO_SITE) {
  i64* const index = dynamic_shared<i64>(DINO_AT_ONLY);
  return {index + which * entries, reinterpret_cast<T*>(index + 2 * entries) + which * entries};
}

/// Moves the best k of n entries to `to`, each to its place. Every thread calls it.
template <class T> DINO_DEVICE void topk_merge(const TopKList<T>& to, const TopKList<T>& from, int n, int k DINO_SITE) {
  for (int i = block_thread(); i < n; i += topk_threads) {
    const float x = from.rank_value(i);
    const i64 at = from.index[i];
    int place = 0;
    for (int other = 0; other < n; ++other) place += from.ranks_before(other, x, at) ? 1 : 0;
    if (place >= k) continue;
    to.value[place] = from.value[i];
    to.index[place] = at;
  }
  sync_block(DINO_AT_ONLY);
}

template <class T> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(topk_threads) topk(const __grid_constant__ TopK<T> a) {
  DINO_SHARED(pending, int);
  const i64 r = blockIdx.x;
  const int k = static_cast<int>(a.k), entries = k + topk_chunk;
  auto best = topk_list<T>(0, entries), other = topk_list<T>(1, entries);
  int held = static_cast<int>(a.filled);
  for (int i = block_thread(); i < held; i += topk_threads) {
    best.value[i] = a.value[r * a.k + i];
    best.index[i] = a.index[r * a.k + i];
  }
  if (block_thread() == 0) pending = 0;
  for (i64 first = 0; first < a.cols; first += topk_chunk) {
    sync_block();  // the count, and the best so far
    const float worst = held == k ? best.rank_value(k - 1) : 0.0f;
    const i64 end = first + topk_chunk < a.cols ? first + topk_chunk : a.cols;
    for (i64 c = first + block_thread(); c < end; c += topk_threads) {
      const T x = a.x[r * a.cols + c];
      if (held == k && !(to_acc(x) > worst)) continue;  // columns come in order: a tie loses
      const int at = atomic_add(&pending, 1);
      best.value[held + at] = x;
      best.index[held + at] = a.first + c;
    }
    sync_block();
    const int found = pending;
    if (found == 0) continue;
    topk_merge(other, best, held + found, k);  // ends with a barrier
    if (block_thread() == 0) pending = 0;
    held = held + found < k ? held + found : k;
    const auto merged = other;
    other = best;
    best = merged;
  }
  for (int i = block_thread(); i < held; i += topk_threads) {
    a.value[r * a.k + i] = best.value[i];
    a.index[r * a.k + i] = best.index[i];
  }
}

}  // namespace detail

template <class T> void launch(Context<Cuda>& ctx, const TopK<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "topk on CUDA: float and 16-bit numbers only");
  const i64 shared_bytes = 2 * (a.k + detail::topk_chunk) * detail::TopKList<T>::entry_bytes;
  require(shared_bytes <= detail::topk_shared_bytes, "topk: k = {}, at most {}", a.k,
          detail::topk_shared_bytes / (2 * detail::TopKList<T>::entry_bytes) - detail::topk_chunk);
  ctx.launch(detail::topk<T>, {.grid = {a.rows}, .block = {detail::topk_threads}, .shared_bytes = shared_bytes}, a);
}

}  // namespace dino::inline DINO_ABI::kernels
