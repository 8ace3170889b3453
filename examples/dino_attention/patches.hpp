// What several pictures have in common: patch colours from one basis, and patches that correspond.
#pragma once

#include "session.hpp"

namespace programs {

/// Keeps the patch tokens of the pictures until all of them are there.
class PatchPictures {
 public:
  explicit PatchPictures(const Session& session) : s_(session) {}

  /// Throws Error{usage} when there is no memory for more of them.
  void add(const Seen& seen, const std::string& name);
  dino::i64 size() const { return static_cast<dino::i64>(list_.size()); }
  /// NAME/pca.png of each, and pca.png of all.
  void draw_colors(dino::HostContext& ctx) const;
  /// match.png and matches.csv of the two.
  void draw_matches(dino::HostContext& ctx) const;

 private:
  struct Kept {
    std::string name;
    dino::Image image;  // only for matches; small for colours
    dino::PatchLayout at;
    std::vector<float> tokens;   // (P,C)
    std::vector<dino::u8> mask;  // of --threshold; empty: all patches
  };

  const Session& s_;
  std::vector<Kept> list_;
  double bytes_ = 0;
};

}  // namespace programs
