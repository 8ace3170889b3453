// Rows of a matrix, picked by number.
#pragma once

#include <dino/autograd/apply.hpp>
#include <dino/kernels/tokens.hpp>
#include <dino/tensor/create.hpp>

namespace dino::inline DINO_ABI {

namespace ops {

template <class T, class D> struct Gather {
  struct Attr {
    Tensor<i64, D> index;
  };
  struct Saved {
    Tensor<i64, D> index;
    i64 rows;
  };

  static Tensor<T, D> forward(const Attr& at, const Tensor<T, D>& input, Saved* keep) {
    const auto x = contiguous(input);
    Tensor<T, D> y(x.ctx(), {at.index.numel(), x.cols()});
    launch(x.ctx(), kernels::GatherRows<T>{
                        .y = y.data(), .x = x.data(), .index = at.index.data(), .n = y.rows(), .cols = x.cols()});
    if (keep) *keep = {at.index, x.rows()};
    return y;
  }
  static void backward(Context<D>& ctx, Saved& s, const Tensor<T, D>& dy, Grad<T, D> dx) {
    launch(ctx, kernels::GatherRowsBackward<T>{.dx = dx.open(), .dy = dy.data(), .index = s.index.data(),
                                               .n = dy.rows(), .rows = s.rows, .cols = dy.cols()});
  }
};

}  // namespace ops

/// y[i,:] = x[index[i],:].  x: (R,C).  Throws if an index is outside [0, R). A row may be picked more than once.
template <class X> auto gather(const X& x, const std::vector<i64>& index) {
  for (const i64 row : index) require(0 <= row && row < x.rows(), "gather: row {} of {}", row, x);
  const auto on_device = tensor(x.ctx(), {static_cast<i64>(index.size())}, index);
  return apply<ops::Gather<typename X::Scalar, typename X::Device>>({on_device}, x);
}

/// The first row of every image: its class token.
template <class X> auto class_rows(const X& x, const Segments& segments) {
  std::vector<i64> index;
  for (const auto& s : segments) {
    for (i64 image = 0; image < s.images; ++image) index.push_back(s.row + image * s.tokens);
  }
  return gather(x, index);
}

/// The rows of the patches, image after image: without class tokens and registers.
template <class X> auto patch_rows(const X& x, const Segments& segments) {
  std::vector<i64> index;
  for (const auto& s : segments) {
    for (i64 row = 0; row < s.rows(); ++row) {
      if (row % s.tokens >= s.special()) index.push_back(s.row + row);
    }
  }
  return gather(x, index);
}

}  // namespace dino::inline DINO_ABI
