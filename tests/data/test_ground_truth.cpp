#include <dino/data/ground_truth.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

#include <fstream>

using namespace dino;
namespace fs = std::filesystem;

namespace {

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

const std::vector<std::string> classes = {"n01440764", "n01443537", "n01751748"};

}  // namespace

TEST_CASE("ground truth: numbers or class names in val.txt", "[data]") {
  const TemporaryFolder root;
  write(root / "val/ILSVRC2012_val_00000001.JPEG", "");
  CHECK_FALSE(labelled_by_file(root.path, "val", classes));
  write(root / "val/val.txt", "ILSVRC2012_val_00000001.JPEG 2\nILSVRC2012_val_00000002.JPEG 0\n");
  auto list = labelled_by_file(root.path, "val", classes);
  REQUIRE(list);
  CHECK(list->size() == 2);
  CHECK(list->label(0) == 2);
  CHECK(list->classes() == classes);
  CHECK(list->title() == (root / "val/val.txt").string());
  write(root / "val.txt", "ILSVRC2012_val_00000001.JPEG n01443537\n");  // the one in the root goes first
  list = labelled_by_file(root.path, "val", classes);
  REQUIRE(list);
  CHECK(list->label(0) == 1);
  write(root / "val.txt", "ILSVRC2012_val_00000001.JPEG 3\n");
  CHECK_THROWS_WITH(labelled_by_file(root.path, "val", classes),
                    Catch::EndsWith("val.txt:1: label 3, but there are 3 classes. Labels count from 0"));
}

TEST_CASE("ground truth: Kaggle's table of objects, of which the first is the label", "[data]") {
  const TemporaryFolder root;
  write(root / "val/ILSVRC2012_val_00000007.JPEG", "");
  write(root / "LOC_val_solution.csv",
        "ImageId,PredictionString\r\n"
        "ILSVRC2012_val_00000007,n01751748 85 1 499 272 n01751748 1 1 2 2 \r\n"
        "ILSVRC2012_val_00000003,n01440764\r\n");
  const auto list = labelled_by_file(root.path, "val", classes);
  REQUIRE(list);
  REQUIRE(list->size() == 2);
  CHECK(list->name(0) == "ILSVRC2012_val_00000007.JPEG");
  CHECK(list->label(0) == 2);
  CHECK(list->label(1) == 0);
  write(root / "LOC_val_solution.csv", "ImageId,PredictionString\nnothing\n");
  CHECK_THROWS_WITH(labelled_by_file(root.path, "val", classes),
                    Catch::EndsWith("LOC_val_solution.csv:2: \"nothing\" has no comma. Expected IMAGE,WNID ..."));
}
