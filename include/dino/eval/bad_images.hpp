// How many images of a data set may be unusable before a program stops.
#pragma once

#include <dino/data/dataset.hpp>

#include <string>

namespace dino::inline DINO_ABI {

/// Counts the images that cannot be used. 10 are always allowed; beyond them at most max_fraction of the set.
class BadImages {
 public:
  BadImages(i64 images, double max_fraction) : images_(images), max_fraction_(max_fraction) {}

  i64 count() const { return count_; }
  i64 allowed() const { return std::max<i64>(10, static_cast<i64>(max_fraction_ * static_cast<double>(images_))); }
  /// Throws Error{data} with the reason when this is one too many.
  void add(const std::string& reason) {
    ++count_;
    require(count_ <= allowed(), ErrorKind::data,
            "{} of {} images cannot be used, {} are allowed. The last one: {}. Repair the data, or raise "
            "max_bad_fraction (now {})",
            detail::with_commas(count_), detail::with_commas(images_), detail::with_commas(allowed()), reason,
            max_fraction_);
  }

 private:
  i64 images_, count_ = 0;
  double max_fraction_;
};

}  // namespace dino::inline DINO_ABI
