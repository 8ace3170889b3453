// What the report of a run shows of its teacher: attention over the epochs, neighbours, an embedding of the features.
#pragma once

#include "sets.hpp"
#include "training.hpp"

#include <dino/base/image.hpp>
#include <dino/eval/knn_examples.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace programs {

/// Everything is made of images and features that the run has at hand, and lies in <run>/report. Nothing here draws a
/// random number of the training.
class RunPictures {
 public:
  using i64 = dino::i64;

  /// Images are read from the sets when they are needed; these must outlive this.
  RunPictures(std::filesystem::path folder, const Sets& sets, const dino::EvalTransform& transform)
      : folder_(std::move(folder)), sets_(sets), transform_(transform) {}

  /// Keeps what the teacher looks at in a few fixed images; once for each step.
  void attend(Training& trainer);
  /// Keeps what the pictures need of the features of an evaluation. leave_one_out: the queries are the bank.
  void keep(dino::HostContext& ctx, const dino::AnyDataset& query_set, const dino::FeatureSet& queries,
            const dino::AnyDataset& bank_set, const dino::FeatureSet& bank, i64 step, bool leave_one_out);
  i64 attended() const { return attended_; }  // the last step; -1: none

  /// Writes attention.png from all that was kept up to this step, also by earlier starts of the run.
  void draw_attention(i64 step, i64 steps_per_epoch);
  /// Writes neighbours.png of the last evaluation of this start, if there was one.
  void draw_neighbours() const;
  /// Writes embedding.jsonl of it.
  void write_embedding(dino::HostContext& ctx) const;

 private:
  /// The position of an image in one of the sets, and its label.
  struct Place {
    dino::AnyDataset set;
    i64 position, label;
  };
  struct Query {
    Place image;
    std::vector<Place> near;
    std::vector<float> similarity;
  };

  void read_images();
  dino::Image tile(const Place& place) const;

  std::filesystem::path folder_;
  const Sets& sets_;
  dino::EvalTransform transform_;
  std::vector<dino::Image> images_;  // those of the attention
  std::vector<float> pixels_;        // prepared
  dino::Shape maps_{0, 0, 0};        // (images,h,w)
  i64 attended_ = -1;
  i64 step_ = 0;  // of the features that are kept
  std::vector<Query> queries_;
  std::vector<float> rows_;  // (n,dim) of the embedding
  i64 dim_ = 0;
  std::vector<i64> labels_;  // (n)
  std::vector<std::string> classes_;
};

}  // namespace programs
