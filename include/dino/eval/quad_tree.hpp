// Points of the plane in the order of a Hilbert curve, and the tree of squares over them, in depth-first order.
#pragma once

#include <dino/tensor/copy.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

namespace dino::inline DINO_ABI {

/// A square that holds points [first, first + count) of the sorted ones. Its parts follow it; `after` is the next
/// square that is not one of them, so a walk needs no stack.
template <class T> struct QuadNode {
  T x, y;    // centre of its points
  T extent;  // longer side of the smallest box around them, squared
  i32 first, count, after;
  bool leaf;
};

/// Built anew for every set of points, in memory that it keeps. The order of points is that of the Hilbert curve (32
/// bits of a position, 16 levels), so neighbours in the order are neighbours in the plane.
template <class T> class QuadTree {
 public:
  static constexpr i64 leaf_points = 16;  // squares with as many or fewer are not cut

  /// Positions that are not finite are an error of the caller.
  void build(HostContext& ctx, const T* x, const T* y, i64 n) {
    codes_.resize(static_cast<size_t>(n));
    order_.resize(codes_.size());
    x_.resize(codes_.size());
    y_.resize(codes_.size());
    nodes_.clear();
    if (n == 0) return;
    const auto [x_low, x_high] = std::minmax_element(x, x + n);
    const auto [y_low, y_high] = std::minmax_element(y, y + n);
    const T side = std::max(*x_high - *x_low, *y_high - *y_low);
    const T scale = side > 0 ? T(65535) / side : T(0);
    parallel_ranges(ctx, n, 2048, [&, x0 = *x_low, y0 = *y_low](i64 begin, i64 end) {
      for (i64 i = begin; i < end; ++i)
        codes_[static_cast<size_t>(i)] = hilbert(cell((x[i] - x0) * scale), cell((y[i] - y0) * scale));
    });
    sort();
    for (size_t i = 0; i < order_.size(); ++i) {
      x_[i] = x[order_[i]];
      y_[i] = y[order_[i]];
    }
    cut(0, static_cast<i32>(n), 30);
  }

  const std::vector<QuadNode<T>>& nodes() const { return nodes_; }
  /// Sorted coordinates, and which point each of them was.
  const std::vector<T>& x() const { return x_; }
  const std::vector<T>& y() const { return y_; }
  const std::vector<i32>& order() const { return order_; }

  /// Distance along the curve through 65536 x 65536 cells.
  static u32 hilbert(u32 x, u32 y) {
    u32 code = 0;
    for (u32 bit = 0x8000; bit != 0; bit >>= 1) {
      const u32 right = (x & bit) != 0, upper = (y & bit) != 0;
      code = code << 2 | ((3 * right) ^ upper);
      if (upper) continue;
      const u32 mask = 0u - right;  // lower quarters are mirrored: left along the diagonal, right along the other one
      const u32 turned = y ^ mask;
      y = x ^ mask;
      x = turned;
    }
    return code;
  }

 private:
  static u32 cell(T position) { return static_cast<u32>(std::clamp(position, T(0), T(65535))); }

  /// Radix sort by code, 11 bits at a time; equal codes keep the order of their points.
  void sort() {
    const size_t n = codes_.size();
    spare_codes_.resize(n);
    spare_order_.resize(n);
    for (size_t i = 0; i < n; ++i) order_[i] = static_cast<i32>(i);
    for (const u32 shift : {0u, 11u, 22u}) {
      std::array<u32, 2048> next{};
      for (const u32 code : codes_) ++next[code >> shift & 2047];
      u32 sum = 0;
      for (u32& count : next) sum += std::exchange(count, sum);
      for (size_t i = 0; i < n; ++i) {
        const u32 to = next[codes_[i] >> shift & 2047]++;
        spare_codes_[to] = codes_[i];
        spare_order_[to] = order_[i];
      }
      codes_.swap(spare_codes_);
      order_.swap(spare_order_);
    }
  }

  struct Box {
    T x_low, x_high, y_low, y_high;
  };

  /// The square of points [first, last), and those within it; bits shift, shift + 1 of the codes say in which quarter.
  Box cut(i32 first, i32 last, int shift) {
    while (shift >= 0 && last - first > leaf_points && quarter(first, shift) == quarter(last - 1, shift)) shift -= 2;
    const size_t own = nodes_.size();
    nodes_.push_back({.x = 0, .y = 0, .extent = 0, .first = first, .count = last - first, .after = 0, .leaf = true});
    Box box{x_[static_cast<size_t>(first)], x_[static_cast<size_t>(first)], y_[static_cast<size_t>(first)],
            y_[static_cast<size_t>(first)]};
    T x_sum = 0, y_sum = 0;
    if (last - first <= leaf_points || shift < 0) {
      for (size_t i = static_cast<size_t>(first); i < static_cast<size_t>(last); ++i) {
        x_sum += x_[i];
        y_sum += y_[i];
        grow(box, {x_[i], x_[i], y_[i], y_[i]});
      }
    } else {
      nodes_[own].leaf = false;
      for (i32 begin = first; begin < last;) {
        const u32 digit = quarter(begin, shift);
        const auto end = std::partition_point(codes_.begin() + begin, codes_.begin() + last,
                                              [&](u32 code) { return (code >> shift & 3) <= digit; });
        const auto part = static_cast<i32>(end - codes_.begin());
        const size_t child = nodes_.size();
        grow(box, cut(begin, part, shift - 2));
        const auto share = static_cast<T>(part - begin);
        x_sum += share * nodes_[child].x;
        y_sum += share * nodes_[child].y;
        begin = part;
      }
    }
    const auto total = static_cast<T>(last - first);
    const T side = std::max(box.x_high - box.x_low, box.y_high - box.y_low);
    nodes_[own].x = x_sum / total;
    nodes_[own].y = y_sum / total;
    nodes_[own].extent = side * side;
    nodes_[own].after = static_cast<i32>(nodes_.size());
    return box;
  }

  u32 quarter(i32 i, int shift) const { return codes_[static_cast<size_t>(i)] >> shift & 3; }
  static void grow(Box& box, const Box& by) {
    box = {std::min(box.x_low, by.x_low), std::max(box.x_high, by.x_high), std::min(box.y_low, by.y_low),
           std::max(box.y_high, by.y_high)};
  }

  std::vector<u32> codes_, spare_codes_;
  std::vector<i32> order_, spare_order_;
  std::vector<T> x_, y_;
  std::vector<QuadNode<T>> nodes_;
};

}  // namespace dino::inline DINO_ABI
