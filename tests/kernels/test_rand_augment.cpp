#include <dino/kernels/cpu/rand_augment.hpp>

#include "support/augment_golden.hpp"
#include "support/catch.hpp"

using namespace dino;
using namespace dino::kernels;

namespace {

constexpr std::array<u8, 3> fill{124, 116, 104};

PixelsArgs args(Image& image) { return {image.pixels.data(), image.width, image.height}; }

Image picture_of(const augment_golden::Json& c) {
  auto image = augment_golden::picture_of(c);
  if (c["narrow"].get<bool>()) {
    for (u8& v : image.pixels) v = static_cast<u8>(v / 4 + 40);
  }
  return image;
}

void apply(const std::string& op, const PixelsArgs& a, double amount) {
  std::vector<u8> scratch;
  const double width = static_cast<double>(a.width), height = static_cast<double>(a.height);
  if (op == "auto_contrast") return auto_contrast(a);
  if (op == "equalize") return equalize(a);
  if (op == "invert") return invert(a);
  if (op == "posterize") return posterize(a, static_cast<i64>(amount));
  if (op == "solarize") return solarize(a, static_cast<i64>(amount));
  if (op == "solarize_add") return solarize_add(a, static_cast<i64>(amount));
  if (op == "sharpness") return adjust_sharpness(a, static_cast<float>(amount), scratch);
  if (op == "rotate") return transform_affine(a, rotation_matrix(amount, a.width, a.height), fill, scratch);
  if (op == "shear_x") return transform_affine(a, {.b = amount}, fill, scratch);
  if (op == "shear_y") return transform_affine(a, {.d = amount}, fill, scratch);
  if (op == "translate_x") return transform_affine(a, {.c = amount * width}, fill, scratch);
  REQUIRE(op == "translate_y");
  transform_affine(a, {.f = amount * height}, fill, scratch);
}

}  // namespace

TEST_CASE("rand_augment: every operation equals Pillow bit for bit", "[kernels][golden]") {
  CHECK(augment_golden::file()["rand_augment"].size() == 144);
  for (const auto& c : augment_golden::cases("rand_augment")) {
    INFO(c.dump().substr(0, 200));
    auto image = picture_of(c);
    apply(c["op"].get<std::string>(), args(image), c["amount"].get<double>());
    CHECK(augment_golden::matches(c, image.pixels));
  }
}

TEST_CASE("rand_augment: a turn of nothing and a full one change nothing", "[kernels]") {
  for (const double degrees : {0.0, 360.0, -720.0}) {
    auto image = augment_golden::picture(3, 17, 9);
    const auto before = image;
    std::vector<u8> scratch;
    transform_affine(args(image), rotation_matrix(degrees, 17, 9), fill, scratch);
    CHECK(image == before);
  }
}

TEST_CASE("rand_augment: a picture moved out of sight is all fill", "[kernels]") {
  auto image = augment_golden::picture(4, 5, 3);
  std::vector<u8> scratch;
  transform_affine(args(image), {.c = 5}, fill, scratch);
  for (size_t i = 0; i < image.pixels.size(); ++i) CHECK(image.pixels[i] == fill[i % 3]);
}

TEST_CASE("rand_augment: one colour is left alone by what stretches", "[kernels]") {
  Image image(7, 7);
  for (u8& v : image.pixels) v = 77;
  const auto before = image;
  auto_contrast(args(image));
  equalize(args(image));
  CHECK(image == before);
}

TEST_CASE("rand_augment: bits that no byte has are refused", "[kernels]") {
  Image image(1, 1);
  CHECK_THROWS_WITH(posterize(args(image), 9), "posterize: 9 bits");
  CHECK_THROWS_WITH(posterize(args(image), -1), "posterize: -1 bits");
}
