#include <dino/data/image_list.hpp>
#include <dino/io/image_write.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

#include <fstream>

using namespace dino;
namespace fs = std::filesystem;

namespace {

using Names = std::vector<std::string>;

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

std::string refusal(const fs::path& file, const Names& classes = {}) {
  try {
    ImageList(file, classes);
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::data);
    return e.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("image list: numbers are labels, paths may have blanks, tabs and carriage returns are no part of them",
          "[data]") {
  const TemporaryFolder root;
  write(root / "a b/1.jpg", "");
  write(root / "list.txt", "a b/1.jpg 2\r\n\nb.png\t0\n  c.jpg   1  \nlabel 7.jpg 10");
  const ImageList list(root / "list.txt");
  REQUIRE(list.size() == 4);
  CHECK(list.name(0) == "a b/1.jpg");
  CHECK(list.name(1) == "b.png");
  CHECK(list.name(2) == "c.jpg");
  CHECK(list.name(3) == "label 7.jpg");
  CHECK(list.label(0) == 2);
  CHECK(list.label(1) == 0);
  CHECK(list.label(3) == 10);
  REQUIRE(list.classes().size() == 11);
  CHECK(list.classes()[10] == "10");
  CHECK(AnyDataset(list).describe() == (root / "list.txt").string() + ", 4 images, 11 classes");
}

TEST_CASE("image list: words are classes, in bytewise order", "[data]") {
  const TemporaryFolder root;
  write(root / "1.jpg", "");
  write(root / "list.txt", "1.jpg dog\n2.jpg Zebra\n3.jpg cat\n4.jpg dog\n");
  const ImageList list(root / "list.txt");
  CHECK(list.classes() == Names{"Zebra", "cat", "dog"});
  CHECK(list.label(0) == 2);
  CHECK(list.label(1) == 0);
  CHECK(list.label(3) == 2);
  CHECK(ImageList(root / "list.txt", {"dog", "cat", "Zebra", "cow"}).label(0) == 0);
}

TEST_CASE("image list: names of numbered classes stand beside it", "[data]") {
  const TemporaryFolder root;
  write(root / "1.jpg", "");
  write(root / "list.txt", "1.jpg 1\n");
  write(root / "classes.txt", "crane\ncrane\ntench\n");  // two classes may be called alike
  const ImageList list(root / "list.txt");
  CHECK(list.classes() == Names{"crane", "crane", "tench"});
  CHECK(list.label(0) == 1);
  write(root / "list.txt", "1.jpg 3\n");
  CHECK(refusal(root / "list.txt") ==
        (root / "list.txt").string() + ":1: label 3, but there are 3 classes. Labels count from 0");
}

TEST_CASE("image list: without labels", "[data]") {
  const TemporaryFolder root;
  write(root / "my cat.jpg", "");
  write(root / "list.txt", "my cat.jpg\nx.BMP\n");
  const ImageList list(root / "list.txt");
  CHECK(list.name(0) == "my cat.jpg");
  CHECK(list.label(0) == -1);
  CHECK_FALSE(AnyDataset(list).labelled());
}

TEST_CASE("image list: pictures are read from the list's folder, from the one called like it, or from anywhere",
          "[data]") {
  const TemporaryFolder root, elsewhere;
  Image image(3, 2);
  image.pixels.assign(image.pixels.size(), 77);
  fs::create_directories(root / "train/n1");
  write_png(root / "train/n1/a.JPEG", image);  // a PNG, whatever its name says
  write(root / "train.txt", "n1/a.JPEG 0\n");
  write(root / "list.txt", (root / "train/n1/a.JPEG").string() + " 0\nn1/gone.jpg 0\n");
  CHECK(ImageList(root / "train.txt").get(0).image == image);
  CHECK(ImageList(root / "train.txt").get(0).label == 0);
  CHECK(ImageList(root / "list.txt").get(0).image == image);
  CHECK_THROWS_WITH(ImageList(root / "list.txt").get(1), Catch::Contains("n1/gone.jpg: no such file"));
  fs::rename(root / "train", root / "other");
  CHECK(refusal(root / "train.txt") ==
        (root / "train.txt").string() + ":1: no such file: " + (root / "n1/a.JPEG").string() +
            ". Paths are relative to the folder of the list");
}

TEST_CASE("image list: what is wrong is named with file and line", "[data]") {
  const TemporaryFolder root;
  write(root / "1.jpg", "");
  const fs::path list = root / "list.txt";
  const std::string at = list.string();
  write(list, "\n\n");
  CHECK(refusal(list) == at + ": no lines. Expected PATH LABEL, one picture a line");
  write(list, "1.jpg 0\nnotes\n");
  CHECK(refusal(list) ==
        at + ":2: \"notes\" names no picture. Expected PATH LABEL, or a path that ends in .jpg, .jpeg, .png or .bmp");
  write(list, "1.jpg 0\n\n2.jpg\n");
  CHECK(refusal(list) == at + ":3: no label, but line 1 has one. Give every picture one, or none");
  write(list, "1.jpg\n2.jpg 4\n");
  CHECK(refusal(list) == at + ":2: a label, but line 1 has none. Give every picture one, or none");
  write(list, "1.jpg a\n2.jpg d\n");
  CHECK(refusal(list, {"a", "b"}) == at + ":2: unknown class \"d\". The classes are a, b");
  write(list, "1.jpg 2\n");
  CHECK(refusal(list, {"a", "b"}) == at + ":1: label 2, but there are 2 classes. Labels count from 0");
  write(list, "1.jpg -1\n");
  CHECK(refusal(list, {"a", "b"}) == at + ":1: unknown class \"-1\". The classes are a, b");
  write(list, "1.jpg 999999999\n");
  CHECK(refusal(list) == "a label is 999999999; there may be 1000000 classes, counted from 0");
}
