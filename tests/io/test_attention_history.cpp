#include <dino/io/attention_history.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace dino;

namespace {

const Shape shape{2, 3, 3};

/// Two pictures whose maps have one bright patch each.
std::vector<float> bright(size_t first, size_t second) {
  std::vector<float> maps(18, 0.1f);
  maps[first] = maps[9 + second] = 0.5f;
  return maps;
}

std::array<u8, 3> pixel(const Image& image, i64 x, i64 y) {
  return {image.at(x, y)[0], image.at(x, y)[1], image.at(x, y)[2]};
}

std::vector<i64> steps(const std::vector<AttentionRecord>& records) {
  std::vector<i64> out;
  for (const auto& r : records) out.push_back(r.step);
  return out;
}

}  // namespace

TEST_CASE("attention_history: numbers are spread from the first to the last", "[io]") {
  CHECK(evenly_spread(5, 9) == std::vector<i64>{0, 1, 2, 3, 4});
  CHECK(evenly_spread(9, 3) == std::vector<i64>{0, 4, 8});
  CHECK(evenly_spread(100, 12).size() == 12);
  CHECK(evenly_spread(100, 12).back() == 99);
  CHECK(evenly_spread(4, 1) == std::vector<i64>{0});
  CHECK(evenly_spread(0, 3).empty());
  CHECK(evenly_spread(3, 0).empty());
}

TEST_CASE("attention_history: what is kept comes back in the order of the steps", "[io]") {
  const TemporaryFolder folder;
  const auto at = folder.path / "report" / "attention";
  CHECK(kept_attention(at, shape, 1000, 12).empty());
  for (const i64 step : {100, 0, 20, 3}) keep_attention(at, step, shape, bright(static_cast<size_t>(step % 9), 0));
  const auto all = kept_attention(at, shape, 1000, 12);
  REQUIRE(steps(all) == std::vector<i64>{0, 3, 20, 100});
  for (const auto& record : all) CHECK(record.maps == bright(static_cast<size_t>(record.step % 9), 0));
  // A run that goes on from step 20 has not been at step 100; a step that is reached again is written again.
  CHECK(steps(kept_attention(at, shape, 20, 12)) == std::vector<i64>{0, 3, 20});
  keep_attention(at, 20, shape, bright(8, 8));
  CHECK(kept_attention(at, shape, 20, 12).back().maps == bright(8, 8));
  CHECK(steps(kept_attention(at, shape, 1000, 3)) == std::vector<i64>{0, 3, 100});
}

TEST_CASE("attention_history: other files and other shapes are passed over", "[io]") {
  const TemporaryFolder folder;
  keep_attention(folder.path, 7, shape, bright(0, 0));
  keep_attention(folder.path, 8, {1, 3, 3}, std::vector<float>(9));
  write_npy(folder.path / "step_9.npy", shape, std::vector<double>(18));
  for (const char* name : {"step_10.npy", "step_x.npy", "step_-1.npy", "step_.npy", "step_11.npy.bak", "step_1 .npy"})
    write_file_atomic(folder.path / name, "no array");
  CHECK(steps(kept_attention(folder.path, shape, 1000, 12)) == std::vector<i64>{7});
}

TEST_CASE("attention_history: a sheet has the pictures above their maps", "[io]") {
  Image red(5, 5), blue(72, 72);
  for (i64 i = 0; i < 25; ++i) red.pixels[static_cast<size_t>(3 * i)] = 200;
  for (size_t i = 2; i < blue.pixels.size(); i += 3) blue.pixels[i] = 250;
  const std::vector<AttentionRecord> records{{0, bright(0, 8)}, {5, bright(4, 4)}};
  const auto sheet = attention_sheet({red, blue}, shape, records, {"ep 0", "ep 5"});
  const i64 tile = 72, gap = 6, left = sheet.width - 2 * (tile + gap);  // 24 pixels for each patch
  REQUIRE(sheet.height == gap + 3 * (tile + gap));
  CHECK(pixel(sheet, left + 30, gap + 30) == std::array<u8, 3>{200, 0, 0});
  CHECK(pixel(sheet, left + tile + gap + 30, gap + 30) == std::array<u8, 3>{0, 0, 250});
  const auto map = [&](i64 row, i64 picture, i64 y, i64 x) {
    return pixel(sheet, left + picture * (tile + gap) + 24 * x + 1, gap + (1 + row) * (tile + gap) + 24 * y + 1);
  };
  const auto low = color_map("viridis")(0), high = color_map("viridis")(1);
  CHECK(map(0, 0, 0, 0) == high);
  CHECK(map(0, 0, 2, 2) == low);
  CHECK(map(0, 1, 2, 2) == high);
  CHECK(map(0, 1, 0, 0) == low);
  CHECK(map(1, 0, 1, 1) == high);
  CHECK(attention_sheet({red, blue}, shape, {}, {}).height == gap + tile + gap);
  CHECK_THROWS_AS(attention_sheet({red}, shape, records, {"", ""}), Error);
  CHECK_THROWS_AS(attention_sheet({red, blue}, shape, records, {""}), Error);
  CHECK_THROWS_AS(attention_sheet({red, blue}, shape, {{0, {1}}}, {""}), Error);
  CHECK_THROWS_AS(attention_sheet({}, shape, {}, {}), Error);
}
