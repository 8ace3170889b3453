// Features computed once and kept in a folder: safetensors shards and a manifest.
#pragma once

#include <dino/eval/feature_manifest.hpp>
#include <dino/eval/feature_rows.hpp>

#include <memory>
#include <mutex>

namespace dino::inline DINO_ABI {

/// The features of a data set as they lie in a folder, read by blocks: labels are in memory, rows stay on disk.
///     const FeatureCache cache("features/train");
///     for (i64 first = 0; first < cache.size(); first += 4096) cache.read(first, buffer);
/// Copies share the files. All functions may be called from several threads.
class FeatureCache {
 public:
  /// Opens a finished cache: sizes, labels and headers are checked now, the rows of a shard when it is first read.
  /// Throws Error{weights} when the folder is no cache or damaged, Error{data} when the cache is not finished.
  explicit FeatureCache(const std::filesystem::path& folder) : FeatureCache(folder, read_feature_manifest(folder)) {}

  i64 size() const { return static_cast<i64>(labels_.size()); }  // rows: the images that could be read
  i64 dim() const { return manifest_.dim; }
  const std::vector<i64>& labels() const { return labels_; }  // (n), -1: unlabelled
  const std::vector<i64>& index() const { return index_; }    // (n): position in the data set
  const std::vector<std::string>& classes() const { return manifest_.classes; }
  const FeatureManifest& manifest() const { return manifest_; }
  const std::filesystem::path& folder() const { return folder_; }

  /// Rows [first, first + to.size() / dim()) as they were stored. Throws Error{weights} when a shard is damaged.
  void read(i64 first, std::span<float> to) const {
    const i64 dim = manifest_.dim, rows = dim > 0 ? static_cast<i64>(to.size()) / dim : 0;
    require(first >= 0 && first + rows <= size() && static_cast<i64>(to.size()) == rows * dim,
            "feature cache: {} values from row {} of {} x {}", to.size(), first, size(), dim);
    auto at = std::upper_bound(places_.begin(), places_.end(), first,
                               [](i64 row, const Place& p) { return row < p.first_row + p.rows; });
    for (i64 done = 0; done < rows; ++at) {
      const i64 from = first + done - at->first_row, count = std::min(rows - done, at->rows - from);
      const InputFile file(folder_ / at->file, ErrorKind::weights);
      verify(*at, file);
      const auto part = to.subspan(static_cast<size_t>(done * dim), static_cast<size_t>(count * dim));
      file.read_at(at->offset + from * dim * 4, {reinterpret_cast<u8*>(part.data()), part.size_bytes()});
      done += count;
    }
  }

  /// All rows in memory.
  FeatureSet load() const {
    FeatureSet set{.dim = dim(), .values = {}, .labels = labels_, .index = index_, .skipped = skipped()};
    set.values.resize(static_cast<size_t>(size() * dim()));
    read(0, set.values);
    return set;
  }
  /// The names of the rows' images.
  std::vector<std::string> names() const { return texts("names"); }
  /// The images that could not be read, with the reason.
  std::vector<std::string> skipped() const { return texts("skipped"); }

 private:
  struct Place {
    std::string file;
    i64 first_row, rows, offset;  // offset of the rows in the file, bytes
    u32 sum;
    i64 number;
  };
  struct Verified {
    std::mutex mutex;
    std::vector<char> shards;
  };

  FeatureCache(const std::filesystem::path& folder, FeatureManifest manifest)
      : folder_(folder), manifest_(std::move(manifest)), verified_(std::make_shared<Verified>()) {
    require(manifest_.complete(), ErrorKind::data,
            "{}: the features are not finished, {} of {} images are done. Run the program that computes them again: it "
            "goes on from there",
            folder.string(), detail::with_commas(manifest_.done()), detail::with_commas(manifest_.images()));
    for (const auto& shard : manifest_.shards) open(shard);
    verified_->shards.assign(places_.size(), 0);
  }

  void open(const FeatureShard& shard) {
    const InputFile file(folder_ / shard.file, ErrorKind::weights);
    require(file.size() == shard.stamp.size, ErrorKind::weights, "{} has {} bytes, the manifest says {}: damaged",
            file.path(), file.size(), shard.stamp.size);
    const auto header = read_safetensors_header(file);
    const auto sums = detail::stored_sums(header, file.path());
    const auto find = [&](const char* name, DType type, const Shape& shape) {
      for (size_t i = 0; i < header.tensors.size(); ++i) {
        const auto& t = header.tensors[i];
        if (t.name == name && t.dtype == type && t.shape == shape && !sums.empty()) return i;
      }
      fail(ErrorKind::weights, "{}: no tensor {} of {} {} with a checksum: damaged, or not a shard of features",
           file.path(), name, type, shape);
    };
    const auto numbers = [&](const char* name, std::vector<i64>& to) {
      const auto i = find(name, DType::I64, {shard.rows});
      const auto begin = to.size();
      to.resize(begin + static_cast<size_t>(shard.rows));
      const std::span<u8> bytes(reinterpret_cast<u8*>(to.data() + begin), static_cast<size_t>(8 * shard.rows));
      file.read_at(header.data_begin + header.tensors[i].begin, bytes);
      detail::check_sum(crc32c(bytes), sums[i], name, file.path());
    };
    const i64 first_row = size(), classes = static_cast<i64>(manifest_.classes.size());  // 0: labels are numbers only
    numbers("labels", labels_);
    numbers("index", index_);
    for (i64 r = first_row; r < size(); ++r) {
      const i64 label = labels_[static_cast<size_t>(r)], i = index_[static_cast<size_t>(r)];
      require(label >= -1 && (classes == 0 || label < classes), ErrorKind::data, "{}: label {} of image {}, {} classes",
              file.path(), label, i, classes);
      const bool ordered = r == first_row || index_[static_cast<size_t>(r - 1)] < i;
      require(ordered && i >= shard.first && i < shard.first + shard.images, ErrorKind::weights,
              "{}: row {} is image {}, expected {} to {} in order", file.path(), r - first_row, i, shard.first,
              shard.first + shard.images);
    }
    if (shard.rows == 0) return;
    const auto i = find("features", DType::F32, {shard.rows, manifest_.dim});
    places_.push_back({shard.file, first_row, shard.rows, header.data_begin + header.tensors[i].begin, sums[i],
                       static_cast<i64>(places_.size())});
  }

  /// Compares the checksum of a shard's rows before they are used for the first time.
  void verify(const Place& place, const InputFile& file) const {
    const std::lock_guard lock(verified_->mutex);
    auto& done = verified_->shards[static_cast<size_t>(place.number)];
    if (done) return;
    std::vector<u8> buffer(size_t{1} << 20);
    u32 sum = 0;
    const i64 end = place.offset + place.rows * manifest_.dim * 4;
    for (i64 at = place.offset; at < end;) {
      const auto part = std::span(buffer).first(static_cast<size_t>(std::min<i64>(1 << 20, end - at)));
      file.read_at(at, part);
      sum = crc32c(part, sum);
      at += static_cast<i64>(part.size());
    }
    detail::check_sum(sum, place.sum, "features", file.path());
    done = 1;
  }

  std::vector<std::string> texts(const char* name) const {
    std::vector<std::string> out;
    for (const auto& shard : manifest_.shards) {
      const auto path = folder_ / shard.file;
      const InputFile file(path, ErrorKind::weights);
      const auto header = read_safetensors_header(file);
      for (const auto& t : header.tensors) {
        if (t.name != name) continue;
        std::string text(static_cast<size_t>(t.end - t.begin), '\0');
        file.read_at(header.data_begin + t.begin, {reinterpret_cast<u8*>(text.data()), text.size()});
        require(detail::valid_utf8(text), ErrorKind::weights, "{}: {} are not UTF-8", path.string(), name);
        detail::JsonCursor json(text, path.string() + ": " + name);
        json.array("a list", [&] { out.push_back(json.string("a text")); });
      }
    }
    return out;
  }

  std::filesystem::path folder_;
  FeatureManifest manifest_;
  std::vector<i64> labels_, index_;
  std::vector<Place> places_;  // shards with rows
  std::shared_ptr<Verified> verified_;
};

/// The rows of a cache as they were stored, read as they are needed.
inline FeatureRows rows_of(const FeatureCache& cache) {
  return {cache.dim(), cache.labels(), [cache](i64 first, i64 rows, std::vector<float>& buffer) {
            buffer.resize(static_cast<size_t>(rows * cache.dim()));
            cache.read(first, buffer);
            return std::span<const float>(buffer);
          }};
}

/// Features of a part of a data set; images that cannot be read are counted by `bad`.
using ExtractPart = std::function<FeatureSet(const AnyDataset& part, BadImages& bad)>;

struct FeatureCacheOptions {
  double max_bad_fraction = 0.001;      // of the data set; 10 images are always allowed
  i64 shard_images = 4096;              // images of a file: what an interruption costs
  std::function<void(i64)> on_shard{};  // gets the number of images done
};

namespace detail {

/// The manifest that work goes on from: that of the folder, or a new one. Refuses a folder of something else.
inline FeatureManifest begin_cache(const std::filesystem::path& folder, const Record& key, const AnyDataset& set,
                                   i64 shard_images) {
  if (std::filesystem::exists(folder / "manifest.json")) {
    auto manifest = read_feature_manifest(folder);
    require_fresh(folder, manifest.key, key);
    return manifest;
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto name = entry.path().filename().string();
    require(
        name.starts_with('.'), ErrorKind::usage,
        "{} holds {} and no manifest.json: not a feature cache, nothing was changed. Name a folder that is empty or "
        "not there yet",
        folder.string(), name);
  }
  std::vector<std::string> classes;
  for (const auto& name : set.classes()) classes.push_back(clean_utf8(name));
  FeatureManifest manifest{
      .key = key, .classes = std::move(classes), .dim = 0, .shard_images = shard_images, .shards = {}};
  write_file_atomic(folder / "manifest.json", manifest_text(manifest));
  return manifest;
}

/// One shard: extracted, written, not yet in the manifest.
inline FeatureShard write_shard(const std::filesystem::path& folder, const FeatureManifest& manifest, i64 first,
                                i64 images, const AnyDataset& set, FeatureSet features) {
  const auto file = shard_name(manifest.shards.size());
  const auto list = [](const std::vector<std::string>& texts) {
    std::string out = "[";
    for (const auto& text : texts) out += (out.size() > 1 ? "," : "") + json_text(text);
    return out + ']';
  };
  std::vector<std::string> names;
  for (i64& i : features.index) names.push_back(set.name(i += first));
  const auto name_text = list(names), skipped_text = list(features.skipped);
  const i64 rows = features.size(), skipped = static_cast<i64>(features.skipped.size());
  require(rows + skipped == images && static_cast<i64>(features.values.size()) == rows * features.dim,
          "feature cache: {} rows of {} and {} skipped for {} images", rows, features.dim, skipped, images);
  std::vector<TensorView> tensors{
      tensor_view("labels", {rows}, features.labels),
      tensor_view("index", {rows}, features.index),
      {"names", DType::U8, {static_cast<i64>(name_text.size())}, as_bytes(name_text), {}},
      {"skipped", DType::U8, {static_cast<i64>(skipped_text.size())}, as_bytes(skipped_text), {}}};
  if (rows > 0) tensors.push_back(tensor_view("features", {rows, features.dim}, features.values));
  const auto stamp = write_safetensors(folder / file, tensors, {{"dino.kind", "feature-shard"}});
  return {file, first, images, rows, skipped, stamp};
}

}  // namespace detail

/// The features of a data set from a folder. What is missing there is computed, shard by shard: each appears whole or
/// not at all, and an interrupted cache goes on with the first shard that is missing. A finished one is opened only.
/// Throws what FeatureCache throws; Error{weights} or Error{data} when the cache is stale (require_fresh), Error{usage}
/// when the folder holds something else, Error{resources} when another process writes there, Error{data} when too many
/// images cannot be read. Nothing that was there is overwritten. Memory: the rows of one shard.
inline FeatureCache cache_features(const std::filesystem::path& folder, const FeatureKey& key, const AnyDataset& set,
                                   const ExtractPart& extract, const FeatureCacheOptions& options = {}) {
  const auto record = feature_record(key, set);
  if (std::filesystem::exists(folder / "manifest.json")) {
    const auto manifest = read_feature_manifest(folder);
    require_fresh(folder, manifest.key, record);
    if (manifest.complete()) return FeatureCache(folder);
  }
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  require(!error, ErrorKind::resources, "cannot create {}: {}", folder.string(), error.message());
  const FolderLock lock(folder);
  auto manifest = detail::begin_cache(folder, record, set, options.shard_images);
  remove_stale_temporaries(folder);
  BadImages bad(set.size(), options.max_bad_fraction);
  for (const auto& shard : manifest.shards)
    for (i64 i = 0; i < shard.skipped; ++i) bad.add("in " + shard.file);
  while (!manifest.complete()) {
    const i64 first = manifest.done(), images = std::min(manifest.shard_images, set.size() - first);
    std::vector<i64> part(static_cast<size_t>(images));
    std::iota(part.begin(), part.end(), first);
    auto features = extract(set.subset(std::move(part)), bad);
    if (features.size() > 0) {
      require(manifest.dim == 0 || manifest.dim == features.dim, "feature cache: rows of {} after rows of {}",
              features.dim, manifest.dim);
      manifest.dim = features.dim;
    }
    manifest.shards.push_back(detail::write_shard(folder, manifest, first, images, set, std::move(features)));
    write_file_atomic(folder / "manifest.json", detail::manifest_text(manifest));
    if (options.on_shard) options.on_shard(manifest.done());
  }
  return FeatureCache(folder);
}

}  // namespace dino::inline DINO_ABI
