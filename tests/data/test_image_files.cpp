#include <dino/data/image_files.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace dino;

TEST_CASE("image files: the order is that of the names given", "[data]") {
  const TemporaryFolder folder;
  std::vector<std::string> paths;
  for (const char* name : {"b.png", "a.png", "b.png"}) {
    const auto path = folder / name;
    Image image(2, 3);
    image.pixels[0] = static_cast<u8>(name[0]);
    write_png(path, image);
    paths.push_back(path.string());
  }
  const AnyDataset files = ImageFiles(paths);
  REQUIRE(files.size() == 3);
  CHECK_FALSE(files.labelled());
  CHECK(files.describe() == "files, 3 images, no labels");
  for (i64 i = 0; i < 3; ++i) {
    CHECK(files.name(i) == paths[static_cast<size_t>(i)]);
    CHECK(files.label(i) == -1);
#if DINO_HAS_STB
    const auto sample = files.get(i);
    CHECK(sample.image.pixels[0] == static_cast<u8>(i == 1 ? 'a' : 'b'));
    CHECK(sample.label == -1);
#endif
  }
}

TEST_CASE("image files: what is missing or a folder is refused at once, what is broken when it is read", "[data]") {
  const TemporaryFolder folder;
  const auto broken = (folder / "broken.png").string();
  std::ofstream(broken) << "no picture";
  CHECK_THROWS_WITH(ImageFiles({broken, "no/such.png"}), "no/such.png: no such file");
  const auto path = folder.path.string();
  CHECK_THROWS_WITH(ImageFiles({path}), path + " is a folder, expected a picture. A folder is given as --data " + path);
  const AnyDataset files = ImageFiles({broken});
  CHECK_THROWS_WITH(files.get(0), contains(broken + ": not an image"));
}
