#include <dino/kernels/layer_scale.hpp>
#include <dino/tensor/create.hpp>

#include "support/catch.hpp"

using namespace dino;

namespace {
struct Fixture {
  HostContext ctx{2};
  HostTensor<double> w = tensor<double>(ctx, {2, 3}, {1, 2, 3, 4, 5, 6}), b = tensor<double>(ctx, {2}, {10, 20});
  HostTensor<double> gamma = tensor<double>(ctx, {2}, {2, -1});
  HostTensor<double> dscaled_w = tensor<double>(ctx, {2, 3}, {1, 1, 1, 3, 1, 2});
  HostTensor<double> dscaled_b = tensor<double>(ctx, {2}, {3, 4});

  void backward(const Target<double>& dw, const Target<double>& db, const Target<double>& dgamma) {
    launch(ctx, kernels::LayerScaleBackward<double>{.dw = dw,
                                                    .db = db,
                                                    .dgamma = dgamma,
                                                    .dscaled_w = dscaled_w.data(),
                                                    .dscaled_b = dscaled_b.data(),
                                                    .w = w.data(),
                                                    .b = b.data(),
                                                    .gamma = gamma.data(),
                                                    .rows = 2,
                                                    .cols = 3});
  }
};
}  // namespace

TEST_CASE("layer_scale: each row of the weight and of the bias is scaled", "[kernels]") {
  Fixture f;
  const HostTensor<double> w(f.ctx, {2, 3}), b(f.ctx, {2});
  launch(f.ctx, kernels::LayerScaleForward<double>{.scaled_w = w.data(),
                                                   .scaled_b = b.data(),
                                                   .w = f.w.data(),
                                                   .b = f.b.data(),
                                                   .gamma = f.gamma.data(),
                                                   .rows = 2,
                                                   .cols = 3});
  CHECK(to_vector(w) == std::vector<double>{2, 4, 6, -4, -5, -6});
  CHECK(to_vector(b) == std::vector<double>{20, -20});
}

TEST_CASE("layer_scale: gradients, each of them optional, over or on top of what is there", "[kernels]") {
  Fixture f;
  const HostTensor<double> dw(f.ctx, {2, 3}), db(f.ctx, {2}), dgamma(f.ctx, {2});
  f.backward({dw.data()}, {db.data()}, {dgamma.data()});
  const std::vector<double> weight{2, 2, 2, -3, -1, -2}, bias{6, -4}, scale{6 + 30, 29 + 80};
  CHECK(to_vector(dw) == weight);
  CHECK(to_vector(db) == bias);
  CHECK(to_vector(dgamma) == scale);
  f.backward({}, {}, {dgamma.data(), true});
  CHECK(to_vector(dgamma) == std::vector<double>{72, 218});
  f.backward({dw.data(), true}, {}, {});
  CHECK(to_vector(dw) == std::vector<double>{4, 4, 4, -6, -2, -4});
  f.backward({}, {db.data(), true}, {});
  CHECK(to_vector(db) == std::vector<double>{12, -8});
  CHECK(to_vector(dgamma) == std::vector<double>{72, 218});
}
