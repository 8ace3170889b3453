#include "pictures.hpp"

#include <dino/data/imagenet_classes.hpp>
#include <dino/eval/pca.hpp>
#include <dino/eval/tsne.hpp>
#include <dino/io/attention_history.hpp>
#include <dino/io/image_write.hpp>
#include <dino/io/neighbours_sheet.hpp>
#include <dino/io/report_embedding.hpp>
#include <dino/io/resized_image.hpp>

namespace programs {

namespace {

using dino::i64;
using dino::str;

constexpr i64 attention_images = 6, attention_rows = 12, shown_queries = 8, shown_neighbours = 7;
constexpr i64 embedded_rows = 1000, tile_side = 56;  // pixels

/// t-SNE is for neighbourhoods: of fewer points the principal components say as much.
constexpr i64 least_for_tsne = 100;

/// The same ones in every run; drawn, since data sets may be sorted by class, or repeat their classes.
std::vector<i64> some_of(i64 size, i64 n) { return dino::draw_examples(size, n, 0); }

}  // namespace

void RunPictures::read_images() {
  const auto& set = sets_.queries ? *sets_.queries : sets_.train;
  for (const i64 i : some_of(set.size(), attention_images)) {
    try {
      images_.push_back(transform_.crop_image(set.get(i).image));
    } catch (const dino::Error& error) {
      if (error.kind() != dino::ErrorKind::data) throw;  // an image that cannot be read is left out
    }
  }
  const i64 values = 3 * transform_.size * transform_.size;
  pixels_.resize(images_.size() * static_cast<size_t>(values));
  for (size_t i = 0; i < images_.size(); ++i)
    transform_.write(images_[i], pixels_.data() + static_cast<i64>(i) * values);
}

void RunPictures::attend(Training& trainer) {
  attended_ = trainer.steps_done();
  if (images_.empty()) read_images();
  if (images_.empty()) return;
  const auto maps = trainer.teacher_attention(pixels_, static_cast<i64>(images_.size()), transform_.size);
  maps_ = maps.shape;
  dino::keep_attention(folder_ / "report" / "attention", attended_, maps_, maps.values);
}

void RunPictures::draw_attention(i64 step, i64 steps_per_epoch) {
  if (images_.empty()) return;
  const auto records = dino::kept_attention(folder_ / "report" / "attention", maps_, step, attention_rows);
  std::vector<std::string> titles;
  for (const auto& record : records) {
    const double epoch = static_cast<double>(record.step) / static_cast<double>(steps_per_epoch);
    titles.push_back("ep " + dino::number_text(std::round(10 * epoch) / 10));
  }
  dino::write_png(folder_ / "report" / "attention.png", dino::attention_sheet(images_, maps_, records, titles));
}

void RunPictures::keep(dino::HostContext& ctx, const dino::AnyDataset& query_set, const dino::FeatureSet& queries,
                       const dino::AnyDataset& bank_set, const dino::FeatureSet& bank, i64 step, bool leave_one_out) {
  if (queries.size() == 0 || bank.size() < 2) return;
  const auto place = [](const dino::AnyDataset& set, const dino::FeatureSet& of, i64 row) {
    return Place{set, of.index[static_cast<size_t>(row)], of.labels[static_cast<size_t>(row)]};
  };
  queries_.clear();
  for (const auto& e :
       dino::knn_examples(ctx, rows_of(queries), rows_of(bank), some_of(queries.size(), shown_queries),
                          shown_neighbours, {.k = {shown_neighbours}, .leave_one_out = leave_one_out})) {
    Query query{place(query_set, queries, e.query), {}, e.similarity};
    for (const i64 row : e.rows) query.near.push_back(place(bank_set, bank, row));
    queries_.push_back(std::move(query));
  }
  rows_.clear();
  labels_.clear();
  for (const i64 row : some_of(queries.size(), embedded_rows)) {
    const auto from = queries.values.begin() + row * queries.dim;
    rows_.insert(rows_.end(), from, from + queries.dim);
    labels_.push_back(queries.labels[static_cast<size_t>(row)]);
  }
  dim_ = queries.dim;
  classes_ = dino::class_titles(query_set.classes());
  step_ = step;
}

dino::Image RunPictures::tile(const Place& place) const {
  try {
    const auto crop = transform_.crop_image(place.set.get(place.position).image);
    if (2 * crop.width > tile_side + 16) return dino::resized(crop, tile_side, tile_side);
    const i64 factor = (tile_side + crop.width - 1) / crop.width;
    return dino::enlarged(crop, factor, factor);  // whole pixels stay small as a PNG
  } catch (const dino::Error& error) {
    if (error.kind() != dino::ErrorKind::data) throw;
    return {tile_side, tile_side};
  }
}

void RunPictures::draw_neighbours() const {
  if (queries_.empty()) return;
  std::vector<std::vector<dino::SheetTile>> rows;
  for (const auto& query : queries_) {
    const i64 label = query.image.label;
    const bool labelled = label >= 0 && label < static_cast<i64>(classes_.size());
    std::vector<dino::SheetTile> row{{tile(query.image), labelled ? classes_[static_cast<size_t>(label)] : ""}};
    for (size_t i = 0; i < query.near.size(); ++i) {
      const auto& near = query.near[i];
      row.push_back({tile(near), dino::similarity_text(static_cast<double>(query.similarity[i])),
                     !labelled             ? dino::Verdict::none
                     : near.label == label ? dino::Verdict::right
                                           : dino::Verdict::wrong});
    }
    rows.push_back(std::move(row));
  }
  dino::write_png(folder_ / "report" / "neighbours.png", dino::neighbours_sheet(rows));
}

void RunPictures::write_embedding(dino::HostContext& ctx) const {
  const i64 n = static_cast<i64>(labels_.size());
  if (n < 3) return;
  const bool by_neighbours = n >= least_for_tsne;
  const auto points = by_neighbours ? dino::tsne(ctx, rows_, dim_, {.iterations = 500, .exaggerated = 150}).points
                                    : dino::project(ctx, dino::principal_components(ctx, rows_, dim_, 2), rows_);
  dino::ReportEmbedding out;
  out.method = by_neighbours ? "t-SNE" : "PCA";
  out.step = step_;
  out.labels = labels_;
  out.classes = classes_;
  for (size_t i = 0; i < points.size(); i += 2) {
    out.x.push_back(static_cast<double>(points[i]));
    out.y.push_back(static_cast<double>(points[i + 1]));
  }
  dino::write_embedding(folder_ / "report" / "embedding.jsonl", out);
}

}  // namespace programs
