#include "start.hpp"

#include "../common/settings.hpp"

namespace programs {

using dino::i64;

std::string model_name(const dino::BackboneInfo& info) {
  const auto& vit = info.vit;
  return dino::backbone_name({vit.patch_size, vit.dim, vit.depth, vit.heads}, vit.mlp_ratio);
}

StartModel start_model(const dino::FinetuneConfig& c) {
  if (c.weights.empty()) return {backbone_info(c.model), std::nullopt};
  auto weights = dino::read_classifier(c.weights, c.checkpoint_key);
  const auto stored = model_name(weights.info);
  dino::require(!c.model.backbone_is_set || c.model.name == stored, dino::ErrorKind::weights,
                "{}: these are weights of {}, --backbone says {}. Leave --backbone out", c.weights, stored,
                c.model.name);
  if (c.model.image_size > 0) dino::fit_image_size(weights, c.model.image_size, c.interpolate_pos_embed);
  if (!c.model.normalize_is_auto) {
    weights.info.mean = c.model.mean;
    weights.info.deviation = c.model.deviation;
  }
  weights.info.name = stored;
  return {weights.info, std::move(weights)};
}

bool out_is_run(const dino::FinetuneConfig& c) {
  return !c.common.out.empty() && std::filesystem::exists(std::filesystem::path(c.common.out) / "config.json");
}

StartModel trained_model(dino::FinetuneConfig c) {
  const bool has_own = out_is_run(c), other_head = !c.linear_weights.empty();
  dino::require(!has_own || !other_head, dino::ErrorKind::usage,
                "linear_weights = {}: the run {} has a classifier of its own. Give its backbone as --weights, and "
                "another --out",
                c.linear_weights, c.common.out);
  if (has_own) {
    c.weights = c.common.out;
    c.model.backbone_is_set = false;  // by its configuration, whoever asked for it: the weights decide
  }
  auto model = start_model(c);
  if (other_head && model.weights) {
    const dino::ProbeHint hint{c.n_last_blocks_is_set ? std::optional(c.n_last_blocks) : std::nullopt,
                               c.avgpool_is_set ? std::optional(c.avgpool_patchtokens) : std::nullopt};
    model.weights->set_head(dino::read_linear_head(c.linear_weights, model.info.vit, hint));
    model.weights->where += " with " + c.linear_weights;
  }
  dino::require(model.weights && model.weights->outputs() > 0, dino::ErrorKind::weights,
                "{}: a backbone without a classifier. Train one first: dino_finetune --weights {} --data DIR",
                model.weights ? model.weights->where : "weights", c.weights);
  return model;
}

bool head_fits(const dino::ClassifierWeights& weights, const std::vector<std::string>& classes, bool ignore_head) {
  if (weights.outputs() == 0 || ignore_head) return false;
  const auto n = static_cast<i64>(classes.size());
  dino::require(weights.outputs() == n, dino::ErrorKind::weights,
                "{}: its head knows {} classes, the data has {}. Start with a new head: --ignore-head", weights.where,
                weights.outputs(), n);
  for (size_t c = 0; c < weights.classes.size(); ++c) {
    dino::require(weights.classes[c] == classes[c], dino::ErrorKind::weights,
                  "{}: class {} of its head is {}, that of the data is {}. Use the data it was trained for, or start "
                  "with a new head: --ignore-head",
                  weights.where, c, weights.classes[c], classes[c]);
  }
  return true;
}

}  // namespace programs
