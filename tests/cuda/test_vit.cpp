#include <dino/nn/vit.hpp>

#include "support/compare_devices.hpp"

using namespace dino;

namespace {

/// All that DINOv2 adds, or none of it.
VitConfig config_of(bool dinov2) {
  VitConfig c{.image_size = 8, .patch_size = 2, .dim = 32, .depth = 2, .heads = 2, .drop_path = 0.5, .init_std = 0.2};
  if (!dinov2) return c;
  c.registers = 3;
  c.layer_scale = 0.7;
  c.mlp = MlpKind::swiglu;
  c.token_std = 0.3;
  c.positions = {.offset = 0, .antialias = true};
  return c;
}

template <class T> std::vector<double> to_doubles(const std::vector<T>& list) {
  std::vector<double> out;
  for (const T x : list) out.push_back(static_cast<double>(to_acc(x)));
  return out;
}

template <class T, class D> struct Model {
  Context<D>& ctx;
  ParamStore<T, D> params{ctx};
  nn::VisionTransformer<T, D> net;

  Model(Context<D>& context, bool dinov2) : ctx(context), net(Scope<T, D>{params}, config_of(dinov2)) {
    params.finalize(3);
  }

  /// All tokens, the attention of the last block and rows of that of the first, without a tape; then all tokens with
  /// dropped branches and the gradients of every parameter. On each device from the same numbers, which bf16 holds.
  std::vector<std::vector<double>> results() {
    const auto draw = [&](const Shape& shape, u64 stream) {
      HostContext host(1);
      std::vector<T> values;
      for (const float x : to_vector(randn<float>(host, shape, RngKey(9, stream)))) {
        values.push_back(from_acc<T>(static_cast<acc_t<T>>(to_acc(from_acc<bf16>(x)))));
      }
      return tensor(ctx, shape, values);
    };
    const std::vector<Tensor<T, D>> groups{draw({2, 3, 8, 8}, 1), draw({3, 3, 4, 6}, 2)};
    std::vector<std::vector<double>> out{to_doubles(to_vector(net.all_tokens(groups))),
                                         to_doubles(to_vector(net.last_attention(groups[1])))};
    const std::vector<Tensor<T, D>> one{groups[1]};
    net.walk(one, net.layout(one), [&](i64 i, const Tensor<T, D>& x) {
      if (i == 0) out.push_back(to_doubles(to_vector(net.block_attention(i, x, net.layout(one), 1, 3))));
    });
    Tape<D> tape(ctx, RngKey(3, 5));
    const auto y = net.all_tokens(tape.input(groups));
    tape.backward(y, draw(y.shape(), 3));
    out.push_back(to_doubles(to_vector(y.value)));
    for (size_t i = 0; i < params.segments().size(); ++i) {
      const auto grad = params.grad(static_cast<i64>(i));
      REQUIRE(grad.defined());
      out.push_back(to_doubles(to_vector(grad)));
    }
    return out;
  }
};

/// The key third of qkv.bias: a shift of all keys changes no probability, so that its gradient is rounding.
bool is_rounding(const std::string& name, size_t i, size_t n) {
  return name.ends_with("qkv.bias") && i >= n / 3 && i < 2 * n / 3;
}

}  // namespace

TEMPLATE_TEST_CASE("vit: tokens, attention and gradients on CUDA are those of the CPU", "[cuda]", float, bf16) {
  const bool dinov2 = GENERATE(false, true);
  Context<Cuda> cuda;
  HostContext host(2);
  Model<TestType, Cuda> model(cuda, dinov2);
  Model<double, HostDevice> expected(host, dinov2);
  for (i64 i = 0; i < static_cast<i64>(expected.params.segments().size()); ++i) {
    expected.params.assign(i, to_doubles(to_vector(model.params.value(i))));
  }
  const auto got = model.results(), want = expected.results();
  REQUIRE(got.size() == want.size());
  // bf16: every activation is rounded to 4e-3, some twenty of them one after the other.
  const double tolerance = sizeof(TestType) == 2 ? 4e-2 : 1e-5;
  for (size_t k = 0; k < want.size(); ++k) {
    const auto name = k < 4 ? std::string("result") : expected.params.segments()[k - 4].name;
    INFO(k << " " << name);
    REQUIRE(got[k].size() == want[k].size());
    double difference = 0, largest = 0;
    for (size_t i = 0; i < want[k].size(); ++i) {
      largest = std::max(largest, std::abs(want[k][i]));
      if (is_rounding(name, i, want[k].size())) continue;
      if (!(std::abs(got[k][i] - want[k][i]) <= difference)) difference = std::abs(got[k][i] - want[k][i]);
    }
    CHECK(difference <= tolerance * largest);
  }
}
