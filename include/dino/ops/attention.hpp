// Multi-head self-attention on packed qkv, over all crops of a step at once.
#pragma once

#include <dino/kernels/attention.hpp>
#include <dino/ops/linear.hpp>
#include <dino/ops/softmax.hpp>

#include <cmath>

namespace dino::inline DINO_ABI {

namespace ops {

template <class T, class D> struct Attention {
  struct Attr {
    i64 heads;
    Segments segments;
  };
  struct Saved {
    Tensor<T, D> qkv, out;
    Tensor<acc_t<T>, D> lse;
    Attr attr;
  };

  static acc_t<T> scale(const Tensor<T, D>& qkv, i64 heads) {
    return 1 / std::sqrt(static_cast<acc_t<T>>(qkv.cols() / 3 / heads));
  }
  static void check(const Tensor<T, D>& qkv, const Attr& at) {
    require(at.heads >= 1 && qkv.cols() % (3 * at.heads) == 0 && qkv.rows() == at.segments.rows(),
            "attention: qkv is {} for {} heads and {} tokens", qkv, at.heads, at.segments.rows());
  }

  static Tensor<T, D> forward(const Attr& at, const Tensor<T, D>& packed, Saved* keep) {
    check(packed, at);
    const auto qkv = contiguous(packed);
    const i64 width = qkv.cols() / 3;
    Tensor<T, D> out(qkv.ctx(), {qkv.rows(), width});
    if (keep) *keep = {qkv, out, {qkv.ctx(), {qkv.rows(), at.heads}}, at};
    launch(qkv.ctx(), kernels::AttentionForward<T>{.out = out.data(),
                                                   .lse = keep ? keep->lse.data() : nullptr,
                                                   .class_map = nullptr,
                                                   .qkv = qkv.data(),
                                                   .segments = &at.segments,
                                                   .heads = at.heads,
                                                   .head_dim = width / at.heads,
                                                   .scale = scale(qkv, at.heads)});
    return out;
  }

  static void backward(Context<D>& ctx, Saved& s, const Tensor<T, D>& dy, Grad<T, D> dqkv) {
    launch(ctx, kernels::AttentionBackward<T>{.dqkv = dqkv.open(),
                                              .dout = dy.data(),
                                              .out = s.out.data(),
                                              .qkv = s.qkv.data(),
                                              .lse = s.lse.data(),
                                              .segments = &s.attr.segments,
                                              .heads = s.attr.heads,
                                              .head_dim = s.out.cols() / s.attr.heads,
                                              .scale = scale(s.qkv, s.attr.heads)});
  }
};

}  // namespace ops

/// softmax(q k^T / sqrt(d)) v for every head of every image; tokens see their own image only.
/// qkv: (R,3C), rows as `segments` lists them, columns q, k, v of H heads each.  Returns (R,C).
/// Keeps qkv, the result and one number per row and head, never the scores.
template <class X> auto attention(const X& qkv, i64 heads, const Segments& segments) {
  return apply<ops::Attention<typename X::Scalar, typename X::Device>>({heads, segments}, qkv);
}

/// What the class token of each image looks at: the first row of the probabilities, (images,H,N) of one group of crops.
template <class T, class D>
Tensor<acc_t<T>, D> class_attention(const Tensor<T, D>& packed, i64 heads, const Segments& segments) {
  using Op = ops::Attention<T, D>;
  Op::check(packed, {heads, segments});
  require(segments.size() == 1, "class_attention: {} groups of crops, expected one", segments.size());
  const auto qkv = contiguous(packed);
  const i64 width = qkv.cols() / 3;
  const Tensor<T, D> out(qkv.ctx(), {qkv.rows(), width});
  Tensor<acc_t<T>, D> map(qkv.ctx(), {segments.images(), heads, segments[0].tokens});
  launch(qkv.ctx(), kernels::AttentionForward<T>{.out = out.data(),
                                                 .lse = nullptr,
                                                 .class_map = map.data(),
                                                 .qkv = qkv.data(),
                                                 .segments = &segments,
                                                 .heads = heads,
                                                 .head_dim = width / heads,
                                                 .scale = Op::scale(qkv, heads)});
  return map;
}

/// What tokens [first, first + count) of each image look at: their rows of the probabilities, (images,H,count,N) of one
/// group of crops. For looking, not for training: a product and a softmax for each image and head.
template <class T, class D> Tensor<acc_t<T>, D> attention_rows(const Tensor<T, D>& packed, i64 heads,
                                                               const Segments& segments, i64 first, i64 count) {
  ops::Attention<T, D>::check(packed, {heads, segments});
  require(segments.size() == 1, "attention_rows: {} groups of crops, expected one", segments.size());
  const auto& s = segments[0];
  require(first >= 0 && count >= 1 && first + count <= s.tokens, "attention_rows: [{}, {}) of {} tokens", first,
          first + count, s.tokens);
  const auto qkv = contiguous(packed);
  const i64 width = qkv.cols() / 3, dim = width / heads;
  const Tensor<acc_t<T>, D> scores(qkv.ctx(), {s.images * heads * count, s.tokens});
  for (i64 image = 0; image < s.images; ++image) {
    const auto rows = qkv.slice(image * s.tokens, (image + 1) * s.tokens);
    for (i64 h = 0; h < heads; ++h) {
      const i64 at = (image * heads + h) * count;
      const auto query = rows.slice(first, first + count).columns(h * dim, (h + 1) * dim);  // (count,d)
      const auto key = rows.columns(width + h * dim, width + (h + 1) * dim);                // (N,d)
      detail::linear_into(scores.slice(at, at + count), query, key, Tensor<T, D>{});        // (count,N)
    }
  }
  return softmax(scores, std::sqrt(static_cast<double>(dim))).reshape({s.images, heads, count, s.tokens});
}

}  // namespace dino::inline DINO_ABI
