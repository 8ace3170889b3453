// Backbones: outputs, last attention and gradients.
#include "items.hpp"

#include <dino/autograd/tape.hpp>
#include <dino/io/weights.hpp>
#include <dino/nn/vit.hpp>

namespace parity {
namespace {

constexpr Tolerance outputs{1e-10, 1e-5}, gradients{1e-8, 1e-4}, key_bias{1e-10, 1e-5};

MlpKind mlp_kind(Golden& file) {
  const auto name = file.text("mlp");
  file.check(name == "gelu" || name == "swiglu", "field mlp is \"{}\", expected gelu or swiglu", name);
  return name == "gelu" ? MlpKind::gelu : MlpKind::swiglu;
}

/// The fields of a backbone. Those that DINOv2 adds may be absent: then it is one of DINO.
VitConfig vit_config(Golden& file) {
  VitConfig c;
  c.image_size = file.integer("image_size");
  c.patch_size = file.integer("patch_size");
  c.dim = file.integer("dim");
  c.depth = file.integer("depth");
  c.heads = file.integer("heads");
  c.mlp_ratio = file.real("mlp_ratio");
  if (file.has_field("registers")) c.registers = file.integer("registers");
  if (file.has_field("layer_scale")) c.layer_scale = file.flag("layer_scale") ? 1 : 0;  // the file has the values
  if (file.has_field("mlp")) c.mlp = mlp_kind(file);
  if (file.has_field("mask_token")) c.mask_token = file.flag("mask_token");
  if (file.has_field("position_offset")) c.positions.offset = file.real("position_offset");
  if (file.has_field("position_antialias")) c.positions.antialias = file.flag("position_antialias");
  return c;
}

template <class T> struct Net {
  ParamStore<T, HostDevice> params;
  nn::VisionTransformer<T, HostDevice> vit;

  Net(Golden& file, HostContext& ctx, const VitConfig& c) : params(ctx), vit(Scope{params}, c) {
    params.finalize(0);
    load_parameters(params, file.state("weights."), "weights.", file.path());
  }
};

/// Rows of the first token of each image against the same rows of `tokens` (B,N,C).
template <class T> Difference compare_class_rows(Golden& file, const HostTensor<T>& rows) {
  const auto& shape = file.shape("tokens");
  file.check(shape.rank() == 3 && shape[0] == rows.rows() && shape[2] == rows.cols(),
             "tensor tokens is {}, dino computes features {}", shape, rows);
  const auto expected = file.values<double>("tokens");
  Difference d;
  for (i64 b = 0; b < rows.rows(); ++b) {
    for (i64 i = 0; i < rows.cols(); ++i)
      d.add(rows[b * rows.cols() + i], expected[static_cast<size_t>(b * shape[1] * shape[2] + i)]);
  }
  return d;
}

template <class T>
void check_outputs(Golden& file, const Net<T>& net, const HostTensor<T>& images, i64 last_blocks, Items& items) {
  const std::vector<HostTensor<T>> groups{images};
  const auto segments = net.vit.layout(groups);
  std::vector<HostTensor<T>> entering;  // each block, and at last what leaves the last one
  net.vit.walk(groups, segments, [&](i64, const HostTensor<T>& x) { entering.push_back(x); });
  const size_t depth = net.vit.blocks.size();
  const auto after = [&](i64 k) {  // the last k blocks left out
    const auto x = net.vit.norm(entering[depth - static_cast<size_t>(k)]);
    return x.reshape({images.shape()[0], x.rows() / images.shape()[0], x.cols()});
  };
  if (file.has("tokens")) {
    items.add("class token", outputs, compare_class_rows(file, net.vit(images)));
    items.add("all tokens", outputs, compare(file, after(0), "tokens"));
  }
  if (file.has("attention")) {
    const auto map = net.vit.last_attention(entering[depth - 1], segments);
    items.add("last attention", outputs, compare(file, map, "attention"));
  }
  for (i64 k = 1; k < last_blocks; ++k) {
    const auto name = str("last.{}", k);
    if (file.has(name)) items.add("last blocks", outputs, compare(file, after(k), name), name);
  }
}

template <class T>
void check_gradients(Golden& file, HostContext& ctx, Net<T>& net, const HostTensor<T>& images, Items& items) {
  const auto names = file.names_with("grad.");
  if (names.empty()) return;
  Tape<HostDevice> tape(ctx);
  const auto y = net.vit.all_tokens(std::vector{tape.input(images)});
  const auto dy = file.tensor<T>(ctx, "d_tokens");
  file.check(dy.numel() == y.value.numel(), "tensor d_tokens is {}, dino computes tokens {}", dy, y);
  tape.backward(y, dy.reshape(y.shape()));
  for (const auto& name : names) {
    const i64 index = net.params.find(name);
    file.check(index >= 0, "tensor grad.{}: the model has no such parameter", name);
    file.check(net.params.has_grad(index), "tensor grad.{}: nothing in the model reads this parameter", name);
    const auto grad = net.params.grad(index);
    if (!has_key_bias(name)) {
      const auto difference = compare(file, grad, "grad." + name);
      items.add("gradients", gradients, difference, name);
      if (name == "pos_embed") items.add("gradient of positions", gradients, difference);
      continue;
    }
    file.check(grad.shape() == file.shape("grad." + name), "tensor grad.{} is {}, dino computes {}", name,
               file.shape("grad." + name), grad);
    const auto split = split_bias(to_vector(grad), file.values<double>("grad." + name));
    items.add("gradients", gradients, split.query_value, name);
    items.item("key bias, of query's", key_bias).add(split.key_largest, split.key_largest / split.query_largest, name);
  }
}

}  // namespace

std::vector<Item> check_vit(Golden& file, HostContext& ctx) {
  const auto c = vit_config(file);
  const i64 last_blocks = file.integer("last_blocks");
  file.end_of_fields();
  file.check(last_blocks >= 1 && last_blocks <= c.depth, "last_blocks {} of depth {}", last_blocks, c.depth);
  return in_both_types(file, "vit", [&]<class T>(T, Items& items) {
    Net<T> net(file, ctx, c);
    const auto images = file.tensor<T>(ctx, "images");
    check_outputs(file, net, images, last_blocks, items);
    check_gradients(file, ctx, net, images, items);
  });
}

}  // namespace parity
