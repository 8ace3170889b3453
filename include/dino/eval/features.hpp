// Features of a whole data set.
#pragma once

#include <dino/data/dataset.hpp>
#include <dino/data/eval_transform.hpp>
#include <dino/eval/bad_images.hpp>
#include <dino/ops/normalize.hpp>
#include <dino/tensor/create.hpp>

#include <functional>

namespace dino::inline DINO_ABI {

/// One row per readable image, in the order of the data set.
struct FeatureSet {
  i64 dim = 0;
  std::vector<float> values;         // (n,dim)
  std::vector<i64> labels, index;    // (n): label; position in the data set
  std::vector<std::string> skipped;  // images that could not be read, with the reason

  i64 size() const { return static_cast<i64>(labels.size()); }
};

/// Scales every row to unit length (eps 1e-12).
inline void normalize_rows(HostContext& ctx, FeatureSet& set) {
  if (set.size() == 0) return;
  const auto x = tensor(ctx, {set.size(), set.dim}, set.values);
  set.values = to_vector(normalize(x));
}

namespace detail {

/// Decodes and prepares images [first, last) with all threads: those that fail leave no row.
inline void load_pixels(HostContext& ctx, const AnyDataset& dataset, const EvalTransform& transform, i64 first,
                        i64 last, std::vector<float>& pixels, std::vector<std::string>& errors,
                        std::vector<i64>& labels) {
  const i64 values = 3 * transform.size * transform.size;
  pixels.resize(static_cast<size_t>((last - first) * values));
  errors.assign(static_cast<size_t>(last - first), "");
  labels.assign(static_cast<size_t>(last - first), -1);
  ctx.threads().run(last - first, [&](i64 i) {
    try {
      const auto sample = dataset.get(first + i);
      transform.write(sample.image, pixels.data() + i * values);
      labels[static_cast<size_t>(i)] = sample.label;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      errors[static_cast<size_t>(i)] = error.what();
    }
  });
}

}  // namespace detail

/// Features of all images: `network` maps pixels (B,3,S,S) to rows (B,C). Unreadable images are left out and listed;
/// bad, if any, counts them and throws when they are too many. on_batch, if any, is called with the number of images
/// done.
template <class T, class D, class Network>
FeatureSet extract_features(Context<D>& ctx, HostContext& host, const Network& network, const AnyDataset& dataset,
                            const EvalTransform& transform, i64 batch = 64,
                            const std::function<void(i64)>& on_batch = {}, BadImages* bad = nullptr) {
  FeatureSet set;
  const i64 size = transform.size, values = 3 * size * size;
  std::vector<float> pixels;
  std::vector<std::string> errors;
  std::vector<i64> labels;
  for (i64 first = 0; first < dataset.size(); first += batch) {
    const i64 last = std::min(dataset.size(), first + batch);
    detail::load_pixels(host, dataset, transform, first, last, pixels, errors, labels);
    std::vector<T> rows;
    i64 count = 0;
    for (i64 i = 0; i < last - first; ++i) {
      if (!errors[static_cast<size_t>(i)].empty()) {
        set.skipped.push_back(errors[static_cast<size_t>(i)]);
        if (bad) bad->add(set.skipped.back());
        continue;
      }
      for (i64 k = i * values; k < (i + 1) * values; ++k)
        rows.push_back(from_acc<T>(static_cast<acc_t<T>>(pixels[static_cast<size_t>(k)])));
      set.labels.push_back(labels[static_cast<size_t>(i)]);
      set.index.push_back(first + i);
      ++count;
    }
    if (count > 0) {
      const auto features = network(tensor(ctx, {count, 3, size, size}, rows));
      set.dim = features.cols();
      for (const T x : to_vector(features)) set.values.push_back(static_cast<float>(to_acc(x)));
    }
    if (on_batch) on_batch(last);
  }
  return set;
}

/// The pixels themselves as features, normalised and flattened: the baseline that needs no network.
inline FeatureSet pixel_features(HostContext& host, const AnyDataset& dataset, const EvalTransform& transform,
                                 const std::function<void(i64)>& on_batch = {}, BadImages* bad = nullptr) {
  const auto flatten = [](const HostTensor<float>& x) { return x.reshape({x.shape()[0], x.numel() / x.shape()[0]}); };
  return extract_features<float>(host, host, flatten, dataset, transform, 64, on_batch, bad);
}

}  // namespace dino::inline DINO_ABI
