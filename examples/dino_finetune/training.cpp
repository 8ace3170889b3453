// The trainers, each compiled once for the program.
#include "training.hpp"

#include "../common/on_device.hpp"

#include <dino/eval/finetune_state.hpp>

namespace programs {

namespace {

template <class T, class D> class TrainingOn final : public ClassifierTraining {
 public:
  TrainingOn(std::shared_ptr<dino::Context<D>> ctx, const dino::FinetuneSettings& settings)
      : ctx_(std::move(ctx)), trainer_(*ctx_, settings) {}

  const dino::FinetuneSettings& settings() const override { return trainer_.settings(); }
  dino::i64 steps_done() const override { return trainer_.steps_done(); }
  dino::FinetuneReport step(const dino::Batch& batch) override { return trainer_.step(batch); }
  dino::FeatureSet logits(dino::HostContext& host, const dino::AnyDataset& set,
                          const dino::EvalTransform& transform, dino::BadImages* bad) override {
    return dino::extract_features<T>(trainer_.ctx(), host, trainer_.model(), set, transform, 64, {}, bad);
  }
  void load(const dino::StateDict& state, dino::i64 step, const std::string& where) override {
    dino::load_finetune(trainer_, state, step, where);
  }
  void start_from(const dino::ClassifierWeights& weights, bool with_head) override {
    dino::load_classifier(trainer_.params(), weights, with_head);
  }
  void save(const std::function<void(const std::vector<dino::TensorView>&)>& write) override {
    std::vector<dino::i64> counts;
    write(dino::finetune_views(trainer_, counts));
  }
  void export_to(const std::filesystem::path& path, const dino::BackboneInfo& info,
                 const std::vector<std::string>& classes) override {
    dino::export_classifier(path, trainer_.params(), info, classes);
  }
  dino::i64 peak_bytes() override { return trainer_.ctx().pool().peak_bytes(); }

 private:
  std::shared_ptr<dino::Context<D>> ctx_;
  dino::FinetuneTrainer<T, D> trainer_;
};

}  // namespace

std::unique_ptr<ClassifierTraining> make_classifier(const dino::DeviceChoice& device, const std::string& precision,
                                                    dino::HostContext& host, const dino::FinetuneSettings& settings) {
  return on_device(
      device, precision, host,
      [&]<class T, class D>(T, const std::shared_ptr<dino::Context<D>>& ctx) -> std::unique_ptr<ClassifierTraining> {
        return std::make_unique<TrainingOn<T, D>>(ctx, settings);
      });
}

std::unique_ptr<ClassifierTraining> use_classifier(const dino::DeviceChoice& device, const std::string& precision,
                                                   dino::HostContext& host, const dino::VitConfig& backbone,
                                                   const dino::ClassifierWeights& weights) {
  dino::FinetuneSettings settings;
  settings.backbone = backbone;
  settings.classes = weights.outputs();
  settings.input = weights.input;
  auto classifier = make_classifier(device, precision, host, settings);
  classifier->start_from(weights, true);
  return classifier;
}

}  // namespace programs
