// Attention as maps over the patches of a picture: heads, masks by mass, scaling, up-sampling, rollout.
#pragma once

#include <dino/base/error.hpp>
#include <dino/kernels/resample.hpp>

#include <algorithm>
#include <numeric>
#include <span>
#include <vector>

namespace dino::inline DINO_ABI {

/// One map for each head, (H,h,w): rows of patches from the top.
struct AttentionMaps {
  i64 heads = 0, height = 0, width = 0;
  std::vector<float> values;

  i64 patches() const { return height * width; }
  std::span<const float> map(i64 head) const {
    return std::span(values).subspan(static_cast<size_t>(head * patches()), static_cast<size_t>(patches()));
  }
};

/// What the class token looks at: of its row of probabilities the last h w, those of the patches; the class token
/// itself and the registers are left out, so that a map need not sum to 1. attention: (H,T), or all rows (H,T,T); the
/// class token is number 0. Throws when it is neither, or T < h w. Source: visualize_attention.py.
inline AttentionMaps class_attention_maps(std::span<const float> attention, i64 heads, i64 tokens, i64 height,
                                          i64 width) {
  const i64 size = static_cast<i64>(attention.size()), patches = height * width;
  require(heads >= 1 && height >= 1 && width >= 1 && tokens > patches &&
              (size == heads * tokens || size == heads * tokens * tokens),
          "class_attention_maps: {} values for {} heads, {} tokens, {} x {} patches", size, heads, tokens, height,
          width);
  AttentionMaps out{heads, height, width, {}};
  for (i64 h = 0; h < heads; ++h) {
    const auto end = attention.begin() + h * (size / heads) + tokens;
    out.values.insert(out.values.end(), end - patches, end);
  }
  return out;
}

/// The mean over the heads, (h w).
inline std::vector<float> mean_map(const AttentionMaps& maps) {
  std::vector<float> out(static_cast<size_t>(maps.patches()));
  for (size_t i = 0; i < out.size(); ++i) {
    double sum = 0;
    for (i64 h = 0; h < maps.heads; ++h) sum += static_cast<double>(maps.map(h)[i]);
    out[i] = static_cast<float>(sum / static_cast<double>(maps.heads));
  }
  return out;
}

/// The patches that hold the part `keep` of the mass of a map, largest first: with the values in ascending order, those
/// where the running sum, as part of the whole, is above 1 - keep. 1 where a patch is kept; of equal values the later
/// ones are kept first. Source: visualize_attention.py, --threshold.
inline std::vector<u8> mask_by_mass(std::span<const float> map, double keep) {
  require(keep > 0 && keep <= 1, ErrorKind::usage, "threshold = {} must be above 0 and at most 1", keep);
  std::vector<size_t> order(map.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return map[a] < map[b]; });
  double total = 0, sum = 0;
  for (const size_t i : order) total += static_cast<double>(map[i]);
  std::vector<u8> out(map.size());
  for (const size_t i : order) {
    sum += static_cast<double>(map[i]) / total;
    out[i] = sum > 1 - keep;
  }
  return out;
}

/// What a map is drawn between: low gets the first colour of a colour map, high the last.
struct ValueRange {
  float low = 0, high = 1;
};

inline ValueRange value_range(std::span<const float> values) {
  require(!values.empty(), "value_range: no values");
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return {*low, *high};
}

/// The values that the parts `tail` and 1 - tail of all values do not exceed: a range that a few outliers leave alone.
inline ValueRange quantile_range(std::vector<float> values, double tail) {
  require(!values.empty() && tail >= 0 && tail < 0.5, "quantile_range: {} values, tail {}", values.size(), tail);
  const auto at = [&](double part) {
    const auto i = static_cast<i64>(part * static_cast<double>(values.size() - 1));
    std::nth_element(values.begin(), values.begin() + i, values.end());
    return values[static_cast<size_t>(i)];
  };
  const float low = at(tail);
  return {low, at(1 - tail)};
}

/// (v - low) / (high - low), not clipped; 0 where the range is empty.
inline std::vector<float> scaled_to(std::span<const float> values, ValueRange range) {
  std::vector<float> out(values.size(), 0.0f);
  const float width = range.high - range.low;
  if (!(width > 0)) return out;
  std::transform(values.begin(), values.end(), out.begin(), [&](float v) { return (v - range.low) / width; });
  return out;
}

/// Every value factor x factor times: (h,w) to (h factor, w factor).
template <class T> std::vector<T> upsample_nearest(std::span<const T> map, i64 height, i64 width, i64 factor) {
  require(static_cast<i64>(map.size()) == height * width && factor >= 1, "upsample_nearest: {} values, {} x {} by {}",
          map.size(), height, width, factor);
  std::vector<T> out(map.size() * static_cast<size_t>(factor * factor));
  for (i64 y = 0; y < height * factor; ++y)
    for (i64 x = 0; x < width * factor; ++x)
      out[static_cast<size_t>(y * width * factor + x)] = map[static_cast<size_t>(y / factor * width + x / factor)];
  return out;
}

enum class Smoothing { bilinear, bicubic };

namespace detail {

/// The taps of one axis, from `grid` values to grid * factor: indices and weights, four each.
struct SmoothTaps {
  std::array<i64, 4> index{};
  std::array<float, 4> weight{};

  SmoothTaps(Smoothing smoothing, i64 out, i64 grid, i64 factor) {
    if (smoothing == Smoothing::bicubic) {
      const kernels::CubicTaps<float> taps(out, grid, grid * factor, 0);
      for (int k = 0; k < 4; ++k) {
        index[static_cast<size_t>(k)] = taps.index(k);
        weight[static_cast<size_t>(k)] = taps.weight(k);
      }
      return;
    }
    const float at = std::max(0.0f, (static_cast<float>(out) + 0.5f) / static_cast<float>(factor) - 0.5f);
    index[0] = static_cast<i64>(at);
    index[1] = std::min(index[0] + 1, grid - 1);
    weight[1] = at - static_cast<float>(index[0]);
    weight[0] = 1 - weight[1];
  }
};

}  // namespace detail

/// (h,w) to (h factor, w factor) as torch.nn.functional.interpolate does with align_corners=False: bilinear, or the
/// cubic with A = -0.75, which overshoots a little beside edges.
inline std::vector<float> upsample_smooth(std::span<const float> map, i64 height, i64 width, i64 factor,
                                          Smoothing smoothing = Smoothing::bicubic) {
  require(static_cast<i64>(map.size()) == height * width && height >= 1 && width >= 1 && factor >= 1,
          "upsample_smooth: {} values, {} x {} by {}", map.size(), height, width, factor);
  const i64 wide = width * factor;
  std::vector<float> columns(static_cast<size_t>(height * wide)), out(static_cast<size_t>(height * factor * wide));
  for (i64 x = 0; x < wide; ++x) {
    const detail::SmoothTaps taps(smoothing, x, width, factor);
    for (i64 y = 0; y < height; ++y) {
      float sum = 0;
      for (size_t k = 0; k < 4; ++k) sum += taps.weight[k] * map[static_cast<size_t>(y * width + taps.index[k])];
      columns[static_cast<size_t>(y * wide + x)] = sum;
    }
  }
  for (i64 y = 0; y < height * factor; ++y) {
    const detail::SmoothTaps taps(smoothing, y, height, factor);
    float* const row = out.data() + y * wide;
    for (size_t k = 0; k < 4; ++k)
      for (i64 x = 0; x < wide; ++x) row[x] += taps.weight[k] * columns[static_cast<size_t>(taps.index[k] * wide + x)];
  }
  return out;
}

/// Attention rollout of the class token: row 0 of A_L ... A_1, where A_l is the mean over the heads of block l's
/// probabilities, plus the identity for the residual path, rows divided by their sums. Only that row is kept, so blocks
/// come from the last to the first:
///     ClassRollout r(T);  for l = L..1 { r.rows(attention of tokens first.., first, count); ...  r.next_block(); }
/// Source: Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers".
class ClassRollout {
 public:
  explicit ClassRollout(i64 tokens) : row_(static_cast<size_t>(tokens)), next_(row_.size()) {
    require(tokens >= 1, "rollout of {} tokens", tokens);
    row_[0] = 1;
  }

  /// Tokens [first, first + count) of the block that is under way: (H,count,T).
  void rows(std::span<const float> attention, i64 heads, i64 first, i64 count) {
    const i64 tokens = static_cast<i64>(row_.size());
    require(heads >= 1 && first >= 0 && count >= 0 && first + count <= tokens &&
                static_cast<i64>(attention.size()) == heads * count * tokens,
            "rollout: {} values for {} heads, {} rows of {} tokens", attention.size(), heads, count, tokens);
    std::vector<double> mean(row_.size());
    for (i64 i = 0; i < count; ++i) {
      std::fill(mean.begin(), mean.end(), 0.0);
      for (i64 h = 0; h < heads; ++h) {
        const float* const p = attention.data() + (h * count + i) * tokens;
        for (size_t t = 0; t < mean.size(); ++t) mean[t] += static_cast<double>(p[t]);
      }
      for (double& m : mean) m /= static_cast<double>(heads);
      const auto own = static_cast<size_t>(first + i);
      mean[own] += 1;
      const double share = row_[own] / std::accumulate(mean.begin(), mean.end(), 0.0);
      for (size_t t = 0; t < mean.size(); ++t) next_[t] += share * mean[t];
    }
  }

  void next_block() {
    row_.swap(next_);
    std::fill(next_.begin(), next_.end(), 0.0);
  }

  /// (T), sums to 1.
  std::vector<float> values() const { return {row_.begin(), row_.end()}; }

 private:
  std::vector<double> row_, next_;
};

/// The same from all probabilities at once, (L,H,T,T). Returns (T).
inline std::vector<float> attention_rollout(std::span<const float> attention, i64 layers, i64 heads, i64 tokens) {
  const auto block = static_cast<size_t>(heads * tokens * tokens);
  require(layers >= 1 && attention.size() == block * static_cast<size_t>(layers),
          "attention_rollout: {} values for {} blocks of {} heads and {} tokens", attention.size(), layers, heads,
          tokens);
  ClassRollout rollout(tokens);
  for (i64 l = layers; l-- > 0; rollout.next_block())
    rollout.rows(attention.subspan(block * static_cast<size_t>(l), block), heads, 0, tokens);
  return rollout.values();
}

}  // namespace dino::inline DINO_ABI
