// A classifier, in training or in use, on whatever device it was asked for.
#pragma once

#include <dino/device/choose.hpp>
#include <dino/eval/features.hpp>
#include <dino/eval/finetune.hpp>

#include <functional>
#include <memory>

namespace programs {

/// What the program asks of a classifier. Number type and device are behind it, so that its parts are compiled once.
class ClassifierTraining {
 public:
  virtual ~ClassifierTraining() = default;

  virtual const dino::FinetuneSettings& settings() const = 0;
  virtual dino::i64 steps_done() const = 0;
  virtual dino::FinetuneReport step(const dino::Batch& batch) = 0;
  /// Logits of all images of a set as features; the host decodes the images. bad, if any, counts those that cannot be
  /// read, and throws when they are too many.
  virtual dino::FeatureSet logits(dino::HostContext& host, const dino::AnyDataset& set,
                                  const dino::EvalTransform& transform, dino::BadImages* bad) = 0;
  virtual void load(const dino::StateDict& state, dino::i64 step, const std::string& where) = 0;
  virtual void start_from(const dino::ClassifierWeights& weights, bool with_head) = 0;
  /// Calls write with all tensors of a checkpoint, which live until it returns.
  virtual void save(const std::function<void(const std::vector<dino::TensorView>&)>& write) = 0;
  virtual void export_to(const std::filesystem::path& path, const dino::BackboneInfo& info,
                         const std::vector<std::string>& classes) = 0;
  virtual dino::i64 peak_bytes() = 0;  // of the device
};

/// precision: fp32 or bf16; auto is bf16 on CUDA and fp32 on the CPU. host: where a CPU run computes.
std::unique_ptr<ClassifierTraining> make_classifier(const dino::DeviceChoice& device, const std::string& precision,
                                                    dino::HostContext& host, const dino::FinetuneSettings& settings);
/// One with these weights and their head, to be used as it is.
std::unique_ptr<ClassifierTraining> use_classifier(const dino::DeviceChoice& device, const std::string& precision,
                                                   dino::HostContext& host, const dino::VitConfig& backbone,
                                                   const dino::ClassifierWeights& weights);

}  // namespace programs
