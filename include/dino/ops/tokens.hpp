// From patch embeddings to the token matrix of a transformer: class token and position table.
#pragma once

#include <dino/autograd/apply.hpp>
#include <dino/kernels/resample.hpp>
#include <dino/kernels/tokens.hpp>

#include <cmath>

namespace dino::inline DINO_ABI {

namespace ops {

template <class T, class D> struct Tokens {
  struct Attr {
    Segments segments;
  };
  struct Saved {
    Segments segments;
    i64 grid;
  };

  static i64 grid_of(const Tensor<T, D>& table) {
    const i64 cells = table.rows() - 1;
    const auto grid = static_cast<i64>(std::lround(std::sqrt(static_cast<double>(cells))));
    require(grid >= 1 && grid * grid == cells, ErrorKind::weights,
            "tokens: position table {} is not square: {} patches beside the class token", table, cells);
    return grid;
  }

  static Tensor<T, D> forward(const Attr& at, const Tensor<T, D>& embedding, const Tensor<T, D>& cls,
                              const Tensor<T, D>& position, Saved* keep) {
    const auto patches = contiguous(embedding), table = contiguous(position);
    const i64 cols = patches.cols(), grid = grid_of(table);
    require(cls.numel() == cols && table.cols() == cols && patches.rows() == at.segments.rows() - at.segments.images(),
            "tokens: patches are {}, class token is {}, positions are {}, {} tokens wanted", patches, cls, table,
            at.segments.rows());
    auto& ctx = patches.ctx();
    Tensor<T, D> out(ctx, {at.segments.rows(), cols});
    i64 first_patch = 0;
    for (const auto& s : at.segments) {
      const i64 n = s.grid_h * s.grid_w;
      require(n + 1 == s.tokens, "tokens: {} tokens for a grid of {} x {}", s.tokens, s.grid_h, s.grid_w);
      Tensor<T, D> own;
      if (s.grid_h != grid || s.grid_w != grid) {
        own = {ctx, {n, cols}};
        launch(ctx, kernels::ResamplePositions<T>{.out = own.data(),
                                                  .in = table.data() + cols,
                                                  .grid = grid,
                                                  .height = s.grid_h,
                                                  .width = s.grid_w,
                                                  .cols = cols});
      }
      launch(ctx, kernels::AssembleTokens<T>{.out = out.data() + s.row * cols,
                                             .patches = patches.data() + first_patch * cols,
                                             .cls = cls.data(),
                                             .first = table.data(),
                                             .positions = own.defined() ? own.data() : table.data() + cols,
                                             .images = s.images,
                                             .n = n,
                                             .cols = cols});
      first_patch += s.images * n;
    }
    if (keep) *keep = {at.segments, grid};
    return out;
  }

  static void backward(Context<D>& ctx, Saved& saved, const Tensor<T, D>& dy, Grad<T, D> dpatches,
                       Grad<acc_t<T>, D> dcls, Grad<acc_t<T>, D> dtable) {
    const i64 cols = dy.cols(), grid = saved.grid;
    auto patches = dpatches.open();
    auto cls = dcls.open(), table = dtable.open();
    const bool sums = cls || table;
    for (const auto& s : saved.segments) {
      const i64 n = s.grid_h * s.grid_w;
      Tensor<acc_t<T>, D> dsum;
      if (sums) dsum = {ctx, {n + 1, cols}};
      launch(ctx, kernels::AssembleTokensBackward<T>{.dpatches = patches,
                                                     .dsum = dsum.data(),
                                                     .dout = dy.data() + s.row * cols,
                                                     .images = s.images,
                                                     .n = n,
                                                     .cols = cols});
      if (patches) patches.ptr += s.images * n * cols;
      if (cls) add_rows(ctx, cls, dsum.data(), cols);
      if (table) {
        add_rows(ctx, table, dsum.data(), cols);
        const Target<acc_t<T>> cells{table.ptr + cols, table.add};
        if (s.grid_h != grid || s.grid_w != grid) {
          launch(ctx, kernels::ResamplePositionsBackward<T>{.din = cells,
                                                            .dout = dsum.data() + cols,
                                                            .grid = grid,
                                                            .height = s.grid_h,
                                                            .width = s.grid_w,
                                                            .cols = cols});
        } else {
          add_rows(ctx, cells, dsum.data() + cols, n * cols);
        }
      }
      cls.add = table.add = true;  // the next group comes on top
    }
  }

 private:
  static void add_rows(Context<D>& ctx, const Target<acc_t<T>>& into, const acc_t<T>* x, i64 n) {
    launch(ctx, kernels::Scale<acc_t<T>>{.out = into, .x = x, .n = n, .factor = 1});
  }
};

}  // namespace ops

/// Tokens of all crops, one after the other: row 0 of an image is cls + table[0], row 1+j is patches[j] + position j.
/// patches: (sum of images * grid_h * grid_w, C).  cls: C values.  table: (...,1+g*g,C), resampled (bicubic, +0.1 rule)
/// for every group whose grid is not g x g; its gradient flows back through the same weights.  Returns
/// (segments.rows(), C). Throws if the table is not square or shapes differ. Keeps the layout only. Source:
/// vision_transformer.py, prepare_tokens.
template <class X> auto tokens(const X& patches, const auto& cls, const auto& table, const Segments& segments) {
  return apply<ops::Tokens<typename X::Scalar, typename X::Device>>({segments}, patches, cls, table);
}

}  // namespace dino::inline DINO_ABI
