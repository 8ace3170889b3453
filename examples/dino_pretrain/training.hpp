// The trainer of a run on whatever device it was asked for.
#pragma once

#include <dino/data/eval_transform.hpp>
#include <dino/device/choose.hpp>
#include <dino/eval/features.hpp>
#include <dino/io/state_dict.hpp>
#include <dino/io/weights.hpp>
#include <dino/ssl/trainer.hpp>

#include <functional>
#include <memory>

namespace programs {

/// What the class token looks at in the last block, mean over the heads.
struct TeacherAttention {
  dino::Shape shape;  // (images,h,w)
  std::vector<float> values;
};

/// What the program asks of a trainer. Number type and device are behind it, so that its parts are compiled once.
class Training {
 public:
  virtual ~Training() = default;

  virtual const dino::DinoConfig& config() const = 0;
  virtual dino::i64 steps_done() const = 0;
  virtual dino::StepReport step(const dino::Batch& batch) = 0;
  /// Class tokens of the teacher for a data set; the host decodes the images.
  virtual dino::FeatureSet teacher_features(dino::HostContext& host, const dino::AnyDataset& set,
                                            const dino::EvalTransform& transform) = 0;
  /// pixels: (images,3,size,size), prepared.
  virtual TeacherAttention teacher_attention(const std::vector<float>& pixels, dino::i64 images, dino::i64 size) = 0;
  virtual void load(const dino::StateDict& state, dino::i64 step, const std::string& where) = 0;
  /// Student and teacher start from weights; what the user should know.
  virtual std::vector<std::string> start_from(dino::StateDict weights, const std::string& where, bool interpolate) = 0;
  /// Calls write with all tensors of a checkpoint, which live until it returns.
  virtual void save(const std::function<void(const std::vector<dino::TensorView>&)>& write) = 0;
  virtual void export_teacher(const std::filesystem::path& path, const dino::BackboneInfo& info) = 0;
  virtual dino::i64 peak_bytes() = 0;  // of the device
};

/// precision: fp32 or bf16; auto is bf16 on CUDA and fp32 on the CPU. host: where a CPU run computes.
std::unique_ptr<Training> make_training(const dino::DeviceChoice& device, const std::string& precision,
                                        dino::HostContext& host, const dino::DinoConfig& config,
                                        const std::vector<dino::CropGroup>& groups);

}  // namespace programs
