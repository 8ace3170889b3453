// From patch embeddings to the token matrix of a transformer: class token, registers and position table.
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
    PositionRule rule;
  };
  struct Saved {
    Segments segments;
    PositionRule rule;
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
                              const Tensor<T, D>& position, const Tensor<T, D>& register_tokens, Saved* keep) {
    const auto patches = contiguous(embedding), table = contiguous(position);
    const auto registers = register_tokens.defined() ? contiguous(register_tokens) : register_tokens;
    const i64 cols = patches.cols(), grid = grid_of(table), count = registers.defined() ? registers.rows() : 0;
    require(count == 0 || registers.cols() == cols, "tokens: patches are {}, register tokens are {}", patches,
            registers);
    require(cls.numel() == cols && table.cols() == cols &&
                patches.rows() == at.segments.rows() - (1 + count) * at.segments.images(),
            "tokens: patches are {}, class token is {}, positions are {}, {} registers, {} tokens wanted", patches, cls,
            table, count, at.segments.rows());
    auto& ctx = patches.ctx();
    Tensor<T, D> out(ctx, {at.segments.rows(), cols});
    i64 first_patch = 0;
    for (const auto& s : at.segments) {
      const i64 n = s.grid_h * s.grid_w;
      require(s.special() == 1 + count, "tokens: {} tokens for {} registers and a grid of {} x {}", s.tokens, count,
              s.grid_h, s.grid_w);
      Tensor<T, D> own;
      if (s.grid_h != grid || s.grid_w != grid) {
        own = {ctx, {n, cols}};
        launch(ctx, kernels::ResamplePositions<T>{.out = own.data(),
                                                  .in = table.data() + cols,
                                                  .grid = grid,
                                                  .height = s.grid_h,
                                                  .width = s.grid_w,
                                                  .cols = cols,
                                                  .rule = at.rule});
      }
      launch(ctx, kernels::AssembleTokens<T>{.out = out.data() + s.row * cols,
                                             .patches = patches.data() + first_patch * cols,
                                             .cls = cls.data(),
                                             .first = table.data(),
                                             .positions = own.defined() ? own.data() : table.data() + cols,
                                             .images = s.images,
                                             .n = n,
                                             .cols = cols,
                                             .registers = registers.data(),
                                             .register_count = count});
      first_patch += s.images * n;
    }
    if (keep) *keep = {at.segments, at.rule, grid};
    return out;
  }

  static void backward(Context<D>& ctx, Saved& saved, const Tensor<T, D>& dy, Grad<T, D> dpatches,
                       Grad<acc_t<T>, D> dcls, Grad<acc_t<T>, D> dtable, Grad<acc_t<T>, D> dregisters) {
    const i64 cols = dy.cols(), grid = saved.grid;
    auto patches = dpatches.open();
    auto cls = dcls.open(), table = dtable.open(), registers = dregisters.open();
    const bool sums = cls || table || registers;
    for (const auto& s : saved.segments) {
      const i64 n = s.grid_h * s.grid_w, count = s.special() - 1;
      Tensor<acc_t<T>, D> dsum;
      if (sums) dsum = {ctx, {s.tokens, cols}};
      launch(ctx, kernels::AssembleTokensBackward<T>{.dpatches = patches,
                                                     .dsum = dsum.data(),
                                                     .dout = dy.data() + s.row * cols,
                                                     .images = s.images,
                                                     .n = n,
                                                     .cols = cols,
                                                     .register_count = count});
      if (patches) patches.ptr += s.images * n * cols;
      if (cls) add_rows(ctx, cls, dsum.data(), cols);
      if (registers) add_rows(ctx, registers, dsum.data() + cols, count * cols);
      if (table) {
        add_rows(ctx, table, dsum.data(), cols);
        const Target<acc_t<T>> cells{table.ptr + cols, table.add};
        const acc_t<T>* const dcells = dsum.data() + s.special() * cols;
        if (s.grid_h != grid || s.grid_w != grid) {
          launch(ctx, kernels::ResamplePositionsBackward<T>{.din = cells,
                                                            .dout = dcells,
                                                            .grid = grid,
                                                            .height = s.grid_h,
                                                            .width = s.grid_w,
                                                            .cols = cols,
                                                            .rule = saved.rule});
        } else {
          add_rows(ctx, cells, dcells, n * cols);
        }
      }
      cls.add = table.add = registers.add = true;  // the next group comes on top
    }
  }

 private:
  static void add_rows(Context<D>& ctx, const Target<acc_t<T>>& into, const acc_t<T>* x, i64 n) {
    launch(ctx, kernels::Scale<acc_t<T>>{.out = into, .x = x, .n = n, .factor = 1});
  }
};

}  // namespace ops

/// Tokens of all crops, one after the other. Of an image with r registers: row 0 is cls + table[0], row 1+k is
/// registers[k], row 1+r+j is patches[j] + position j.
/// patches: (sum of images * grid_h * grid_w, C).  cls: C values.  table: (...,1+g*g,C), resampled by the rule for
/// every group whose grid is not g x g; its gradient flows back through the same weights.  registers: (...,r,C), or
/// undefined: none.  Returns (segments.rows(), C). Throws if the table is not square or shapes differ. Keeps the layout
/// only. Source: vision_transformer.py of DINO and DINOv2, prepare_tokens; Darcet et al. 2024 (registers).
template <class X> auto tokens(const X& patches, const auto& cls, const auto& table, const auto& registers,
                               const Segments& segments, const PositionRule& rule) {
  return apply<ops::Tokens<typename X::Scalar, typename X::Device>>({segments, rule}, patches, cls, table, registers);
}

/// Without registers, by the rule of DINO.
template <class X> auto tokens(const X& patches, const auto& cls, const auto& table, const Segments& segments) {
  return tokens(patches, cls, table, Tensor<typename X::Scalar, typename X::Device>(), segments, PositionRule{});
}

}  // namespace dino::inline DINO_ABI
