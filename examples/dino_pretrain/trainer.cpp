// The trainers, each compiled once for the program.
#include "training.hpp"

#include <dino/ssl/initial_weights.hpp>
#include <dino/ssl/trainer_state.hpp>

namespace programs {

namespace {

template <class T, class D> class TrainingOn final : public Training {
 public:
  TrainingOn(dino::Context<D>& ctx, const dino::DinoConfig& config, const std::vector<dino::CropGroup>& groups)
      : trainer_(ctx, config, groups) {}
  /// Owns the device.
  TrainingOn(std::unique_ptr<dino::Context<D>> ctx, const dino::DinoConfig& config,
             const std::vector<dino::CropGroup>& groups)
      : own_(std::move(ctx)), trainer_(*own_, config, groups) {}

  const dino::DinoConfig& config() const override { return trainer_.config(); }
  dino::i64 steps_done() const override { return trainer_.steps_done(); }
  dino::StepReport step(const dino::Batch& batch) override { return trainer_.step(batch); }
  dino::FeatureSet teacher_features(dino::HostContext& host, const dino::AnyDataset& set,
                                    const dino::EvalTransform& transform) override {
    return dino::extract_features<T>(trainer_.ctx(), host, trainer_.teacher().backbone, set, transform);
  }
  void load(const dino::StateDict& state, dino::i64 step, const std::string& where) override {
    dino::load_trainer(trainer_, state, step, where);
  }
  std::vector<std::string> start_from(dino::StateDict weights, const std::string& where, bool interpolate) override {
    return dino::load_initial_weights(trainer_, std::move(weights), where, interpolate);
  }
  void save(const std::function<void(const std::vector<dino::TensorView>&)>& write) override {
    std::vector<dino::i64> counts;
    write(dino::trainer_views(trainer_, counts));
  }
  void export_teacher(const std::filesystem::path& path, const dino::BackboneInfo& info) override {
    dino::export_backbone(path, trainer_.teacher_params(), info);
  }
  dino::i64 peak_bytes() override { return trainer_.ctx().pool().peak_bytes(); }

 private:
  std::unique_ptr<dino::Context<D>> own_;
  dino::DinoTrainer<T, D> trainer_;
};

}  // namespace

std::unique_ptr<Training> make_training([[maybe_unused]] const dino::DeviceChoice& device, const std::string& precision,
                                        dino::HostContext& host, const dino::DinoConfig& config,
                                        const std::vector<dino::CropGroup>& groups) {
#if DINO_CUDA
  if (device.cuda) {
    auto ctx = std::make_unique<dino::Context<dino::Cuda>>(device.index);
    if (precision == "fp32") {
      return std::make_unique<TrainingOn<float, dino::Cuda>>(std::move(ctx), config, groups);
    }
    return std::make_unique<TrainingOn<dino::bf16, dino::Cuda>>(std::move(ctx), config, groups);
  }
#endif
  dino::require(precision != "bf16", dino::ErrorKind::usage,
                "precision = bf16 needs --device cuda; the CPU computes in fp32");
  return std::make_unique<TrainingOn<float, dino::HostDevice>>(host, config, groups);
}

}  // namespace programs
