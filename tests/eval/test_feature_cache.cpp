#include <dino/eval/feature_cache.hpp>

#include "support/golden.hpp"
#include "support/temporary_folder.hpp"

#include <fstream>

using namespace dino;

namespace {

/// Pictures of one colour each; some cannot be read.
struct Colours4 {
  i64 count = 11;
  std::vector<i64> bad{};
  int shade = 20;
  std::vector<std::string> names{"a", "b", "c"};
  std::string prefix = "img";

  i64 size() const { return count; }
  i64 label(i64 i) const { return i % 3; }
  std::string name(i64 i) const { return str("{}/{}.png", prefix, i); }
  std::vector<std::string> classes() const { return names; }
  std::string title() const { return "colours"; }
  Sample get(i64 i) const {
    if (std::find(bad.begin(), bad.end(), i) != bad.end()) fail(ErrorKind::data, "{}: not a PNG", name(i));
    Sample sample{Image(4, 4), label(i), name(i)};
    std::fill(sample.image.pixels.begin(), sample.image.pixels.end(), static_cast<u8>(shade * i));
    return sample;
  }
};

constexpr EvalTransform transform{.size = 4, .mean = {0, 0, 0}, .deviation = {1, 1, 1}};

/// Computes features of parts and counts them; stops when it is told to.
struct Extract {
  HostContext& ctx;
  i64 stop_after = 1000;  // parts
  std::vector<i64> parts{};

  FeatureSet operator()(const AnyDataset& part, BadImages& bad) {
    require(static_cast<i64>(parts.size()) < stop_after, ErrorKind::resources, "interrupted");
    parts.push_back(part.size());
    return pixel_features(ctx, part, transform, {}, &bad);
  }
};

FeatureKey key_of() {
  return {.weights = "0123456789abcdef", .backbone = "vit-s-16", .file = "w", .transform = transform};
}

FeatureCache make(const std::filesystem::path& folder, Extract& extract, const Colours4& set = {},
                  const FeatureKey& key = key_of(), double max_bad = 0.001) {
  return cache_features(folder, key, AnyDataset(set), std::ref(extract),
                        {.max_bad_fraction = max_bad, .shard_images = 4});
}

std::string all_bytes(const std::filesystem::path& folder) {
  std::string out;
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths)
    if (path.filename() != ".lock") out += path.filename().string() + read_text(path, 1 << 20);
  return out;
}

void replace(const std::filesystem::path& path, const std::string& from, const std::string& to) {
  auto text = read_text(path, 1 << 20);
  const auto at = text.find(from);
  REQUIRE(at != text.npos);
  write_file_atomic(path, text.replace(at, from.size(), to));
}

}  // namespace

TEST_CASE("feature_cache: gives what was extracted, in any blocks, and computes it once", "[eval]") {
  const TemporaryFolder folder;
  HostContext ctx(2);
  Extract extract{ctx};
  const Colours4 set{.bad = {2, 4, 5, 6, 7}};
  const auto cache = make(folder.path / "f", extract, set);
  CHECK(extract.parts == std::vector<i64>{4, 4, 3});
  const auto expected = pixel_features(ctx, AnyDataset(set), transform);
  CHECK(cache.dim() == 48);
  CHECK(cache.labels() == expected.labels);
  CHECK(cache.index() == expected.index);
  CHECK(cache.classes() == set.names);
  CHECK(cache.skipped() == expected.skipped);
  CHECK(cache.names() ==
        std::vector<std::string>{"img/0.png", "img/1.png", "img/3.png", "img/8.png", "img/9.png", "img/10.png"});
  CHECK(cache.load().values == expected.values);
  for (i64 first = 0; first <= cache.size(); ++first) {
    for (i64 rows = 0; first + rows <= cache.size(); ++rows) {
      std::vector<float> got(static_cast<size_t>(rows * 48));
      cache.read(first, got);
      CHECK(std::equal(got.begin(), got.end(), expected.values.begin() + first * 48));
    }
  }
  std::vector<float> one(48);
  CHECK_THROWS_WITH(cache.read(6, one), "feature cache: 48 values from row 6 of 6 x 48");
  const auto before = all_bytes(folder.path / "f");
  CHECK(make(folder.path / "f", extract, set).load().values == expected.values);
  CHECK(extract.parts.size() == 3);
  CHECK(all_bytes(folder.path / "f") == before);
}

TEST_CASE("feature_cache: an interrupted cache is refused by readers and goes on where it stopped", "[eval]") {
  const TemporaryFolder folder;
  HostContext ctx(2);
  Extract first{ctx, 1};
  CHECK_THROWS_WITH(make(folder.path, first), "interrupted");
  CHECK_THROWS_WITH(FeatureCache(folder.path), contains("the features are not finished, 4 of 11 images are done"));
  Extract second{ctx};
  const auto cache = make(folder.path, second);
  CHECK(second.parts == std::vector<i64>{4, 3});
  CHECK(cache.load().values == pixel_features(ctx, AnyDataset(Colours4{}), transform).values);
}

TEST_CASE("feature_cache: a shard that its manifest does not know is made again", "[eval]") {
  const TemporaryFolder folder;
  HostContext ctx(2);
  Extract first{ctx, 1}, second{ctx};
  CHECK_THROWS_WITH(make(folder.path, first), "interrupted");
  write_file_atomic(folder.path / "shard_00001.safetensors", "half");
  CHECK(make(folder.path, second).load().values == pixel_features(ctx, AnyDataset(Colours4{}), transform).values);
}

TEST_CASE("feature_cache: a stale cache is named with all that differs, and stays as it was", "[eval]") {
  const TemporaryFolder folder;
  HostContext ctx(2);
  Extract extract{ctx};
  make(folder.path, extract);
  const auto before = all_bytes(folder.path);
  const auto refuses = [&](const Colours4& set, const FeatureKey& key, ErrorKind kind, const std::string& why) {
    INFO(why);
    try {
      make(folder.path, extract, set, key);
      FAIL("was not refused");
    } catch (const Error& error) {
      CHECK(error.kind() == kind);
      CHECK_THAT(error.what(), contains(why));
      CHECK_THAT(error.what(), contains("Nothing was changed"));
    }
    CHECK(all_bytes(folder.path) == before);
    CHECK(extract.parts.size() == 3);
  };
  auto other = key_of();
  other.weights = "fedcba9876543210";
  other.backbone = "vit-b-8";
  refuses({}, other, ErrorKind::weights, "weights.hash: the cache has 0123456789abcdef, now fedcba9876543210");
  refuses({}, other, ErrorKind::weights, "wanted are those of vit-b-8");
  auto larger = key_of();
  larger.transform.size = 8;
  larger.transform.mean[1] = 0.5f;
  refuses({}, larger, ErrorKind::data, "preprocessing.size: the cache has 4, now 8");
  refuses({}, larger, ErrorKind::data, "preprocessing.mean: the cache has [0,0,0], now [0,0.5,0]");
  auto blocks = key_of();
  blocks.blocks = 4;
  refuses({}, blocks, ErrorKind::data, "features.blocks: the cache has 1, now 4");
  auto half = key_of();
  half.precision = "bf16";
  refuses({}, half, ErrorKind::data, "features.precision: the cache has fp32, now bf16");
  refuses({.count = 10}, key_of(), ErrorKind::data, "data.images: the cache has 11, now 10");
  refuses({.names = {"a", "b", "x"}}, key_of(), ErrorKind::data, "data.hash");
  refuses({.shade = 21}, key_of(), ErrorKind::data, "data.hash");  // other pictures under the same names
  refuses({.prefix = "other"}, key_of(), ErrorKind::data, "data.hash");
  auto moved = key_of();  // remarks are not compared
  moved.file = "elsewhere";
  CHECK(make(folder.path, extract, {}, moved).size() == 11);
}

TEST_CASE("feature_cache: a folder of something else is refused", "[eval]") {
  const TemporaryFolder folder;
  HostContext ctx(1);
  Extract extract{ctx};
  write_file_atomic(folder.path / "thesis.txt", "words");
  CHECK_THROWS_WITH(make(folder.path, extract), contains("holds thesis.txt and no manifest.json"));
  CHECK(extract.parts.empty());
  CHECK_THROWS_WITH(FeatureCache(folder.path), contains("cannot open"));
}

TEST_CASE("feature_cache: too many bad images stop it, also over an interruption", "[eval]") {
  const TemporaryFolder folder;
  HostContext ctx(2);
  Extract extract{ctx};
  Colours4 set{.count = 24};
  for (i64 i = 0; i < 22; i += 2) set.bad.push_back(i);  // 11
  for (int attempt = 0; attempt < 2; ++attempt)
    CHECK_THROWS_WITH(make(folder.path, extract, set), contains("11 of 24 images cannot be used, 10 are allowed"));
  CHECK(extract.parts.size() == 7);  // the second time only the last part
  CHECK(make(folder.path, extract, set, key_of(), 0.5).size() == 13);
}

TEST_CASE("feature_cache: a part without any readable image leaves no rows", "[eval]") {
  const TemporaryFolder folder;
  HostContext ctx(2);
  Extract extract{ctx};
  const auto cache = make(folder.path, extract, {.bad = {0, 1, 2, 3}});
  CHECK(cache.size() == 7);
  CHECK(cache.index()[0] == 4);
  CHECK(cache.load().values.size() == 7 * 48);
}

TEST_CASE("feature_cache: damage is found before a row is handed over", "[eval]") {
  const TemporaryFolder folder;
  HostContext ctx(2);
  Extract extract{ctx};
  make(folder.path, extract);
  const auto shard = folder.path / "shard_00001.safetensors";
  const auto bytes = read_file(shard, 1 << 20);
  std::vector<float> rows(48);
  const auto open = [&] { return FeatureCache(folder.path); };

  auto damaged = bytes;
  const auto header = read_safetensors_header(shard);
  for (const auto& t : header.tensors) {
    if (t.name == "features") damaged[static_cast<size_t>(header.data_begin + t.begin + 5)] ^= 1;
  }
  write_file_atomic(shard, damaged);
  const auto cache = open();
  cache.read(0, rows);  // of another shard
  CHECK_THROWS_WITH(cache.read(4, rows), contains("shard_00001.safetensors: data of features is damaged"));

  damaged = bytes;
  for (const auto& t : header.tensors) {
    if (t.name == "labels") damaged[static_cast<size_t>(header.data_begin + t.begin)] = 7;
  }
  write_file_atomic(shard, damaged);
  CHECK_THROWS_WITH(open(), contains("data of labels is damaged"));

  write_file_atomic(shard, std::span(bytes).first(bytes.size() - 1));
  CHECK_THROWS_WITH(open(), contains("the manifest says"));
  write_file_atomic(shard, bytes);
  CHECK(open().size() == 11);
}

TEST_CASE("feature_cache: labels outside of the classes and rows out of order are refused", "[eval]") {
  const TemporaryFolder folder;
  HostContext ctx(2);
  Extract extract{ctx};
  make(folder.path, extract);
  const auto path = folder.path / "shard_00000.safetensors";
  const auto dict = read_safetensors(path);
  const auto with = [&](const char* name, const std::vector<i64>& values) {
    auto changed = dict;
    changed.tensors[name] = tensor_data({4}, values);
    write_safetensors(path, changed);
  };
  with("labels", {0, 1, 3, 0});
  CHECK_THROWS_WITH(FeatureCache(folder.path), contains("label 3 of image 2, 3 classes"));
  with("labels", {0, 1, -2, 0});
  CHECK_THROWS_WITH(FeatureCache(folder.path), contains("label -2 of image 2, 3 classes"));
  with("index", {0, 2, 1, 3});
  CHECK_THROWS_WITH(FeatureCache(folder.path), contains("row 2 is image 1, expected 0 to 4 in order"));
  with("index", {0, 1, 2, 4});
  CHECK_THROWS_WITH(FeatureCache(folder.path), contains("row 3 is image 4, expected 0 to 4 in order"));
  auto without = dict;
  without.tensors.erase("features");
  write_safetensors(path, without);
  CHECK_THROWS_WITH(FeatureCache(folder.path), contains("shard_00000.safetensors"));
}

TEST_CASE("feature_cache: a damaged manifest is refused", "[eval]") {
  HostContext ctx(2);
  const auto refused = [&](const std::string& from, const std::string& to, const std::string& why) {
    const TemporaryFolder folder;
    Extract extract{ctx};
    make(folder.path, extract);
    replace(folder.path / "manifest.json", from, to);
    INFO(to);
    CHECK_THROWS_WITH(FeatureCache(folder.path), contains(why));
  };
  refused("{\"v\":1", "{\"v\":2", "has version 2, this program reads 1");
  refused("{\"v\":1", "[\"v\":1", "damaged or not that of a feature cache");
  refused("\"images\":11", "\"images\":-11", "damaged: data.images = -11");
  refused("\"images\":11", "\"images\":9", "shards of 4 images hold 11 of 9");
  refused("\"images\":11", "\"images\":1e300", "damaged: data.images");
  refused("shard_00001", "../../etc/x", "shard 1 does not fit the others");
  refused("\"rows\":4", "\"rows\":3", "shard 0 does not fit the others");
  refused("\"rows\":4", "\"rows\":4,\"rowz\":4", "unknown key rowz");
  refused("\"crc\":\"", "\"crc\":\"z", "expected 8 hex digits");
  refused("\"shard_images\":4", "\"shard_images\":0", "shards of 0 images hold");
  refused("\"dim\":48", "\"dim\":47", "no tensor features of F32 (4,47)");
}

TEST_CASE("feature_cache: a cache that another process fills is refused", "[eval]") {
  const TemporaryFolder folder;
  HostContext ctx(1);
  Extract extract{ctx};
  const FolderLock lock(folder.path);
  CHECK_THROWS_WITH(make(folder.path, extract), contains("is in use by"));
}

TEST_CASE("feature_cache: its rows are read as unit rows with the bits of normalize_rows", "[eval]") {
  const TemporaryFolder folder;
  HostContext ctx(2);
  Extract extract{ctx};
  const auto cache = make(folder.path, extract);
  auto expected = cache.load();
  normalize_rows(ctx, expected);
  const auto rows = unit_rows(ctx, rows_of(cache));
  std::vector<float> buffer;
  const auto got = rows.read(1, 9, buffer);
  CHECK(std::equal(got.begin(), got.end(), expected.values.begin() + 48));
}
