// The trainers, each compiled once for the program.
#include "training.hpp"

#include "../common/on_device.hpp"

#include <dino/eval/attention_map.hpp>
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
  TeacherAttention teacher_attention(const std::vector<float>& pixels, dino::i64 images, dino::i64 size) override {
    std::vector<T> values;
    for (const float x : pixels) values.push_back(dino::from_acc<T>(static_cast<dino::acc_t<T>>(x)));
    const auto& net = trainer_.teacher().backbone;
    const auto seen = net.last_attention(dino::tensor(trainer_.ctx(), {images, 3, size, size}, values));  // (B,H,T)
    const auto rows = dino::to_vector(seen);
    const dino::i64 heads = seen.shape()[1], tokens = seen.shape()[2], side = size / net.config.patch_size;
    TeacherAttention out{{images, side, side}, {}};
    for (dino::i64 i = 0; i < images; ++i) {
      const std::vector<float> one(rows.begin() + i * heads * tokens, rows.begin() + (i + 1) * heads * tokens);
      const auto map = dino::mean_map(dino::class_attention_maps(one, heads, tokens, side, side));
      out.values.insert(out.values.end(), map.begin(), map.end());
    }
    return out;
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
