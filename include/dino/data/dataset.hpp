// What a data set is: a size and a way to get the i-th labelled picture; and one value type that holds any of them.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/image.hpp>
#include <dino/base/philox.hpp>

#include <algorithm>
#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace dino::inline DINO_ABI {

/// One picture. label -1: unlabelled. The name is for people: a path below the root of the data set, or a record.
struct Sample {
  Image image;
  i64 label = -1;
  std::string name;
};

class AnyDataset;

namespace data {

template <class S>
concept LabelledImage = requires(S s) {
  { std::move(s.image) } -> std::convertible_to<Image>;
  { s.label } -> std::convertible_to<i64>;
};

/// What a user's own type needs. get() is called from several threads at once. Used when they are there:
/// label(i) and name(i) without decoding, classes() (names by label), kind() (a key) and title() (for people).
template <class S>
concept Dataset = requires(const S& s, i64 i) {
  { s.size() } -> std::convertible_to<i64>;
  { s.get(i) } -> LabelledImage;
};

}  // namespace data

namespace detail {

/// 1281167 -> "1,281,167".
inline std::string with_commas(i64 n) {
  const std::string digits = std::to_string(n);
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    const bool between = i > (n < 0 ? 1u : 0u) && (digits.size() - i) % 3 == 0;
    if (between) out += ',';
    out += digits[i];
  }
  return out;
}

template <class S>
concept NamedSample = requires(S s) {
  { s.name } -> std::convertible_to<std::string>;
};
template <class S>
concept HasLabels = requires(const S& s) {
  { s.label(i64{}) } -> std::convertible_to<i64>;
};
template <class S>
concept HasNames = requires(const S& s) {
  { s.name(i64{}) } -> std::convertible_to<std::string>;
};
template <class S>
concept OtherDataset = !std::same_as<S, AnyDataset> && data::Dataset<S>;

template <class S> Sample get_sample(const S& dataset, i64 i) {
  auto got = dataset.get(i);
  Sample sample;
  sample.image = std::move(got.image);
  sample.label = static_cast<i64>(got.label);
  if constexpr (NamedSample<decltype(got)>) sample.name = std::move(got.name);
  return sample;
}

}  // namespace detail

/// A data set of any type. Copies share it; it never changes. All functions may be called from several threads.
class AnyDataset {
 public:
  template <detail::OtherDataset S> AnyDataset(S dataset) : AnyDataset(std::make_shared<const S>(std::move(dataset))) {}

  /// For types without classes(): the names of the labels 0, 1, ...
  template <data::Dataset S> AnyDataset(S dataset, std::vector<std::string> classes) : AnyDataset(std::move(dataset)) {
    auto body = std::make_shared<Body>(*body_);
    body->classes = std::move(classes);
    body_ = std::move(body);
  }

  i64 size() const { return body_->size; }

  /// Decodes image i. Throws Error{data} with the name when the picture cannot be read; Error{internal} when i is
  /// outside.
  Sample get(i64 i) const {
    check(i);
    Sample sample = body_->get(i);
    if (sample.name.empty()) sample.name = body_->name(i);
    const Image& image = sample.image;
    const bool whole =
        image.width > 0 && image.height > 0 && static_cast<i64>(image.pixels.size()) == 3 * image.width * image.height;
    require(whole, ErrorKind::data, "{}: the picture is {}x{} with {} bytes, expected 3 bytes per pixel", sample.name,
            image.width, image.height, image.pixels.size());
    return sample;
  }

  /// The label of image i: without decoding when the data set has label(i). -1: none.
  i64 label(i64 i) const {
    check(i);
    return body_->label(i);
  }

  /// The name of image i, without decoding.
  std::string name(i64 i) const {
    check(i);
    return body_->name(i);
  }

  const std::vector<std::string>& classes() const { return body_->classes; }  // by label; empty: unlabelled
  bool labelled() const { return !body_->classes.empty(); }
  const std::string& kind() const { return body_->kind; }    // "cifar-10", "folder", "synthetic", "custom", ...
  const std::string& title() const { return body_->title; }  // "CIFAR-10", the path of a folder, ...

  /// One line for people: "CIFAR-10, 50,000 images, 10 classes".
  std::string describe() const {
    const i64 names = static_cast<i64>(classes().size());
    const auto tail = labelled() ? str(", {} class{}", detail::with_commas(names), names == 1 ? "" : "es")
                                 : std::string(", no labels");
    return str("{}, {} image{}", title(), detail::with_commas(size()), size() == 1 ? "" : "s") + tail;
  }

  /// The images at these positions, in this order. Shares the pictures. Throws when a position is outside.
  AnyDataset subset(std::vector<i64> indices) const {
    for (const i64 i : indices) check(i);
    const auto list = std::make_shared<const std::vector<i64>>(std::move(indices));
    const auto at = [list](i64 i) { return (*list)[static_cast<size_t>(i)]; };
    auto body = std::make_shared<Body>(*body_);
    body->size = static_cast<i64>(list->size());
    body->get = [whole = body_, at](i64 i) { return whole->get(at(i)); };
    body->label = [whole = body_, at](i64 i) { return whole->label(at(i)); };
    body->name = [whole = body_, at](i64 i) { return whole->name(at(i)); };
    return AnyDataset(std::shared_ptr<const Body>(std::move(body)));
  }

  /// The first n images, or all when there are fewer.
  AnyDataset first(i64 n) const {
    std::vector<i64> indices(static_cast<size_t>(std::clamp<i64>(n, 0, size())));
    for (size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<i64>(i);
    return subset(std::move(indices));
  }

 private:
  struct Body {
    i64 size = 0;
    std::function<Sample(i64)> get;
    std::function<i64(i64)> label;
    std::function<std::string(i64)> name;
    std::vector<std::string> classes;
    std::string kind = "custom", title = "custom data";
  };

  explicit AnyDataset(std::shared_ptr<const Body> body) : body_(std::move(body)) {}

  template <class S> explicit AnyDataset(std::shared_ptr<const S> held) {
    auto body = std::make_shared<Body>();
    body->size = static_cast<i64>(held->size());
    body->get = [held](i64 i) { return detail::get_sample(*held, i); };
    if constexpr (detail::HasLabels<S>) {
      body->label = [held](i64 i) { return static_cast<i64>(held->label(i)); };
    } else {
      body->label = [held](i64 i) { return static_cast<i64>(held->get(i).label); };
    }
    if constexpr (detail::HasNames<S>) {
      body->name = [held](i64 i) { return std::string(held->name(i)); };
    } else {
      body->name = [](i64 i) { return str("image {}", i); };
    }
    if constexpr (requires { std::vector<std::string>(held->classes()); }) body->classes = held->classes();
    if constexpr (requires { std::string(held->kind()); }) body->kind = held->kind();
    if constexpr (requires { std::string(held->title()); }) body->title = held->title();
    require(body->size >= 0, "dataset: size() is {}", body->size);
    body_ = std::move(body);
  }

  void check(i64 i) const { require(i >= 0 && i < size(), "dataset: image {} of {}", i, size()); }

  std::shared_ptr<const Body> body_;
};

/// A number that changes when images come, go or are renamed; the pictures are not read. Kept in checkpoints: an exact
/// resume in the middle of an epoch needs the same data.
inline u64 fingerprint(const AnyDataset& dataset) {
  u64 hash = mix(static_cast<u64>(dataset.size()), stream_of(dataset.kind()));
  for (const std::string& name : dataset.classes()) hash = mix(hash, stream_of(name));
  for (i64 i = 0; i < dataset.size(); ++i) hash = mix(hash, stream_of(dataset.name(i)));
  return hash;
}

/// For programs that cannot do without labels. Throws Error{data} that says what needs them and what is expected.
inline void require_labels(const AnyDataset& dataset, const std::string& purpose) {
  require(dataset.labelled(), ErrorKind::data, "{} has no labels, and {} needs them. Expected one folder per class: {}",
          dataset.title(), purpose, "<class>/*.jpg");
}

}  // namespace dino::inline DINO_ABI
