// What cached features depend on, and the manifest of a cache: how a stale one is told.
#pragma once

#include <dino/data/dataset.hpp>
#include <dino/data/eval_transform.hpp>
#include <dino/io/parse_record.hpp>
#include <dino/io/safetensors.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace dino::inline DINO_ABI {

/// A number of 64 bits over names, shapes and bytes of tensors in their order, and over a description of what is made
/// of them (model_text: heads, positions, ...); 16 hex digits.
inline std::string weights_hash(std::span<const TensorView> tensors, std::string_view description) {
  u64 hash = stream_of(description);
  for (const auto& t : tensors) hash = mix(mix(hash, stream_of(str("{} {}", t.name, t.shape))), crc32c(t.bytes));
  return detail::hex8(static_cast<u32>(hash >> 32)) + detail::hex8(static_cast<u32>(hash));
}

/// The same over names, labels and classes of a data set, and the pixels of 16 pictures spread over it. A picture that
/// was replaced by another one of the same name is noticed when it is one of those.
inline std::string data_hash(const AnyDataset& set) {
  u64 hash = fingerprint(set);
  const auto add = [&](const auto& value) {  // of an image that may be unreadable
    try {
      hash = mix(hash, value());
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      hash = mix(hash, 0);
    }
  };
  for (i64 i = 0; set.labelled() && i < set.size(); ++i) add([&] { return static_cast<u64>(set.label(i) + 1); });
  constexpr i64 samples = 16;
  for (i64 k = 0; k < std::min(samples, set.size()); ++k) {
    add([&] {
      const auto image = set.get(set.size() <= samples ? k : k * (set.size() - 1) / (samples - 1)).image;
      return mix(static_cast<u64>(image.width), crc32c(std::span<const u8>(image.pixels)));
    });
  }
  return detail::hex8(static_cast<u32>(hash >> 32)) + detail::hex8(static_cast<u32>(hash));
}

/// How features come about: if one of these differs, they must be computed again.
struct FeatureKey {
  std::string weights;             // weights_hash, or a word (pixels)
  std::string backbone{}, file{};  // of the weights, for people: not compared
  EvalTransform transform{};
  i64 blocks = 1;                  // last blocks whose class tokens stand side by side
  std::string pooling = "cls";     // cls, mean, cls+mean: of the last block's patch tokens
  std::string precision = "fp32";  // fp32, bf16: in which the network computed
};

/// One file of a cache: what became of images [first, first + images) of the data set.
struct FeatureShard {
  std::string file;
  i64 first = 0, images = 0, rows = 0, skipped = 0;
  FileStamp stamp;
};

/// manifest.json of a cache.
struct FeatureManifest {
  Record key;  // fields of FeatureKey and of the data set, as feature_record writes them
  std::vector<std::string> classes;
  i64 dim = 0, shard_images = 0;
  std::vector<FeatureShard> shards;

  i64 images() const { return static_cast<i64>(key.number("data.images")); }
  i64 done() const { return shards.empty() ? 0 : shards.back().first + shards.back().images; }
  bool complete() const { return done() == images(); }
};

/// The key of features of a data set as fields: "weights.hash", "preprocessing.size", "data.images", ...
inline Record feature_record(const FeatureKey& key, const AnyDataset& set) {
  const auto three = [](const std::array<float, 3>& v) {
    return str("[{},{},{}]", number_text(shortest_double(v[0])), number_text(shortest_double(v[1])),
               number_text(shortest_double(v[2])));
  };
  return Record()
      .set("weights.hash", key.weights)
      .set("weights.backbone", key.backbone)
      .set("weights.file", key.file)
      .set("preprocessing.size", key.transform.size)
      .set("preprocessing.short_side", key.transform.short_side())
      .set("preprocessing.mean", three(key.transform.mean))
      .set("preprocessing.std", three(key.transform.deviation))
      .set("features.blocks", key.blocks)
      .set("features.pooling", key.pooling)
      .set("features.precision", key.precision)
      .set("data.title", clean_utf8(set.title()))
      .set("data.images", set.size())
      .set("data.classes", static_cast<i64>(set.classes().size()))
      .set("data.hash", data_hash(set));
}

namespace detail {

/// Fields for people, which may differ.
inline bool is_remark(const std::string& field) {
  return field == "weights.backbone" || field == "weights.file" || field == "data.title";
}

inline std::string manifest_text(const FeatureManifest& m) {
  std::string out = "{\"v\":1", section;
  for (const auto& [name, value] : m.key.fields()) {
    const auto dot = name.find('.');
    if (name.substr(0, dot) != section) {
      out += section.empty() ? ",\n " : "},\n ";
      section = name.substr(0, dot);
      out += json_text(section) + ":{";
    } else {
      out += ',';
    }
    const auto text = m.key.text(name);
    const bool quoted = std::holds_alternative<std::string>(value) && !text.starts_with('[');
    out += json_text(name.substr(dot + 1)) + ':' + (quoted ? json_text(text) : text);
  }
  out += str("},\n \"dim\":{},\"shard_images\":{},\n \"classes\":[", m.dim, m.shard_images);
  for (size_t i = 0; i < m.classes.size(); ++i) out += (i > 0 ? "," : "") + json_text(m.classes[i]);
  out += "],\n \"shards\":[";
  for (const auto& s : m.shards) {
    out += str("{}\n  {\"file\":{},\"images\":{},\"rows\":{},\"skipped\":{},\"size\":{},\"crc\":\"{}\"}",
               s.first > 0 ? "," : "", json_text(s.file), s.images, s.rows, s.skipped, s.stamp.size, hex8(s.stamp.crc));
  }
  return out + "]}\n";
}

inline std::string shard_name(size_t i) {
  const auto digits = std::to_string(i);
  return "shard_" + std::string(5 - std::min<size_t>(5, digits.size()), '0') + digits + ".safetensors";
}

/// A list that parse_record left as its text.
inline std::vector<FeatureShard> parse_shards(const std::string& text, const std::string& path) {
  std::vector<FeatureShard> shards;
  JsonCursor json(text, path + ": shards");
  json.array("a list of shards", [&] {
    FeatureShard s;
    if (!shards.empty()) s.first = shards.back().first + shards.back().images;
    json.object("a shard", [&](const std::string& key) {
      if (key == "file") {
        s.file = json.string("a file name");
      } else if (key == "crc") {
        const auto hex = json.string("a checksum");
        const auto [stop, error] = std::from_chars(hex.data(), hex.data() + hex.size(), s.stamp.crc, 16);
        if (hex.size() != 8 || error != std::errc{} || stop != hex.data() + 8) json.refuse("expected 8 hex digits");
      } else {
        i64* const to = key == "images"    ? &s.images
                        : key == "rows"    ? &s.rows
                        : key == "skipped" ? &s.skipped
                        : key == "size"    ? &s.stamp.size
                                           : nullptr;
        if (!to) json.refuse(str("unknown key {}", key));
        *to = json.integer(key);
      }
    });
    const bool sound = s.file == shard_name(shards.size()) && s.images > 0 && s.images < (i64{1} << 40) &&
                       s.rows <= s.images && s.skipped == s.images - s.rows;
    if (!sound) json.refuse(str("shard {} does not fit the others", shards.size()));
    shards.push_back(std::move(s));
  });
  json.expect_end();
  return shards;
}

}  // namespace detail

/// The text of a manifest; path stands in messages. Throws Error{weights}: damaged, or of a later version.
inline FeatureManifest parse_feature_manifest(std::string_view text, const std::string& path) {
  const auto record = parse_record(text);
  require(record && record->number("v") >= 1, ErrorKind::weights, "{} is damaged or not that of a feature cache", path);
  require(record->number("v") == 1, ErrorKind::weights, "{} has version {}, this program reads 1", path,
          record->text("v"));
  const auto whole = [&](const char* field) {
    const double x = record->number(field);
    require(x >= 0 && x < 1e15 && x == std::floor(x), ErrorKind::weights, "{} is damaged: {} = {}", path, field,
            record->text(field));
    return static_cast<i64>(x);
  };
  FeatureManifest m;
  for (const auto& [name, value] : record->fields())
    if (name.find('.') != name.npos) m.key.set(name, value);
  m.dim = whole("dim");
  m.shard_images = whole("shard_images");
  const i64 images = whole("data.images");
  const auto classes = record->text("classes");
  detail::JsonCursor json(classes, path + ": classes");
  json.array("a list of classes", [&] { m.classes.push_back(json.string("a class")); });
  m.shards = detail::parse_shards(record->text("shards"), path);
  require(m.shard_images > 0 && m.done() <= images, ErrorKind::weights,
          "{} is damaged: shards of {} images hold {} of {}", path, m.shard_images, m.done(), images);
  return m;
}

/// Reads manifest.json of a folder. Throws Error{weights}: not there, damaged, or of a later version.
inline FeatureManifest read_feature_manifest(const std::filesystem::path& folder) {
  const auto path = folder / "manifest.json";
  return parse_feature_manifest(read_text(path, i64{64} << 20, ErrorKind::weights), path.string());
}

/// What makes cached features unfit for a key, field by field: "weights.hash: the cache has 01ab, now 23cd". Empty:
/// they fit.
inline std::vector<std::string> stale_fields(const Record& cached, const Record& wanted) {
  std::vector<std::string> out;
  for (const auto& [name, value] : wanted.fields()) {
    if (detail::is_remark(name) || cached.text(name) == Record::value_text(value)) continue;
    out.push_back(str("{}: the cache has {}, now {}", name, cached.has(name) ? cached.text(name) : "nothing",
                      Record::value_text(value)));
  }
  return out;
}

/// Throws when cached features are not those of the key, with every field that differs: Error{weights} when the
/// weights do, otherwise Error{data}.
inline void require_fresh(const std::filesystem::path& folder, const Record& cached, const Record& wanted) {
  const auto differences = stale_fields(cached, wanted);
  if (differences.empty()) return;
  std::string text;
  for (const auto& d : differences) text += (text.empty() ? "" : "; ") + d;
  const bool weights = differences[0].starts_with("weights.");
  fail(weights ? ErrorKind::weights : ErrorKind::data,
       "{}: the cached features are stale: {}. They are of {} ({}) and of {}, wanted are those of {} ({}) and of {}. "
       "Nothing was changed: take another folder, or remove this one to compute them again",
       folder.string(), text, cached.text("weights.backbone"), cached.text("weights.file"), cached.text("data.title"),
       wanted.text("weights.backbone"), wanted.text("weights.file"), wanted.text("data.title"));
}

}  // namespace dino::inline DINO_ABI
