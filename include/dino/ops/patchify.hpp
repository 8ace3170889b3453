// Groups of images as one matrix of patch rows.
#pragma once

#include <dino/autograd/apply.hpp>
#include <dino/kernels/patchify.hpp>

namespace dino::inline DINO_ABI {

namespace ops {

template <class T, class D> struct Patchify {
  struct Attr {
    i64 patch;
  };
  struct Saved {
    std::vector<Shape> shapes;
    i64 patch;
  };

  static Tensor<T, D> forward(const Attr& at, const std::vector<Tensor<T, D>>& groups, Saved* keep) {
    require(!groups.empty(), "patchify: no images");
    i64 rows = 0;
    const i64 p = at.patch, channels = groups[0].shape()[1];
    for (const auto& x : groups) {
      require(x.shape().rank() == 4 && x.shape()[1] == channels, "patchify: images are {}", x);
      require(x.shape()[2] % p == 0 && x.shape()[3] % p == 0 && x.shape()[2] >= p && x.shape()[3] >= p, ErrorKind::data,
              "patchify: images are {}, height and width must be multiples of the patch size {}", x, p);
      rows += x.shape()[0] * (x.shape()[2] / p) * (x.shape()[3] / p);
    }
    Tensor<T, D> out(groups[0].ctx(), {rows, channels * p * p});
    if (keep) keep->patch = p;
    i64 first = 0;
    for (const auto& group : groups) {
      const auto x = contiguous(group);
      const auto& s = x.shape();
      launch(x.ctx(), kernels::Patchify<T>{.rows = out.data() + first,
                                           .x = x.data(),
                                           .images = s[0],
                                           .channels = s[1],
                                           .height = s[2],
                                           .width = s[3],
                                           .patch = p});
      first += x.numel();
      if (keep) keep->shapes.push_back(s);
    }
    return out;
  }

  static void backward(Context<D>& ctx, Saved& saved, const Tensor<T, D>& dy, Grads<T, D> dx) {
    i64 first = 0;
    for (i64 i = 0; i < dx.size(); ++i) {
      const auto& s = saved.shapes[static_cast<size_t>(i)];
      auto sink = dx[i];
      if (const auto into = sink.open()) {
        launch(ctx, kernels::Unpatchify<T>{.dx = into,
                                           .drows = dy.data() + first,
                                           .images = s[0],
                                           .channels = s[1],
                                           .height = s[2],
                                           .width = s[3],
                                           .patch = saved.patch});
      }
      first += s.numel();
    }
  }
};

}  // namespace ops

/// The patches of all images, group after group, one row each: values in the order (channel, y, x), patches row by row.
/// groups: (B_g,channels,H_g,W_g) each.  Returns (sum B_g (H_g/p) (W_g/p), channels*p*p).
/// Throws if a side is no multiple of the patch size. Keeps shapes only.
template <class X> auto patchify(const std::vector<X>& groups, i64 patch) {
  return apply<ops::Patchify<typename X::Scalar, typename X::Device>>({patch}, groups);
}

}  // namespace dino::inline DINO_ABI
