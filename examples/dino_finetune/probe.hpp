// A frozen backbone and the linear classifiers on its features, on whatever device they were asked for.
#pragma once

#include "start.hpp"

#include <dino/device/choose.hpp>
#include <dino/eval/bad_images.hpp>
#include <dino/eval/linear_probe.hpp>
#include <dino/eval/logistic_regression.hpp>
#include <dino/eval/probe_features.hpp>

#include <functional>
#include <memory>

namespace programs {

/// Makes features. Number type and device are behind it.
class FrozenBackbone {
 public:
  virtual ~FrozenBackbone() = default;

  virtual dino::i64 dim() const = 0;  // of a row of features
  virtual std::string hash() = 0;     // of the weights
  virtual std::string precision() const = 0;
  /// Features of the images of a set as for evaluation; on_batch gets the number of images done.
  virtual dino::FeatureSet extract(dino::HostContext& host, const dino::AnyDataset& set,
                                   const dino::EvalTransform& transform, const std::function<void(dino::i64)>& on_batch,
                                   dino::BadImages& bad) = 0;
  /// Calls use with the tensors of the backbone, which live until it returns.
  virtual void with_weights(const std::function<void(const std::vector<dino::TensorView>&)>& use) = 0;
  /// Features (n,dim) of normalised images (n,3,S,S).
  virtual std::vector<float> features(const std::vector<float>& pixels, dino::i64 images) = 0;
};

/// The weights of the model, or first values by the seed. precision: fp32, bf16 or auto.
std::unique_ptr<FrozenBackbone> make_backbone(const dino::DeviceChoice& device, const std::string& precision,
                                              dino::HostContext& host, const StartModel& model, dino::u64 seed,
                                              const dino::ProbeInput& input);

/// One linear layer in float.
struct TrainedHead {
  std::vector<float> weight, bias;  // (classes,C) (classes)
};

/// Classifiers in training by steps (SGD, AdamW) or iterations (L-BFGS). They compute in fp32 on every device.
class ProbeTraining {
 public:
  using Write = std::function<void(const std::vector<dino::TensorView>&)>;

  virtual ~ProbeTraining() = default;

  virtual dino::i64 steps_done() const = 0;
  virtual bool finished() const = 0;
  /// One step of all heads; the loss of each. Of L-BFGS: one iteration, and the objective.
  virtual std::vector<double> step() = 0;
  /// One step from features of a batch; not of L-BFGS.
  virtual std::vector<double> step(std::span<const float> features, const std::vector<dino::i64>& labels) = 0;
  virtual std::vector<double> accuracies(const dino::FeatureRows& test) = 0;
  virtual dino::ClassificationMetrics evaluate(const dino::FeatureRows& test, dino::i64 head) = 0;
  virtual TrainedHead head(dino::i64 index) = 0;
  virtual void load(const dino::StateDict& state, dino::i64 step, const std::string& where) = 0;
  virtual void save(const Write& write) = 0;
};

/// train: read in every step; without features of its own (augmented) only step(features, labels) may be called.
std::unique_ptr<ProbeTraining> make_probe(const dino::DeviceChoice& device, dino::HostContext& host,
                                          const dino::ProbeSettings& settings, const dino::FeatureRows& train);
std::unique_ptr<ProbeTraining> make_logistic(const dino::DeviceChoice& device, dino::HostContext& host,
                                             const dino::LogisticSettings& settings, const dino::FeatureRows& train);

}  // namespace programs
