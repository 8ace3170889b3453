// k-NN on the features of the teacher, and the baselines beside it.
#include "run.hpp"

namespace programs {

dino::EvalTransform Pretrain::transform() const {
  return dino::EvalTransform{
      .size = config_.model.image_size, .mean = config_.model.mean, .deviation = config_.model.deviation};
}

void Pretrain::record_knn(const std::vector<dino::KnnScore>& scores, const std::string& baseline) {
  for (const auto& s : scores) {
    auto record = dino::Record("eval")
                      .set("step", trainer_->steps_done())
                      .set("epoch", epochs_done())
                      .set("name", baseline.empty() ? "knn" : "knn_" + baseline)
                      .set("k", s.k);
    run_.write(record.set("top1", s.top1).set("top5", s.top5));
  }
}

std::vector<dino::KnnScore> Pretrain::knn(const std::function<dino::FeatureSet(const dino::AnyDataset&)>& features) {
  auto bank = features(*sets_.bank), queries = features(*sets_.queries);
  dino::normalize_rows(ctx_, bank);
  dino::normalize_rows(ctx_, queries);
  return dino::knn_accuracy(ctx_, queries, bank, {knn_k});
}

std::vector<dino::KnnScore> Pretrain::teacher_knn() {
  return knn([&](const dino::AnyDataset& set) { return trainer_->teacher_features(ctx_, set, transform()); });
}

void Pretrain::measure_baselines() {
  if (!sets_.queries) return;
  constexpr i64 few = 64;  // a side: more pixels say less and cost more
  if (config_.model.image_size <= few) {
    pixels_ = knn([&](const dino::AnyDataset& set) { return dino::pixel_features(ctx_, set, transform()); })[0].top1;
    record_knn({{knn_k, *pixels_, 0}}, "pixels");
  }
  untrained_ = teacher_knn()[0].top1;
  record_knn({{knn_k, *untrained_, 0}}, "untrained");
}

void Pretrain::evaluate() {
  const auto scores = teacher_knn();
  trained_ = scores[0].top1;
  record_knn(scores, "");
  run_.say(str("  + k-NN({}) {} %   step {}", scores[0].k, dino::number_text(std::round(scores[0].top1 * 10) / 10),
               trainer_->steps_done()));
}

std::string Pretrain::comparison() const {
  const auto percent = [](const std::optional<double>& x) {
    return x ? dino::number_text(std::round(*x * 10) / 10) + " %" : std::string("-");
  };
  return str("k-NN({})  raw pixels {}   untrained backbone {}   trained teacher {}", knn_k, percent(pixels_),
             percent(untrained_), percent(trained_));
}

}  // namespace programs
