// Which rows of a packed token matrix belong to which crops.
#pragma once

#include <dino/base/shape.hpp>

#include <vector>

namespace dino::inline DINO_ABI {

/// One group of equally large crops: `images` sequences of `tokens` rows each, the first of them at row `row`.
/// The patches stand last: tokens = 1 + registers + grid_h * grid_w.
struct Segment {
  i64 row = 0, images = 0, tokens = 0;
  i64 grid_h = 0, grid_w = 0;

  i64 rows() const { return images * tokens; }
  /// Tokens of an image before its patches: the class token and the registers.
  i64 special() const { return tokens - grid_h * grid_w; }
  friend bool operator==(const Segment&, const Segment&) = default;
};

/// The layout of a packed matrix (R,C) that holds all crops of a step, group after group, image after image.
class Segments {
 public:
  Segments() = default;

  /// Appends a group behind the last one.
  void add(i64 images, i64 tokens, i64 grid_h = 0, i64 grid_w = 0) {
    require(images >= 1 && tokens >= 1, "segments: {} images of {} tokens", images, tokens);
    list_.push_back({rows(), images, tokens, grid_h, grid_w});
  }

  i64 rows() const { return list_.empty() ? 0 : list_.back().row + list_.back().rows(); }
  i64 images() const {
    i64 n = 0;
    for (const auto& s : list_) n += s.images;
    return n;
  }
  i64 size() const { return static_cast<i64>(list_.size()); }
  const Segment& operator[](i64 i) const { return list_[static_cast<size_t>(i)]; }
  auto begin() const { return list_.begin(); }
  auto end() const { return list_.end(); }
  friend bool operator==(const Segments&, const Segments&) = default;

 private:
  std::vector<Segment> list_;
};

/// Which images of the full batch a pass holds, so that random draws do not depend on how a batch is cut: image i of a
/// group (crop-major, `images` per crop) is number (i / images) * batch + first + i % images. All zero: the pass is the
/// batch.
struct BatchWindow {
  i64 images = 0, batch = 0, first = 0;

  DINO_SHARED_CODE i64 number(i64 i) const { return images == 0 ? i : i / images * batch + first + i % images; }
};

}  // namespace dino::inline DINO_ABI
