// Bicubic resampling of a position table: what the kernels compute.
#pragma once

#include <dino/base/view.hpp>
#include <dino/device/device.hpp>

namespace dino::inline DINO_ABI {

/// How positions get from their stored grid to another one: bicubic, the step between source coordinates is
/// grid / (extent + offset).
struct PositionRule {
  double offset = 0.1;
  bool antialias = false;

  friend bool operator==(const PositionRule&, const PositionRule&) = default;
};

/// DINO and DINOv2. Source: vision_transformer.py of both, interpolate_pos_encoding.
inline constexpr PositionRule dino_positions{.offset = 0.1, .antialias = false};
/// timm, resample_abs_pos_embed (1.0.31); DINOv2 with registers, there and in transformers.
inline constexpr PositionRule timm_positions{.offset = 0, .antialias = true};
/// transformers, interpolate_pos_encoding of ViTModel and Dinov2Model (5.24).
inline constexpr PositionRule hugging_face_positions{.offset = 0, .antialias = false};

namespace kernels {

/// out[y,x,:] = sum over the taps of y and of x of w_y w_x in[ty,tx,:], computed in acc_t as PyTorch does:
/// torch.nn.functional.interpolate(mode="bicubic", antialias=...), with a scale factor where the offset is not 0.
/// CubicTaps and AntialiasTaps say which taps.
template <class T> struct ResamplePositions {
  T* out;       // (height*width,C)
  const T* in;  // (grid*grid,C)
  i64 grid, height, width, cols;
  PositionRule rule = {};
  double bytes() const { return static_cast<double>((grid * grid + height * width) * cols) * sizeof(T); }
};

/// din = the same weights, transposed: gathered per source row, so that no two threads write one place.
template <class T> struct ResamplePositionsBackward {
  Target<acc_t<T>> din;  // (grid*grid,C)
  const acc_t<T>* dout;  // (height*width,C)
  i64 grid, height, width, cols;
  PositionRule rule = {};
  double bytes() const { return static_cast<double>((grid * grid + height * width) * cols) * sizeof(T); }
};

namespace detail {

/// Keys' cubic at distance t in [0, 1], and in [1, 2].
template <class A> DINO_SHARED_CODE A cubic_inner(A t, A a) { return ((a + 2) * t - (a + 3)) * t * t + 1; }
template <class A> DINO_SHARED_CODE A cubic_outer(A t, A a) { return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a; }

template <class A> DINO_SHARED_CODE A position_step(i64 grid, i64 extent, double offset) {
  if (offset == 0) return static_cast<A>(grid) / static_cast<A>(extent);
  return static_cast<A>(1.0 / ((static_cast<double>(extent) + offset) / static_cast<double>(grid)));
}

}  // namespace detail

/// The taps of one output coordinate: four, the cubic with A = -0.75 around (o + 0.5) step - 0.5, clamped at the
/// border.
template <class A> class CubicTaps {
 public:
  DINO_SHARED_CODE CubicTaps(i64 out, i64 grid, i64 extent, double offset) {
    const A step = detail::position_step<A>(grid, extent, offset);
    const A at = (static_cast<A>(out) + A(0.5)) * step - A(0.5);
    i64 base = static_cast<i64>(at);
    if (static_cast<A>(base) > at) --base;  // floor
    const A t = at - static_cast<A>(base);
    for (int k = 0; k < 4; ++k) {
      const i64 tap = base - 1 + k;
      index_[k] = tap < 0 ? 0 : (tap >= grid ? grid - 1 : tap);
    }
    weight_[0] = detail::cubic_outer(t + 1, a);
    weight_[1] = detail::cubic_inner(t, a);
    weight_[2] = detail::cubic_inner(1 - t, a);
    weight_[3] = detail::cubic_outer(2 - t, a);
  }

  DINO_SHARED_CODE static constexpr int size() { return 4; }
  DINO_SHARED_CODE i64 index(int k) const { return index_[k]; }
  DINO_SHARED_CODE A weight(int k) const { return weight_[k]; }
  /// The weight of a source index: clamped taps may hit it more than once.
  DINO_SHARED_CODE A weight_of(i64 in) const {
    A weight = 0;
    for (int k = 0; k < 4; ++k) weight += index_[k] == in ? weight_[k] : A(0);
    return weight;
  }

 private:
  static constexpr A a = A(-0.75);
  i64 index_[4];
  A weight_[4];
};

/// The taps with antialiasing: the cubic with A = -0.5 around (o + 0.5) step, stretched by the step where that is above
/// 1, at the centres of all source cells that it reaches, divided by the sum of the weights.
template <class A> class AntialiasTaps {
 public:
  DINO_SHARED_CODE AntialiasTaps(i64 out, i64 grid, i64 extent, double offset) {
    const A step = detail::position_step<A>(grid, extent, offset);
    const A stretch = step > 1 ? step : A(1);
    center_ = (static_cast<A>(out) + A(0.5)) * step;
    inverse_ = 1 / stretch;
    begin_ = static_cast<i64>(center_ - 2 * stretch + A(0.5));
    i64 end = static_cast<i64>(center_ + 2 * stretch + A(0.5));
    if (begin_ < 0) begin_ = 0;
    if (end > grid) end = grid;
    size_ = static_cast<int>(end - begin_);
    A total = 0;
    for (int k = 0; k < size_; ++k) total += cubic(begin_ + k);
    normalize_ = 1 / total;
  }

  DINO_SHARED_CODE int size() const { return size_; }
  DINO_SHARED_CODE i64 index(int k) const { return begin_ + k; }
  DINO_SHARED_CODE A weight(int k) const { return cubic(begin_ + k) * normalize_; }
  DINO_SHARED_CODE A weight_of(i64 in) const {
    return in < begin_ || in >= begin_ + size_ ? A(0) : cubic(in) * normalize_;
  }

 private:
  static constexpr A a = A(-0.5);

  DINO_SHARED_CODE A cubic(i64 in) const {
    const A distance = (static_cast<A>(in) - center_ + A(0.5)) * inverse_, t = distance < 0 ? -distance : distance;
    if (t < 1) return detail::cubic_inner(t, a);
    return t < 2 ? detail::cubic_outer(t, a) : A(0);
  }

  i64 begin_;
  int size_;
  A center_, inverse_, normalize_;
};

#if DINO_CUDA
template <class T> void launch(Context<Cuda>&, const ResamplePositions<T>&);
template <class T> void launch(Context<Cuda>&, const ResamplePositionsBackward<T>&);
#endif

}  // namespace kernels
}  // namespace dino::inline DINO_ABI

#if !(DINO_SPLIT && defined(__CUDACC__))  // split build: files for nvcc hold kernels only
#  include <dino/kernels/cpu/resample.hpp>
#endif
#if DINO_CUDA == 2 || (DINO_CUDA == 1 && defined(__CUDACC__) && !DINO_SPLIT)  // CUDA on host; one-file build
#  include <dino/kernels/cuda/resample.cuh>
#endif
