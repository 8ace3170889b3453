#include <dino/eval/tokens_file.hpp>
#include <nlohmann/json.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

#include <fstream>

using namespace dino;
using Json = nlohmann::json;

namespace {

const TokensFileInfo info{.model = R"({"backbone":"tiny"})", .settings = R"({"v":1,"tokens":"patch"})"};

/// Features 0, 1, 2, ... of pictures with these grids: two layers of two values.
PictureFeatures features(const TokenRequest& request, const std::vector<std::pair<i64, i64>>& grids) {
  PictureFeatures f;
  f.request = request;
  for (const auto& [h, w] : grids) {
    f.names.push_back(str("{} \"{}\".png", f.names.size(), h * w));
    f.grids.insert(f.grids.end(), {h, w});
    f.shapes.push_back(request.one_row() ? Shape{4} : Shape{2, h * w, 2});
    for (i64 i = 0; i < f.shapes.back().numel(); ++i) f.values.push_back(static_cast<float>(f.values.size()));
    if (!request.attention) continue;
    f.attention_shapes.push_back({3, 1 + h * w});
    for (i64 i = 0; i < 3 * (1 + h * w); ++i) f.attention.push_back(-static_cast<float>(f.attention.size()));
  }
  return f;
}

Json json_of(const TensorData& tensor) {
  CHECK(tensor.dtype == DType::U8);
  return Json::parse(tensor.bytes.begin(), tensor.bytes.end());
}

std::vector<std::string> tensor_names(const StateDict& file) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : file.tensors) names.push_back(name);
  return names;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("tokens_file: features, names, labels and classes stand in one file", "[eval]") {
  const TemporaryFolder folder;
  auto f = features({.layers = 2}, {{2, 2}, {1, 3}, {2, 2}});  // one row each: sizes do not matter
  f.labels = {1, 0, 1};
  f.classes = {"cat", "d\xc3\xb6g"};
  const auto path = folder / "f.safetensors";
  CHECK(write_tokens(path, f, info) == std::vector<std::filesystem::path>{path});
  const auto file = read_safetensors(path);
  CHECK(tensor_names(file) == Names{"classes", "features", "labels", "names"});
  CHECK(file.at("features").shape == Shape{3, 4});
  CHECK(file.at("features").to<float>() == f.values);
  CHECK(file.at("labels").to<i64>() == f.labels);
  CHECK(json_of(file.at("names")) == Json(f.names));
  CHECK(json_of(file.at("classes")) == Json(f.classes));
  CHECK(file.metadata.at("dino.kind") == "features");
  CHECK(file.metadata.at("dino.model") == info.model);
  CHECK(file.metadata.at("dino.features") == info.settings);
  CHECK(file.metadata.at("format") == "pt");
}

TEST_CASE("tokens_file: tokens of one size are one array, with their grid", "[eval]") {
  const TemporaryFolder folder;
  const auto f = features({.tokens = TokenChoice::patch, .layers = 2, .attention = true}, {{2, 3}, {2, 3}});
  write_tokens(folder / "f.safetensors", f, info);
  const auto file = read_safetensors(folder / "f.safetensors");
  CHECK(tensor_names(file) == Names{"attention", "features", "grid", "names"});
  CHECK(file.at("features").shape == Shape{2, 2, 6, 2});
  CHECK(file.at("attention").shape == Shape{2, 3, 7});
  CHECK(file.at("attention").to<float>() == f.attention);
  CHECK(file.at("grid").shape == Shape{2, 2});
  CHECK(file.at("grid").to<i64>() == std::vector<i64>{2, 3, 2, 3});
}

TEST_CASE("tokens_file: pictures of different sizes are an array each", "[eval]") {
  const TemporaryFolder folder;
  const auto f = features({.tokens = TokenChoice::all, .layers = 2, .attention = true}, {{2, 3}, {3, 2}, {1, 1}});
  write_tokens(folder / "f.safetensors", f, info);
  const auto file = read_safetensors(folder / "f.safetensors");
  CHECK(tensor_names(file) == Names{"attention.00000", "attention.00001", "attention.00002", "features.00000",
                                    "features.00001", "features.00002", "grid", "names"});
  CHECK(file.at("features.00001").shape == Shape{2, 6, 2});
  CHECK(file.at("features.00002").shape == Shape{2, 1, 2});
  CHECK(file.at("features.00002").to<float>() == std::vector<float>{48, 49, 50, 51});
  CHECK(file.at("attention.00002").to<float>() == std::vector<float>(f.attention.end() - 6, f.attention.end()));
  CHECK(detail::numbered("x", 123456) == "x.123456");
}

TEST_CASE("tokens_file: one matrix beside attention maps of several sizes", "[eval]") {
  const TemporaryFolder folder;
  write_tokens(folder / "f.safetensors", features({.layers = 2, .attention = true}, {{2, 3}, {1, 1}}), info);
  CHECK(tensor_names(read_safetensors(folder / "f.safetensors")) ==
        Names{"attention.00000", "attention.00001", "features", "grid", "names"});
}

TEST_CASE("tokens_file: npy holds the features, a JSON file beside it the rest", "[eval]") {
  const TemporaryFolder folder;
  auto f = features({.tokens = TokenChoice::patch, .layers = 2}, {{1, 2}, {1, 2}});
  const auto path = folder / "f.npy";
  const auto other = folder / "f.npy.json";
  const auto read = [&] { return Json::parse(std::ifstream(other)); };
  CHECK(write_tokens(path, f, info) == std::vector<std::filesystem::path>{path, other});
  CHECK(read_npy(path).shape == Shape{2, 2, 2, 2});
  CHECK(read_npy(path).to<float>() == f.values);
  CHECK(read() == Json{{"v", 1},
                       {"names", f.names},
                       {"model", {{"backbone", "tiny"}}},
                       {"features", {{"v", 1}, {"tokens", "patch"}}}});
  f.labels = {1, 0};
  f.classes = {"a", "b"};
  write_tokens(path, f, info);
  CHECK(read()["labels"] == Json({1, 0}));
  CHECK(read()["classes"] == Json({"a", "b"}));
}

TEST_CASE("tokens_file: npy for more than one array, other endings and no features are refused", "[eval]") {
  const TemporaryFolder folder;
  const auto path = folder / "f.npy";
  CHECK_THROWS_WITH(write_tokens(path, features({.attention = true}, {{1, 1}}), info),
                    contains("f.npy: an npy file holds one array, these are two, features and attention. Write a "
                             ".safetensors"));
  CHECK_THROWS_WITH(write_tokens(path, features({.tokens = TokenChoice::patch}, {{1, 1}, {1, 2}}), info),
                    contains("these are one for each picture, since sizes differ"));
  CHECK_THROWS_WITH(write_tokens(folder / "f.npz", features({}, {{1, 1}}), info),
                    contains("f.npz: features are written to .safetensors or .npy"));
  CHECK_THROWS_WITH(write_tokens(path, PictureFeatures(), info), contains("there are no features"));
  CHECK(std::filesystem::is_empty(folder.path));
}

TEST_CASE("tokens_file: names that are not UTF-8 do not spoil the file", "[eval]") {
  const TemporaryFolder folder;
  auto f = features({}, {{1, 1}});
  f.names = {"a\xff.png"};
  write_tokens(folder / "f.safetensors", f, info);
  CHECK(json_of(read_safetensors(folder / "f.safetensors").at("names")) == Json({"a\xef\xbf\xbd.png"}));
}
