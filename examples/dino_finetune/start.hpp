// What a classifier starts from: weights of a file, or first values.
#pragma once

#include <dino/eval/classifier.hpp>
#include <dino/io/finetune_config.hpp>

#include <optional>

namespace programs {

/// The backbone of a run, with the images it sees.
struct StartModel {
  dino::BackboneInfo info;
  std::optional<dino::ClassifierWeights> weights;  // none: from scratch

  dino::EvalTransform transform() const {
    return {.size = info.vit.image_size, .mean = info.mean, .deviation = info.deviation};
  }
};

/// Reads --weights, if any, and lets --backbone, --image-size and --normalize agree or disagree with them. Throws
/// Error{weights}.
StartModel start_model(const dino::FinetuneConfig& config);

/// Whether the folder of --out holds a run.
bool out_is_run(const dino::FinetuneConfig& config);

/// A classifier that is there to be used: that of --out, where it is a run, else of --weights, with the head of
/// --linear-weights where that is given. Throws Error{weights} when there is only a backbone.
StartModel trained_model(dino::FinetuneConfig config);

/// vit-s-16: what these sizes are called, whatever the file says.
std::string model_name(const dino::BackboneInfo& info);

/// Whether the head of the weights is one for these classes. Throws Error{weights} when it is for others and
/// --ignore-head is not set.
bool head_fits(const dino::ClassifierWeights& weights, const std::vector<std::string>& classes, bool ignore_head);

}  // namespace programs
