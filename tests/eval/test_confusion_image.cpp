#include <dino/eval/confusion_image.hpp>

#include "support/golden.hpp"
#include "support/temporary_folder.hpp"

using namespace dino;

namespace {

std::vector<std::string> names(i64 classes) {
  std::vector<std::string> out;
  for (i64 c = 0; c < classes; ++c) out.push_back("class " + std::to_string(c));
  return out;
}

/// Of `images` per class, a quarter is taken for the class that follows.
ClassificationMetrics quarter_wrong(i64 classes, i64 images) {
  ClassificationMetrics m(classes);
  for (i64 c = 0; c < classes; ++c)
    for (i64 i = 0; i < images; ++i) {
      std::vector<double> votes(static_cast<size_t>(classes), 0.0);
      votes[static_cast<size_t>(4 * i < images ? (c + 1) % classes : c)] = 1;
      m.add_votes(std::span<const double>(votes), c);
    }
  return m;
}

Colour pixel(const Image& image, i64 x, i64 y) {
  const u8* const p = image.at(x, y);
  return {p[0], p[1], p[2]};
}

}  // namespace

TEST_CASE("confusion image: cells have the colour of their share", "[eval]") {
  for (const i64 classes : {2, 10, 16, 17, 40, 41, 120, 121, 300}) {
    INFO(classes);
    const auto m = quarter_wrong(classes, 4);
    const detail::ConfusionLayout layout(classes);
    const auto image = confusion_image(m, names(classes));
    const i64 left = image.width - 20 - classes * layout.cell, top = image.height - 64 - classes * layout.cell;
    const bool wide = image.width > 360;  // a small matrix stands left of the text below it
    if (!wide) continue;
    for (const i64 c : {i64{0}, classes / 2, classes - 2}) {
      CHECK(pixel(image, left + c * layout.cell, top + c * layout.cell) == detail::share_colour(0.75));
      CHECK(pixel(image, left + (c + 1) * layout.cell, top + c * layout.cell) == detail::share_colour(0.25));
      if (c + 2 < classes)
        CHECK(pixel(image, left + (c + 2) * layout.cell, top + c * layout.cell) == detail::share_colour(0));
    }
  }
}

TEST_CASE("confusion image: colours go from white to dark without a step back", "[eval]") {
  CHECK(detail::share_colour(0) == Colour{255, 255, 255});
  CHECK(detail::share_colour(1) == Colour{8, 48, 107});
  CHECK(detail::share_colour(7) == detail::share_colour(1));
  for (int i = 0; i < 100; ++i) {
    const auto a = detail::share_colour(i / 100.0), b = detail::share_colour((i + 1) / 100.0);
    for (size_t k = 0; k < 3; ++k) CHECK(b[k] <= a[k]);
  }
}

TEST_CASE("confusion image: long names are cut, classes without images are grey", "[eval]") {
  CHECK(detail::shortened("Dandie Dinmont terrier", 14) == "Dandie Dinmont.");
  CHECK(detail::shortened("Dandie Dinmont terrier", 15) == "Dandie Dinmont.");
  CHECK(detail::shortened("\xc3\xa9t\xc3\xa9", 3) == "\xc3\xa9t\xc3\xa9");
  CHECK(detail::shortened("cat", 3) == "cat");
  ClassificationMetrics m(12);
  const auto image = confusion_image(m, std::vector<std::string>(12, std::string(200, 'x')));
  CHECK(image.width < 1000);
  CHECK(pixel(image, image.width - 20 - 40, image.height - 64 - 40) == detail::absent);
}

TEST_CASE("confusion image: three files", "[eval]") {
  TemporaryFolder folder;
  const auto m = quarter_wrong(10, 8);
  write_classification(folder.path, m, names(10));
  CHECK(read_text(folder / "confusion.csv", 10000) == confusion_csv(m, names(10)));
  CHECK(read_text(folder / "class_accuracy.csv", 10000) == class_accuracy_csv(m, names(10)));
  CHECK(read_file(folder / "confusion.png", 1 << 20) == encode_png(confusion_image(m, names(10))));
  CHECK_THROWS_WITH(write_classification(folder.path, m, names(9)), contains("9 names for 10 classes"));
}
