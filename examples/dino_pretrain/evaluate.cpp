// k-NN on the features of the teacher, and the baselines beside it.
#include "run.hpp"

#include "../common/dataset_options.hpp"

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

std::vector<dino::KnnScore> Pretrain::pixel_knn() {
  auto bank = dino::pixel_features(ctx_, *sets_.bank, transform());
  auto queries = dino::pixel_features(ctx_, *sets_.queries, transform());
  dino::normalize_rows(ctx_, bank);
  dino::normalize_rows(ctx_, queries);
  return dino::knn_accuracy(ctx_, queries, bank, {knn_k});
}

std::vector<dino::KnnScore> Pretrain::teacher_knn() {
  auto bank = trainer_->teacher_features(ctx_, *sets_.bank, transform());
  auto queries = trainer_->teacher_features(ctx_, *sets_.queries, transform());
  dino::normalize_rows(ctx_, bank);
  dino::normalize_rows(ctx_, queries);
  attempt("neighbours",
          [&] { pictures_.keep(ctx_, *sets_.queries, queries, *sets_.bank, bank, trainer_->steps_done(), false); });
  return dino::knn_accuracy(ctx_, queries, bank, {knn_k});
}

void Pretrain::measure_baselines() {
  if (!sets_.queries) return;
  constexpr i64 few = 64;  // a side: more pixels say less and cost more
  if (config_.model.image_size <= few) {
    pixels_ = pixel_knn()[0].top1;
    record_knn({{knn_k, *pixels_, 0}}, "pixels");
  }
  untrained_ = teacher_knn()[0].top1;
  record_knn({{knn_k, *untrained_, 0}}, "untrained");
}

void Pretrain::evaluate() {
  attend();
  if (!sets_.queries) return;
  const auto scores = teacher_knn();
  trained_ = scores[0].top1;
  record_knn(scores, "");
  run_.say(str("  + k-NN({}) {} %   step {}", scores[0].k, dino::number_text(std::round(scores[0].top1 * 10) / 10),
               trainer_->steps_done()));
}

/// A picture that cannot be made ends no run.
void Pretrain::attempt(const std::string& what, const std::function<void()>& draw) {
  try {
    draw();
  } catch (const std::exception& error) {
    run_.say(str("  ! {} for the report: {}", what, error.what()));
  }
}

void Pretrain::attend() {
  attempt("attention", [&] { pictures_.attend(*trainer_); });
}

/// Without labels there is no k-NN to take features from: some are computed for the pictures alone.
void Pretrain::keep_unlabelled() {
  const auto some = at_most(sets_.train, 500, config_.common.seed);
  auto features = trainer_->teacher_features(ctx_, some, transform());
  dino::normalize_rows(ctx_, features);
  pictures_.keep(ctx_, some, features, some, features, trainer_->steps_done(), true);
}

void Pretrain::draw_pictures() {
  const i64 done = trainer_->steps_done();
  if (pictures_.attended() != done) attend();
  attempt("attention", [&] { pictures_.draw_attention(done, plan_.dino.steps_per_epoch); });
  attempt("neighbours", [&] {
    if (!sets_.queries && config_.eval_knn_every > 0) keep_unlabelled();
    pictures_.draw_neighbours();
  });
  attempt("embedding", [&] { pictures_.write_embedding(ctx_); });
}

std::string Pretrain::comparison() const {
  const auto percent = [](const std::optional<double>& x) {
    return x ? dino::number_text(std::round(*x * 10) / 10) + " %" : std::string("-");
  };
  return str("k-NN({})  raw pixels {}   untrained backbone {}   trained teacher {}", knn_k, percent(pixels_),
             percent(untrained_), percent(trained_));
}

}  // namespace programs
