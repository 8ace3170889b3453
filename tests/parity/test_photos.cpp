// The golden files of photographs, and copies of them that are wrong in some way.
#include "../../examples/dino_parity/items.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

#include <dino/base/config.hpp>

#include <functional>

using namespace dino;
namespace fs = std::filesystem;

#if DINO_HAS_TURBOJPEG

namespace {

const fs::path golden = fs::path(__FILE__).parent_path().parent_path() / "golden" / "parity";

using Change = std::function<void(StateDict&)>;

/// The items of a committed file after a change, in a folder of its own with the weights beside it.
std::vector<parity::Item> items_of(const std::string& name, const Change& change) {
  TemporaryFolder folder;
  auto state = read_safetensors(golden / (name + ".safetensors"));
  change(state);
  fs::copy_file(golden / "features-tiny.pth", folder / "features-tiny.pth");
  write_safetensors(folder / "case.safetensors", state);
  HostContext ctx(2);
  return parity::check_file(folder / "case.safetensors", ctx);
}

std::set<std::string> wrong(const std::string& name, const Change& change) {
  std::set<std::string> names;
  for (const auto& item : items_of(name, change)) {
    if (!item.ok()) names.insert(item.what + (item.worst.empty() ? "" : " " + item.worst));
  }
  return names;
}

Change add_to_byte(const std::string& tensor, size_t index, int step) {
  return [=](StateDict& s) {
    u8& byte = s.tensors.at(tensor).bytes.at(index);
    byte = static_cast<u8>(byte < 128 ? byte + step : byte - step);
  };
}

Change set_real(const std::string& tensor, size_t index, double value) {
  return [=](StateDict& s) {
    auto& data = s.tensors.at(tensor);
    auto values = data.to<double>();
    values.at(index) = value;
    data = tensor_data(data.shape, values);
  };
}

Change replace(const std::string& from, const std::string& to) {
  return [=](StateDict& s) {
    auto& text = s.metadata.at("dino.parity");
    REQUIRE(text.find(from) != std::string::npos);
    text.replace(text.find(from), from.size(), to);
  };
}

void nothing(StateDict&) {}

}  // namespace

TEST_CASE("photos: pixels, crops and the tensor of evaluation are those of Pillow", "[parity][golden]") {
  for (const std::string name : {"photo-colour-1", "photo-gray-1"}) {
    const auto items = items_of(name, nothing);
    REQUIRE(items.size() == 4);
    for (const auto& item : items) {
      INFO(name << " " << item.what);
      CHECK(item.kind == "photo");
      CHECK(item.ok());
      CHECK(item.absolute < 1e-3);  // decoders may differ by one level, those that we know do not
    }
  }
}

TEST_CASE("photos: one level in one byte is found", "[parity]") {
  using Names = std::set<std::string>;
  const std::string name = "photo-colour-1";
  CHECK(wrong(name, add_to_byte("crop.7", 100, 1)) == Names{"crops crop.7"});
  CHECK(wrong(name, add_to_byte("evaluation", 5, 1)) == Names{"evaluation evaluation"});
  CHECK(wrong(name, set_real("tensor", 9, 3)) == Names{"JPEG to tensor"});
  // Another decoder may be off by one level, not by two.
  CHECK(wrong(name, add_to_byte("pixels", 0, 1)).count("JPEG to pixels pixels") == 0);
  CHECK(wrong(name, add_to_byte("pixels", 0, 2)).count("JPEG to pixels pixels") == 1);
}

TEST_CASE("photos: each parameter of a crop matters", "[parity]") {
  const std::string name = "photo-colour-1";
  const auto state = read_safetensors(golden / (name + ".safetensors"));
  const auto rows = state.at("crops").to<double>();
  const auto at = [&](size_t crop, size_t column) { return rows.at(18 * crop + column); };
  size_t jittered = 0;
  while (at(jittered, 6) == 0) ++jittered;
  REQUIRE(jittered < 9);
  const auto changed = [&](size_t crop, size_t column, double value) {
    INFO("crop " << crop << ", column " << column);
    CHECK(wrong(name, set_real("crops", 18 * crop + column, value)) ==
          std::set<std::string>{str("crops crop.{}", crop)});
  };
  changed(0, 0, at(0, 0) == 0 ? 1 : at(0, 0) - 1);
  changed(0, 2, at(0, 2) - 1);
  changed(0, 3, at(0, 3) - 1);
  changed(0, 5, 1 - at(0, 5));
  for (const size_t column : {7u, 8u, 9u}) changed(jittered, column, 0.5);
  changed(jittered, 10, 0.3);
  changed(0, 15, 1 - at(0, 15));
  changed(0, 16, at(0, 16) + 1);
  changed(1, 17, 1 - at(1, 17));
}

TEST_CASE("photos: files that cannot be right are refused", "[parity]") {
  const auto refused = [](const std::string& name, const Change& change, const std::string& message) {
    CHECK_THROWS_WITH(items_of(name, change), contains("case.safetensors") && contains(message));
  };
  const std::string photo = "photo-colour-1", features = "features-tiny";
  refused(photo, replace("float32", "float64"), "files of this kind are float32");
  refused(photo, replace("\"size\": 24", "\"size\": 0"), "field size is 0");
  refused(photo, replace("\"size\": 24", "\"size\": 25"), "tensor evaluation is (24,24,3), dino computes 25 x 25");
  refused(photo, add_to_byte("jpeg", 0, 1), "not an image");
  refused(photo, set_real("crops", 0, 0.5), "column 0 of tensor crops is 0.5, expected a whole number");
  refused(photo, set_real("crops", 0, 52), "the box is");
  refused(photo, set_real("crops", 11, 4), "column 11 of tensor crops is 4");
  refused(photo, set_real("crops", 4, 23), "tensor crop.0 is (24,24,3), dino computes 23 x 23");
  refused(
      photo, [](StateDict& s) { s.tensors["pixels"] = s.tensors.at("crops"); }, "expected (height,width,3)");
  refused(
      photo, [](StateDict& s) { s.tensors["crops"] = s.tensors.at("tensor"); }, "expected (crops,18)");
  refused(
      photo, [](StateDict& s) { s.tensors["crop.10"] = s.tensors.at("crop.9"); }, "tensor crop.10 is not known");
  refused(features, replace("\"timm\"", "\"flax\""), "positions \"flax\": expected dino, timm or hugging-face");
  refused(features, replace("\"size\": 24", "\"size\": 23"), "field size is 23, the patch of the weights 4");
  refused(features, replace("\"size\": 24", "\"size\": 16"), "tensor tokens is (2,37,64), dino computes (2,17,64)");
  refused(features, replace("tiny.pth", "none.pth"), "features-none.pth");
}

TEST_CASE("photos: features of weights of others, with their rule for positions and with another", "[parity][golden]") {
  for (const auto& item : items_of("features-tiny", nothing)) CHECK(item.ok());
  CHECK(items_of("features-tiny", nothing).size() == 2);
  const std::set<std::string> all{"class token", "all tokens"};
  CHECK(wrong("features-tiny", replace("\"timm\"", "\"auto\"")) == all);
  CHECK(wrong("features-tiny", replace("\"timm\"", "\"dino\"")) == all);
  CHECK(wrong("features-tiny", replace("\"timm\"", "\"hugging-face\"")) == all);
}

#endif
