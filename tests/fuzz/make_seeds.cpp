// Writes the seeds of the fuzz targets:  make_seeds FOLDER  makes FOLDER/safetensors, FOLDER/pth, FOLDER/pickle and
// FOLDER/feature_manifest.
#include <dino/eval/feature_manifest.hpp>

#include "support/pth_files.hpp"

#include <fstream>
#include <iostream>

namespace {

using dino::i64, dino::u64;
namespace fs = std::filesystem;

void write(const fs::path& path, const std::string& bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

/// A file of this header and so many bytes of data; the length of the header as it is, or as somebody claims.
std::string safetensors(const std::string& header, size_t data = 8, u64 claimed = ~u64{0}) {
  return pth::le(claimed == ~u64{0} ? u64{header.size()} : claimed) + header + std::string(data, '\0');
}
std::string tensor(const std::string& fields) { return R"({"t":{)" + fields + "}}"; }

void safetensors_seeds(const fs::path& to) {
  const std::string right = R"("dtype":"F32","shape":[2],"data_offsets":[0,8])";
  const std::vector<std::string> files{
      safetensors(tensor(right)),
      safetensors("{}", 0),
      safetensors("[]", 0),
      safetensors("", 0),
      safetensors("{}", 0, u64{1} << 63),
      safetensors("{}", 0, ~u64{0} - 1),
      safetensors("{}", 0, 100'000'001),
      safetensors(tensor(right), 7),
      safetensors(tensor(right), 9),
      safetensors(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])")),
      safetensors(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[-8,0])")),
      safetensors(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0.0,8])")),
      safetensors(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8e0])")),
      safetensors(tensor(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8])")),
      safetensors(tensor(R"("dtype":"I8","shape":[8],"data_offsets":[0,8])")),
      safetensors(tensor(R"("dtype":"F4","shape":[1],"data_offsets":[0,8])")),
      safetensors(tensor(R"("dtype":"F32","shape":[],"data_offsets":[0,4])"), 4),
      safetensors(tensor(R"("dtype":"F32","shape":[0,3],"data_offsets":[0,0])"), 0),
      safetensors(R"({"t":{)" + right + R"(},"t":{)" + right + "}}"),
      safetensors(R"({"a":{)" + right + R"(},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})"),
      safetensors(R"({"a":{)" + right + R"(},"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}})", 16),
      safetensors(R"({"__metadata__":{"n":1},"t":{)" + right + "}}"),
      safetensors(R"({"__metadata__":{"format":"pt","dino.crc32c":"{\"t\":\"00000000\"}"},"t":{)" + right + "}}"),
      safetensors("{\"\xff\":{" + right + "}}"),
      safetensors(std::string(5000, '['), 0)};
  for (size_t i = 0; i < files.size(); ++i) write(to / std::to_string(i), files[i]);
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  dino::StateDict hugging_face;
  hugging_face.add("vit.embeddings.cls_token", dino::tensor_data({1, 1, 6}, values));
  for (const auto* part : {"query", "key", "value"}) {
    hugging_face.add(dino::str("vit.encoder.layer.0.attention.attention.{}.bias", part),
                     dino::tensor_data({6}, values));
  }
  dino::write_safetensors(to / "hugging_face", hugging_face);
}

void pth_seeds(const fs::path& to) {
  const std::string right = pth::small_file(), golden = pth::golden();
  const std::vector<std::string> files{
      right,
      golden,
      right.substr(0, right.size() / 2),
      golden.substr(1),
      std::string("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e", 15),
      pth::zip({{"a/code/x.py", "pass"}, {"a/constants.pkl", "."}}),
      pth::zip({{"a/data.pkl", "."}, {"a/data.pkl", "."}}),
      pth::zip({{"../data.pkl", "."}}),
      pth::zip({{"a/data.pkl", pth::golden_pickle()}, {"a/byteorder", "big"}}),
      pth::zip({{"a/data.pkl", pth::golden_pickle()}}, {.zip64 = false, .wide_entries = true, .comment = "PK\5\6"})};
  for (size_t i = 0; i < files.size(); ++i) write(to / std::to_string(i), files[i]);
}

void pickle_seeds(const fs::path& to) {
  const auto storage = pth::storage("FloatStorage", "0", 8);
  const std::vector<std::string> pickles{
      pth::golden_pickle(),
      pth::pickle(pth::global("os", "system")),
      pth::pickle(pth::global("argparse", "Namespace")),
      pth::pickle(pth::namespace_object()),
      pth::pickle(pth::list({pth::integer(1), pth::text("x"), pth::tuple({pth::integer(-1)})})),
      pth::pickle(pth::dict({{"t", pth::tensor(storage, 0, {2, 4}, {4, 1})}})),
      pth::pickle(pth::dict({{"t", pth::tensor(storage, 1, {4, 2}, {1, 4})}})),
      pth::pickle(pth::dict({{"t", pth::tensor(storage, 7, {i64{1} << 40, 4}, {i64{1} << 40, 1})}})),
      pth::pickle(std::string(2000, '(')),
      pth::pickle(std::string(2000, ']'))};
  for (size_t i = 0; i < pickles.size(); ++i) write(to / std::to_string(i), pickles[i]);
}

void manifest_seeds(const fs::path& to) {
  dino::FeatureManifest m{.key = {}, .classes = {"cat", "dog"}, .dim = 3, .shard_images = 4, .shards = {}};
  m.key.set("weights.hash", "0123").set("preprocessing.mean", "[0,0.5,1]").set("data.images", 6);
  write(to / "begun", dino::detail::manifest_text(m));
  m.shards.push_back(
      {.file = "shard_00000.safetensors", .first = 0, .images = 4, .rows = 3, .skipped = 1, .stamp = {}});
  m.shards.push_back(
      {.file = "shard_00001.safetensors", .first = 4, .images = 2, .rows = 2, .skipped = 0, .stamp = {}});
  const auto text = dino::detail::manifest_text(m);
  write(to / "done", text);
  write(to / "cut", text.substr(0, text.size() / 2));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: make_seeds FOLDER\n";
    return 2;
  }
  const fs::path folder = argv[1];
  fs::create_directories(folder / "safetensors");
  safetensors_seeds(folder / "safetensors");
  pth_seeds(folder / "pth");
  pickle_seeds(folder / "pickle");
  manifest_seeds(folder / "feature_manifest");
}
