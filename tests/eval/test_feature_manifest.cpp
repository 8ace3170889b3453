#include <dino/eval/feature_manifest.hpp>

#include "support/golden.hpp"

using namespace dino;

namespace {

struct Pictures {
  i64 count = 40;
  std::string title_text = "photos";
  std::string prefix = "p";
  i64 odd = -1;  // a picture that is another one

  i64 size() const { return count; }
  i64 label(i64 i) const { return i % 2; }
  std::string name(i64 i) const { return str("{}{}", prefix, i); }
  std::vector<std::string> classes() const { return {"cat \"x\"", "d\\g"}; }
  std::string title() const { return title_text; }
  Sample get(i64 i) const {
    require(i != 0, ErrorKind::data, "no picture");  // one that cannot be read counts as well
    Image image(2, 2);
    image.pixels[0] = static_cast<u8>(i == odd ? 200 : i);
    return {std::move(image), label(i), name(i)};
  }
};

FeatureKey key_of() { return {.weights = "0123", .backbone = "vit-s-16", .file = "w \"1\"", .transform = {}}; }

FeatureManifest manifest() {
  FeatureManifest m{.key = feature_record(key_of(), AnyDataset(Pictures{.count = 6})),
                    .classes = Pictures{}.classes(),
                    .dim = 3,
                    .shard_images = 4,
                    .shards = {}};
  m.shards.push_back({"shard_00000.safetensors", 0, 4, 3, 1, {.size = 1234, .crc = 0xfedcba98}});
  m.shards.push_back({"shard_00001.safetensors", 4, 2, 2, 0, {.size = 99, .crc = 7}});
  return m;
}

}  // namespace

TEST_CASE("feature_manifest: what is written is read", "[eval]") {
  const auto m = manifest(), got = parse_feature_manifest(detail::manifest_text(m), "m");
  CHECK(got.key.fields().size() == m.key.fields().size());
  CHECK(stale_fields(got.key, m.key).empty());
  CHECK(got.key.text("weights.file") == "w \"1\"");
  CHECK(got.classes == m.classes);
  CHECK(got.dim == 3);
  CHECK(got.shard_images == 4);
  CHECK(got.images() == 6);
  CHECK(got.complete());
  REQUIRE(got.shards.size() == 2);
  CHECK(got.shards[0].stamp == m.shards[0].stamp);
  CHECK(got.shards[1].first == 4);
  CHECK(got.shards[1].rows == 2);
  CHECK(detail::manifest_text(got) == detail::manifest_text(m));
  auto begun = m;
  begun.shards.pop_back();
  CHECK_FALSE(parse_feature_manifest(detail::manifest_text(begun), "m").complete());
}

TEST_CASE("feature_manifest: damaged text is refused", "[eval]") {
  const auto text = detail::manifest_text(manifest());
  const auto refused = [&](const std::string& from, const std::string& to, const std::string& why) {
    auto changed = text;
    const auto at = changed.find(from);
    REQUIRE(at != changed.npos);
    INFO(to);
    CHECK_THROWS_WITH(parse_feature_manifest(changed.replace(at, from.size(), to), "m.json"), contains(why));
  };
  refused("{\"v\":1", "{\"v\":2", "m.json has version 2, this program reads 1");
  refused("{\"v\":1", "[\"v\":1", "m.json is damaged or not that of a feature cache");
  refused("\"images\":6", "\"images\":-6", "damaged: data.images = -6");
  refused("\"images\":6", "\"images\":5", "shards of 4 images hold 6 of 5");
  refused("\"images\":6", "\"images\":1e300", "damaged: data.images");
  refused("shard_00001", "../../etc/x", "shard 1 does not fit the others");
  refused("\"rows\":3", "\"rows\":2", "shard 0 does not fit the others");
  refused("\"rows\":3,\"skipped\":1", "\"rows\":9223372036854775807,\"skipped\":5", "shard 0 does not fit the others");
  refused("\"rows\":3", "\"rows\":3,\"rowz\":4", "unknown key rowz");
  refused("\"crc\":\"f", "\"crc\":\"z", "expected 8 hex digits");
  refused("\"shard_images\":4", "\"shard_images\":0", "shards of 0 images hold");
  for (size_t cut = 0; cut + 2 < text.size(); cut += 7)
    CHECK_THROWS_WITH(parse_feature_manifest(text.substr(0, cut), "m.json"), contains("m.json"));
}

TEST_CASE("feature_manifest: all that differs is named, but no remarks", "[eval]") {
  const AnyDataset set(Pictures{});
  const auto base = feature_record(key_of(), set);
  auto other = key_of();
  other.weights = "4567";
  other.transform.size = 96;
  other.transform.deviation[2] = 1;
  other.pooling = "mean";
  CHECK(stale_fields(base, feature_record(other, set)) ==
        std::vector<std::string>{"weights.hash: the cache has 0123, now 4567",
                                 "preprocessing.size: the cache has 224, now 96",
                                 "preprocessing.short_side: the cache has 256, now 110",
                                 "preprocessing.std: the cache has [0.229,0.224,0.225], now [0.229,0.224,1]",
                                 "features.pooling: the cache has cls, now mean"});
  auto remark = key_of();
  remark.file = "elsewhere";
  remark.backbone = "";
  CHECK(stale_fields(base, feature_record(remark, AnyDataset(Pictures{.title_text = "moved"}))).empty());
  Record empty;
  CHECK(stale_fields(empty, base).front() == "weights.hash: the cache has nothing, now 0123");
}

TEST_CASE("feature_manifest: the hash of data knows size, names and some of the pictures", "[eval]") {
  const auto hash = [](const Pictures& pictures) { return data_hash(AnyDataset(pictures)); };
  const auto base = hash({});
  CHECK(base.size() == 16);
  CHECK(base == hash({.title_text = "moved"}));
  CHECK(base != hash({.count = 39}));
  CHECK(base != hash({.prefix = "q"}));
  CHECK(base != hash({.odd = 39}));  // the last is one of the sixteen
}

TEST_CASE("feature_manifest: the hash of weights knows names, shapes and bytes", "[eval]") {
  const std::vector<float> a{1, 2, 3, 4}, b{1, 2, 3, 5};
  const auto hash = [](const char* name, const Shape& shape, const std::vector<float>& values, const char* text = "") {
    const std::vector tensors{tensor_view(name, shape, values)};
    return weights_hash(tensors, text);
  };
  const auto base = hash("w", {2, 2}, a);
  CHECK(base.size() == 16);
  CHECK(base == hash("w", {2, 2}, a));
  CHECK(base != hash("v", {2, 2}, a));
  CHECK(base != hash("w", {4}, a));
  CHECK(base != hash("w", {2, 2}, b));
  CHECK(base != hash("w", {2, 2}, a, "6 heads"));
}
