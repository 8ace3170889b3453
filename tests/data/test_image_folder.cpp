#include <dino/data/image_folder.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

#include <fstream>

using namespace dino;
namespace fs = std::filesystem;

namespace {

using Names = std::vector<std::string>;

void touch(const fs::path& path) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path);
  REQUIRE(file.good());
}

Names names(const ImageFolder& folder) {
  Names out;
  for (i64 i = 0; i < folder.size(); ++i) out.push_back(folder.name(i));
  return out;
}

std::string refusal(const fs::path& root, const std::string& split, const Names& classes = {}) {
  try {
    ImageFolder(root, split, classes);
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::data);
    return e.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("image folder: folders are classes, in bytewise order", "[data]") {
  const TemporaryFolder root;
  for (const char* file : {"dog/2.JPG", "dog/10.jpeg", "cat/a.png", "Zebra/x.BMP", "cat-2/b.Jpeg", "cat/notes.txt"}) {
    touch(root / file);
  }
  const ImageFolder folder(root.path, "");
  CHECK(folder.classes() == Names{"Zebra", "cat", "cat-2", "dog"});
  CHECK(names(folder) == Names{"Zebra/x.BMP", "cat/a.png", "cat-2/b.Jpeg", "dog/10.jpeg", "dog/2.JPG"});
  const AnyDataset any = folder;
  CHECK(any.label(0) == 0);
  CHECK(any.label(2) == 2);
  CHECK(any.label(4) == 3);
  CHECK(any.kind() == "folder");
  CHECK(any.describe() == root.path.string() + ", 5 images, 4 classes");
}

TEST_CASE("image folder: a split is named in its title and in the names of its images", "[data]") {
  const TemporaryFolder root;
  touch(root / "val/b/1.png");
  touch(root / "val/c/1.png");
  const ImageFolder folder(root.path, "val", {"a", "b", "c"});
  CHECK(folder.title() == (root / "val").string());
  CHECK(folder.name(0) == "val/b/1.png");
  CHECK(folder.label(0) == 1);
  CHECK(folder.label(1) == 2);
  CHECK(folder.classes().size() == 3);
}

TEST_CASE("image folder: flat, nested and mixed folders are unlabelled", "[data]") {
  const TemporaryFolder root;
  touch(root / "flat/b.png");
  touch(root / "flat/a.jpg");
  touch(root / "one/only/a.jpg");
  touch(root / "deep/a/b/c.jpg");
  touch(root / "deep/a/a.jpg");
  touch(root / "deep/z/a.jpg");
  touch(root / "mixed/cover.jpg");
  touch(root / "mixed/a/1.jpg");
  touch(root / "mixed/b/1.jpg");
  CHECK(names(ImageFolder(root.path, "flat")) == Names{"flat/a.jpg", "flat/b.png"});
  CHECK(names(ImageFolder(root / "deep", "")) == Names{"a/a.jpg", "a/b/c.jpg", "z/a.jpg"});
  for (const char* split : {"flat", "one", "deep", "mixed"}) {
    const ImageFolder folder(root.path, split);
    CAPTURE(split);
    CHECK(folder.classes().empty());
    CHECK(folder.label(0) == -1);
  }
}

TEST_CASE("image folder: hidden files, other files and dangling links are left out", "[data]") {
  const TemporaryFolder root;
  touch(root / "a.jpg");
  touch(root / "._a.jpg");
  touch(root / ".cache/b.jpg");
  touch(root / "c.webp");
  touch(root / "jpg");
  fs::create_symlink("nowhere.jpg", root / "d.jpg");
  fs::create_directory(root / "folder.png");
  CHECK(names(ImageFolder(root.path, "")) == Names{"a.jpg"});
}

TEST_CASE("image folder: links to folders are followed, but not in circles", "[data]") {
  const TemporaryFolder root, elsewhere;
  touch(elsewhere / "x/1.jpg");
  touch(root / "a/2.jpg");
  fs::create_directory_symlink(elsewhere / "x", root / "b");
  fs::create_directory_symlink("..", root / "a/up");
  fs::create_directory_symlink(root / "a", elsewhere / "x/back");
  const FolderScan scan = scan_folder(root.path);
  CHECK(scan.images == Names{"a/2.jpg", "b/1.jpg", "b/back/2.jpg"});
}

TEST_CASE("image folder: names may have spaces, other encodings and 300 characters", "[data]") {
  const TemporaryFolder root;
  const std::string odd = "sp ace/\xff\xfe {}.jpg", deep = std::string(150, 'x') + "/" + std::string(150, 'y') + ".jpg";
  touch(root / odd);
  touch(root / deep);
  const ImageFolder folder(root.path, "");
  CHECK(names(folder) == Names{odd, deep});
  CHECK(folder.classes()[0] == "sp ace");
}

TEST_CASE("image folder: what is missing is said, with what was found", "[data]") {
  const TemporaryFolder root;
  fs::create_directory(root / "empty");
  for (const char* file : {"zips/a.zip", "zips/b.ZIP", "zips/readme.txt", "zips/x/LICENSE"}) touch(root / file);
  CHECK(refusal(root.path, "zips") ==
        "no images under " + (root / "zips").string() +
            ". Expected zips/<class>/*.jpg, or pictures without classes (jpg, png, bmp); found 2 .zip, 1 .txt, 1 file "
            "without extension");
  CHECK(refusal(root / "empty", "") ==
        "no images under " + (root / "empty").string() +
            ". Expected <class>/*.jpg, or pictures without classes (jpg, png, bmp); found nothing");
  const std::string missing = refusal(root.path, "nowhere");
  CHECK(missing.rfind("cannot read the folder " + (root / "nowhere").string() + ": ", 0) == 0);
}

TEST_CASE("image folder: empty and unknown class folders are named", "[data]") {
  const TemporaryFolder root;
  for (const char* file : {"a/1.jpg", "b/1.jpg", "d/1.webp"}) touch(root / file);
  fs::create_directory(root / "c");
  const std::string title = root.path.string();
  CHECK(refusal(root.path, "") == "class folders without images in " + title + ": c, d. Fill or remove them");
  fs::remove_all(root / "c");
  CHECK(refusal(root.path, "") == "class folder without images in " + title + ": d. Fill or remove it");
  fs::remove_all(root / "d");
  CHECK(refusal(root.path, "") == "accepted");
  CHECK(refusal(root.path, "", {"b", "c"}) == "class folder in " + title + " that the training images do not have: a");
}

TEST_CASE("image folder: a file that is no picture is refused by its relative name", "[data]") {
  const TemporaryFolder root;
  fs::create_directories(root / "train");
  std::ofstream(root / "train/a.jpg") << "<html>";
  const AnyDataset dataset = ImageFolder(root.path, "train");
  CHECK_THROWS_WITH(dataset.get(0), "train/a.jpg: not an image (starts with \"<html>\")");
  fs::remove(root / "train/a.jpg");
  CHECK_THROWS_AS(dataset.get(0), Error);
}

#if DINO_HAS_STB
TEST_CASE("image folder: pictures are told by their contents, not by their extension", "[data]") {
  const TemporaryFolder root;
  Image image(3, 2);
  image.pixels[4] = 77;
  fs::create_directories(root / "a");
  fs::create_directories(root / "b");
  write_png(root / "a/really_png.JPEG", image);
  write_png(root / "b/x.png", Image(1, 1));
  const AnyDataset dataset = ImageFolder(root.path, "");
  const Sample sample = dataset.get(0);
  CHECK(sample.image == image);
  CHECK(sample.label == 0);
  CHECK(sample.name == "a/really_png.JPEG");
}
#endif
