// The trainers, each compiled once for the program.
#include "training.hpp"

#include "../common/on_device.hpp"

#include <dino/ssl/initial_weights.hpp>
#include <dino/ssl/trainer_state.hpp>

namespace programs {

namespace {

template <class T, class D> class TrainingOn final : public Training {
 public:
  TrainingOn(std::shared_ptr<dino::Context<D>> ctx, const dino::DinoConfig& config,
             const std::vector<dino::CropGroup>& groups)
      : ctx_(std::move(ctx)), trainer_(*ctx_, config, groups) {}

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
  std::shared_ptr<dino::Context<D>> ctx_;
  dino::DinoTrainer<T, D> trainer_;
};

}  // namespace

std::unique_ptr<Training> make_training(const dino::DeviceChoice& device, const std::string& precision,
                                        dino::HostContext& host, const dino::DinoConfig& config,
                                        const std::vector<dino::CropGroup>& groups) {
  return on_device(device, precision, host,
                   [&]<class T, class D>(T, const std::shared_ptr<dino::Context<D>>& ctx) -> std::unique_ptr<Training> {
                     return std::make_unique<TrainingOn<T, D>>(ctx, config, groups);
                   });
}

}  // namespace programs
