// The nearest rows of a bank that comes in blocks: scores against packed queries, and the best k while they are in
// cache.
#pragma once

#include <dino/device/cpu.hpp>
#include <dino/kernels/cpu/gemm_block.hpp>

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <vector>

namespace dino::inline DINO_ABI::kernels {

/// The k rows with the largest scalar product for each of Q queries, descending, ties by the lower index.
///     NearestRows search(ctx, queries, Q, dim, k);
///     search.add(ctx, block, rows);  ...  search.finish(ctx, similarity, index);
/// A score is the sum of a matrix product (multiply_block): it depends neither on blocks nor on threads, and so nothing
/// does. A score that is NaN or -infinity is no neighbour. Memory: bytes(). The bank may have 2^32 - 1 rows.
class NearestRows {
 public:
  /// queries: (Q,dim), copied. own: the bank row that is query 0 itself, which is left out, query 1 the next one, and
  /// so on; -1: none.
  NearestRows(Context<Cpu>& ctx, const float* queries, i64 count, i64 dim, i64 k, i64 own = -1)
      : queries_(count), dim_(dim), k_(k), own_(own), capacity_(capacity(k)) {
    require(count >= 0 && dim >= 1 && k >= 1, "nearest: {} queries of {}, k = {}", count, dim, k);
    const i64 panels = (count + width - 1) / width;
    packed_.resize(static_cast<size_t>(panels * width * dim));
    limits_.assign(static_cast<size_t>(panels * width), std::numeric_limits<float>::infinity());  // of padding
    std::fill_n(limits_.begin(), count, -std::numeric_limits<float>::infinity());
    found_.resize(static_cast<size_t>(count));
    keys_.resize(static_cast<size_t>(count * capacity_));
    ctx.threads().run(panels, [&](i64 panel) {
      const auto product = columns(queries);
      for (i64 k0 = 0; k0 < dim; k0 += detail::block_depth)
        detail::pack_panel(packed_.data() + (panel * dim + k0) * width, product, k0,
                           std::min(detail::block_depth, dim - k0), panel * width,
                           std::min(width, count - panel * width));
    });
  }

  /// Bytes of a search.
  static double bytes(i64 queries, i64 dim, i64 k) {
    return static_cast<double>(queries) *
           (4.0 * static_cast<double>(dim) + 8.0 * static_cast<double>(capacity(k)) + 12);
  }

  /// The next rows of the bank, (rows,dim).
  void add(Context<Cpu>& ctx, const float* bank, i64 rows) {
    require(seen_ + rows < (i64{1} << 32), "nearest: a bank of {} rows, at most 2^32 - 1", seen_ + rows);
    const i64 panels = (queries_ + width - 1) / width;
    const i64 group = std::clamp<i64>(panels / 16, 1, 8);  // panels that meet the same rows while those are in cache
    parallel_ranges(ctx, panels, group, [&](i64 begin, i64 end) {
      alignas(64) float scores[static_cast<size_t>(rows_in_cache * width)];
      for (i64 row = 0; row < rows; row += rows_in_cache) {
        const i64 some = std::min(rows_in_cache, rows - row);
        for (i64 panel = begin; panel < end; ++panel) {
          multiply(scores, bank + row * dim_, some, panel);
          collect(scores, some, seen_ + row, panel);
        }
      }
    });
    seen_ += rows;
  }

  /// similarity, index: (Q,min(k, rows seen)), of a query that has fewer neighbours Error{data}.
  void finish(Context<Cpu>& ctx, i64 k, float* similarity, i64* index) {
    parallel_rows(ctx, queries_, 64 * k, [&](i64 q) {
      const i64 count = found_[static_cast<size_t>(q)];
      require(count >= k, ErrorKind::data, "knn: query {} has {} neighbours of {}: features are not finite", q, count,
              k);
      u64* const keys = keys_.data() + q * capacity_;
      std::partial_sort(keys, keys + k, keys + count, std::greater<>());
      for (i64 i = 0; i < k; ++i) {
        similarity[q * k + i] = value_of(keys[i]);
        index[q * k + i] = static_cast<i64>(~static_cast<u32>(keys[i]));
      }
    });
  }

 private:
  static constexpr i64 width = detail::tile_cols<float>;        // queries of a panel
  static constexpr i64 rows_in_cache = 16 * detail::tile_rows;  // rows of the bank

  /// Candidates that are kept: the more, the rarer the selection of the best k among them.
  static i64 capacity(i64 k) { return k + std::max<i64>(k, 256); }

  /// A number that orders like (value descending, index ascending) when it falls; -0 counts as 0.
  static u64 key_of(float value, i64 index) {
    value += 0.0f;
    u32 bits;
    std::memcpy(&bits, &value, 4);
    bits ^= bits >> 31 ? 0xffffffffu : 0x80000000u;
    return static_cast<u64>(bits) << 32 | ~static_cast<u32>(index);
  }
  static float value_of(u64 key) {
    u32 bits = static_cast<u32>(key >> 32);
    bits ^= bits >> 31 ? 0x80000000u : 0xffffffffu;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
  }

  /// The product rows x queries^T; c and a are set by the caller.
  BlockProduct<float> columns(const float* queries) const {
    return {.c = nullptr,
            .a = nullptr,
            .b = queries,
            .bias = nullptr,
            .m = 0,
            .n = queries_,
            .k = dim_,
            .stride_c = width,
            .stride_a = dim_,
            .stride_b = dim_,
            .transpose_a = false,
            .transpose_b = true,
            .add = false};
  }

  void multiply(float* scores, const float* bank, i64 rows, i64 panel) const {
    auto product = columns(nullptr);
    product.c = scores;
    product.a = bank;
    product.m = rows;
    for (i64 k0 = 0; k0 < dim_; k0 += detail::block_depth)
      detail::multiply_panel<float, false>(product, nullptr, packed_.data() + (panel * dim_ + k0) * width, width, k0,
                                           std::min(detail::block_depth, dim_ - k0), 0, width);
  }

  /// Scores above the limits of their queries become candidates. Rows come in order, so an equal score loses.
  void collect(const float* scores, i64 rows, i64 first, i64 panel) {
    const float* const limits = limits_.data() + panel * width;
    for (i64 r = 0; r < rows; ++r) {
      alignas(64) u8 above[static_cast<size_t>(width)];
      for (i64 j = 0; j < width; ++j) above[j] = scores[r * width + j] > limits[j];
      for (i64 j0 = 0; j0 < width; j0 += 8) {
        u64 hits;
        std::memcpy(&hits, above + j0, 8);
        for (; hits != 0; hits &= hits - 1) {  // one bit per hit, the lowest of its byte
          const i64 j = j0 + __builtin_ctzll(hits) / 8;
          insert(panel * width + j, scores[r * width + j], first + r);
        }
      }
    }
  }

  void insert(i64 q, float score, i64 index) {
    if (own_ >= 0 && index == own_ + q) return;
    u64* const keys = keys_.data() + q * capacity_;
    auto& count = found_[static_cast<size_t>(q)];
    keys[count++] = key_of(score, index);
    if (count < capacity_) return;
    std::nth_element(keys, keys + k_ - 1, keys + count, std::greater<>());
    count = k_;
    limits_[static_cast<size_t>(q)] = value_of(keys[k_ - 1]);
  }

  i64 queries_, dim_, k_, own_, capacity_, seen_ = 0;
  std::vector<float> packed_;  // by panels: (dim,width)
  std::vector<float> limits_;  // (panels * width): scores up to here are not wanted
  std::vector<i64> found_;     // (Q)
  std::vector<u64> keys_;      // (Q,capacity)
};

}  // namespace dino::inline DINO_ABI::kernels
