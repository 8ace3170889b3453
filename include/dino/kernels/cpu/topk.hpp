// The largest values of each row on the CPU. A row belongs to one thread.
#pragma once

#include <dino/device/cpu.hpp>
#include <dino/kernels/topk.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

/// A heap whose front is the worst of the best k: largest value first, ties to the lower index.
template <class T> bool ranks_before(const std::pair<T, i64>& a, const std::pair<T, i64>& b) {
  return a.first != b.first ? a.first > b.first : a.second < b.second;
}

template <class T> void topk_row(const TopK<T>& a, i64 r) {
  std::vector<std::pair<T, i64>> best;
  best.reserve(static_cast<size_t>(a.k));
  for (i64 i = 0; i < a.filled; ++i) best.push_back({a.value[r * a.k + i], a.index[r * a.k + i]});
  std::make_heap(best.begin(), best.end(), ranks_before<T>);
  const T* const x = a.x + r * a.cols;
  for (i64 c = 0; c < a.cols; ++c) {
    if (static_cast<i64>(best.size()) == a.k) {
      if (!(x[c] > best.front().first)) continue;  // columns come in order: a tie loses
      std::pop_heap(best.begin(), best.end(), ranks_before<T>);
      best.back() = {x[c], a.first + c};
    } else {
      best.push_back({x[c], a.first + c});
    }
    std::push_heap(best.begin(), best.end(), ranks_before<T>);
  }
  std::sort(best.begin(), best.end(), ranks_before<T>);
  for (size_t i = 0; i < best.size(); ++i) {
    a.value[r * a.k + static_cast<i64>(i)] = best[i].first;
    a.index[r * a.k + static_cast<i64>(i)] = best[i].second;
  }
}

}  // namespace detail

template <class T> void launch(Context<Cpu>& ctx, const TopK<T>& a) {
  parallel_rows(ctx, a.rows, a.cols, [&](i64 r) { detail::topk_row(a, r); });
}

}  // namespace dino::inline DINO_ABI::kernels
