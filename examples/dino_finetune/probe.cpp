// Frozen backbones and linear classifiers, each compiled once for the program.
#include "probe.hpp"

#include "../common/on_device.hpp"

#include <dino/eval/feature_manifest.hpp>
#include <dino/eval/linear_probe_state.hpp>
#include <dino/io/lbfgs_state.hpp>

namespace programs {

using dino::i64;

namespace {

template <class T, class D> class BackboneOn final : public FrozenBackbone {
 public:
  BackboneOn(std::shared_ptr<dino::Context<D>> ctx, const StartModel& model, dino::u64 seed,
             const dino::ProbeInput& input)
      : ctx_(std::move(ctx)), net_(*ctx_, model.info, seed), input_(input) {
    if (model.weights) dino::load_parameters(net_.params(), model.weights->backbone, "", model.weights->where);
  }

  i64 dim() const override { return input_.dim(net_.dim()); }
  std::string hash() override {
    auto info = net_.info();
    info.name = info.source = "";  // where it comes from changes no feature
    info.step = 0;
    return dino::weights_hash(dino::parameter_views(net_.params()), dino::model_text(info));
  }
  std::string precision() const override { return std::is_same_v<T, float> ? "fp32" : "bf16"; }
  dino::FeatureSet extract(dino::HostContext& host, const dino::AnyDataset& set, const dino::EvalTransform& transform,
                           const std::function<void(i64)>& on_batch, dino::BadImages& bad) override {
    const auto network = [&](const dino::Tensor<T, D>& x) { return dino::probe_features(net_.vit(), x, input_); };
    return dino::extract_features<T>(*ctx_, host, network, set, transform, 64, on_batch, &bad);
  }
  void with_weights(const std::function<void(const std::vector<dino::TensorView>&)>& use) override {
    use(dino::parameter_views(net_.params()));
  }
  std::vector<float> features(const std::vector<float>& pixels, i64 images) override {
    const i64 size = net_.info().vit.image_size;
    std::vector<T> values;
    values.reserve(pixels.size());
    for (const float v : pixels) values.push_back(dino::from_acc<T>(v));
    const auto x = dino::tensor(*ctx_, {images, 3, size, size}, values);
    return dino::detail::to_floats(dino::probe_features(net_.vit(), x, input_));
  }

 private:
  std::shared_ptr<dino::Context<D>> ctx_;
  dino::Backbone<T, D> net_;
  dino::ProbeInput input_;
};

template <class D> class ProbeOn final : public ProbeTraining {
 public:
  ProbeOn(std::shared_ptr<dino::Context<D>> ctx, const dino::ProbeSettings& settings, const dino::FeatureRows& train)
      : ctx_(std::move(ctx)), probe_(*ctx_, settings), train_(train) {}

  i64 steps_done() const override { return probe_.steps_done(); }
  bool finished() const override { return steps_done() >= probe_.settings().total_steps(); }
  std::vector<double> step() override { return probe_.step(train_); }
  std::vector<double> step(std::span<const float> features, const std::vector<i64>& labels) override {
    return probe_.step(features, labels);
  }
  std::vector<double> accuracies(const dino::FeatureRows& test) override { return probe_.accuracies(test); }
  dino::ClassificationMetrics evaluate(const dino::FeatureRows& test, i64 head) override {
    return probe_.evaluate(test, head);
  }
  TrainedHead head(i64 index) override {
    return {dino::to_vector(probe_.params().value(2 * index)), dino::to_vector(probe_.params().value(2 * index + 1))};
  }
  void load(const dino::StateDict& state, i64 step, const std::string& where) override {
    dino::load_probe(probe_, state, step, where);
  }
  void save(const Write& write) override {
    std::vector<i64> counts;
    write(dino::probe_views(probe_, counts));
  }

 private:
  std::shared_ptr<dino::Context<D>> ctx_;
  dino::LinearProbe<float, D> probe_;
  dino::FeatureRows train_;
};

template <class D> class LogisticOn final : public ProbeTraining {
 public:
  LogisticOn(std::shared_ptr<dino::Context<D>> ctx, const dino::LogisticSettings& settings,
             const dino::FeatureRows& train)
      : ctx_(std::move(ctx)), settings_(settings), train_(train), fit_(*ctx_, train, settings) {}

  i64 steps_done() const override { return fit_.state().iterations; }
  bool finished() const override { return fit_.finished(); }
  std::vector<double> step() override {
    fit_.step();
    return {fit_.objective()};
  }
  std::vector<double> step(std::span<const float>, const std::vector<i64>&) override {
    dino::fail(dino::ErrorKind::internal, "L-BFGS sees all features at once");
  }
  std::vector<double> accuracies(const dino::FeatureRows& test) override { return {fit_.evaluate(test).top1()}; }
  dino::ClassificationMetrics evaluate(const dino::FeatureRows& test, i64) override { return fit_.evaluate(test); }
  TrainedHead head(i64) override { return {fit_.weight(), fit_.bias()}; }
  void load(const dino::StateDict& state, i64, const std::string& where) override {
    fit_ = dino::LogisticRegression<float, D>(*ctx_, train_, settings_, dino::read_lbfgs(state, where));
  }
  void save(const Write& write) override {
    dino::LbfgsMemory memory;
    write(dino::lbfgs_views(fit_.state(), memory));
  }

 private:
  std::shared_ptr<dino::Context<D>> ctx_;
  dino::LogisticSettings settings_;
  dino::FeatureRows train_;
  dino::LogisticRegression<float, D> fit_;
};

/// f on the device in fp32: without the other number type, whose heads nobody trains.
template <class F> auto on_device_in_float(const dino::DeviceChoice& device, dino::HostContext& host, F f) {
  return on_device(device, "fp32", host,
                   [&]<class T, class D>(T, const std::shared_ptr<dino::Context<D>>& ctx) { return f(ctx); });
}

}  // namespace

std::unique_ptr<FrozenBackbone> make_backbone(const dino::DeviceChoice& device, const std::string& precision,
                                              dino::HostContext& host, const StartModel& model, dino::u64 seed,
                                              const dino::ProbeInput& input) {
  return on_device(
      device, precision, host,
      [&]<class T, class D>(T, const std::shared_ptr<dino::Context<D>>& ctx) -> std::unique_ptr<FrozenBackbone> {
        return std::make_unique<BackboneOn<T, D>>(ctx, model, seed, input);
      });
}

std::unique_ptr<ProbeTraining> make_probe(const dino::DeviceChoice& device, dino::HostContext& host,
                                          const dino::ProbeSettings& settings, const dino::FeatureRows& train) {
  return on_device_in_float(
      device, host, [&]<class D>(const std::shared_ptr<dino::Context<D>>& ctx) -> std::unique_ptr<ProbeTraining> {
        return std::make_unique<ProbeOn<D>>(ctx, settings, train);
      });
}

std::unique_ptr<ProbeTraining> make_logistic(const dino::DeviceChoice& device, dino::HostContext& host,
                                             const dino::LogisticSettings& settings, const dino::FeatureRows& train) {
  return on_device_in_float(
      device, host, [&]<class D>(const std::shared_ptr<dino::Context<D>>& ctx) -> std::unique_ptr<ProbeTraining> {
        return std::make_unique<LogisticOn<D>>(ctx, settings, train);
      });
}

}  // namespace programs
