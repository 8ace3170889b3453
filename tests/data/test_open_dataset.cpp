#include <dino/data/open_dataset.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

#include <fstream>
#include <set>

using namespace dino;
namespace fs = std::filesystem;

namespace {

void touch(const fs::path& path, size_t bytes = 0) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << std::string(bytes, '\0');
}

OpenedData open(const fs::path& path, const std::string& kind = "auto") {
  DatasetOptions options;
  options.kind = kind;
  return open_dataset(path.string(), options);
}

std::string refusal(const fs::path& path, const std::string& kind = "auto") {
  try {
    open(path, kind);
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::data);
    CHECK(std::string(e.what()).find('\n') == std::string::npos);
    return e.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("open dataset: the word synthetic needs no files", "[data]") {
  DatasetOptions options;
  options.synthetic_train = 200;
  options.synthetic_test = 30;
  options.image_size = 48;
  options.seed = 7;
  const OpenedData data = open_dataset("synthetic", options);
  CHECK(data.kind == "synthetic");
  CHECK(data.description == "synthetic 48x48, 200 images, 10 classes, 30 test images");
  CHECK(data.train.get(3).image == Synthetic(7, Split::train, 200, 48).get(3).image);
  CHECK(data.test->get(3).image == Synthetic(7, Split::test, 30, 48).get(3).image);
}

TEST_CASE("open dataset: CIFAR is recognised by its files", "[data]") {
  const TemporaryFolder root;
  touch(root / "ten/cifar-10-batches-bin/data_batch_1.bin", 4 * 3073);
  touch(root / "ten/cifar-10-batches-bin/test_batch.bin", 2 * 3073);
  touch(root / "hundred/train.bin", 3074);
  const OpenedData ten = open(root / "ten");
  CHECK(ten.kind == "cifar-10");
  CHECK(ten.description == "CIFAR-10, 4 images, 10 classes, 2 test images");
  CHECK(ten.notes.size() == 3);
  CHECK(open(root / "ten/cifar-10-batches-bin", "cifar-10").train.size() == 4);
  CHECK(open(root / "hundred").kind == "cifar-100");
  CHECK_FALSE(open(root / "hundred").test);
}

TEST_CASE("open dataset: of two kinds in one folder, one must be chosen", "[data]") {
  const TemporaryFolder root;
  touch(root / "data_batch_1.bin", 3073);
  touch(root / "train.bin", 3074);
  CHECK(refusal(root.path) == root.path.string() + " holds CIFAR-10 and CIFAR-100: choose one with --dataset");
  CHECK(open(root.path, "cifar-100").kind == "cifar-100");
  CHECK(open(root.path, "cifar-10").kind == "cifar-10");
}

TEST_CASE("open dataset: train with val or test, val first", "[data]") {
  const TemporaryFolder root;
  for (const char* file : {"train/a/1.jpg", "train/b/1.jpg", "train/b/2.jpg", "test/a/1.jpg"}) touch(root / file);
  OpenedData data = open(root.path);
  CHECK(data.kind == "folder");
  CHECK(data.train.size() == 3);
  REQUIRE(data.test);
  CHECK(data.test->name(0) == "test/a/1.jpg");
  CHECK(data.notes == std::vector<std::string>{"test/ has 1 of 2 classes"});
  CHECK(data.description == (root / "train").string() + ", 3 images, 2 classes, 1 test images");
  touch(root / "val/b/7.jpg");
  touch(root / "val/a/7.jpg");
  data = open(root.path);
  CHECK(data.test->name(1) == "val/b/7.jpg");
  CHECK(data.test->label(1) == 1);
  CHECK(data.notes.empty());
  touch(root / "val/c/7.jpg");
  CHECK(refusal(root.path) ==
        "class folder in " + (root / "val").string() + " that the training images do not have: c");
}

TEST_CASE("open dataset: a split without labels or images is left out, with a note", "[data]") {
  const TemporaryFolder root;
  touch(root / "train/a/1.jpg");
  touch(root / "train/b/1.jpg");
  touch(root / "val/1.jpg");
  OpenedData data = open(root.path);
  CHECK_FALSE(data.test);
  CHECK(data.notes ==
        std::vector<std::string>{"val/ is not used: its images have no labels, expected val/<class>/*.jpg, or "
                                 "val.txt with lines NAME CLASS"});
  fs::remove(root / "val/1.jpg");
  touch(root / "val/labels.csv");
  CHECK(open(root.path).notes == std::vector<std::string>{"val/ is not used: no images, found 1 .csv"});
  touch(root / "train/1.jpg");
  data = open(root.path);
  CHECK_FALSE(data.train.labelled());
  CHECK(data.notes == std::vector<std::string>{"val/ is not used: train/ has no labels"});
}

TEST_CASE("open dataset: class folders, and pictures without classes", "[data]") {
  const TemporaryFolder root;
  touch(root / "classes/a/1.jpg");
  touch(root / "classes/b/1.jpg");
  touch(root / "flat/1.jpg");
  touch(root / "nested/x/y/1.jpg");
  touch(root / "nested/z/1.jpg");
  CHECK(open(root / "classes").description == (root / "classes").string() + ", 2 images, 2 classes");
  CHECK(open(root / "flat").description == (root / "flat").string() + ", 1 image, no labels");
  CHECK(open(root / "nested").notes == std::vector<std::string>{"no labels: not every image lies in <class>/<file>"});
  CHECK(open(root / "flat", "imagenet-1k").kind == "imagenet-1k");
}

TEST_CASE("open dataset: ImageNet is recognised by its thousand folders", "[data]") {
  std::vector<std::string> classes;
  for (int k = 0; k < 1000; ++k) classes.push_back("n" + std::to_string(10000000 + k));
  CHECK(detail::is_imagenet(classes));
  classes[7] = "n1000000x";
  CHECK_FALSE(detail::is_imagenet(classes));
  CHECK_FALSE(detail::is_imagenet({"n10000000"}));
}

TEST_CASE("open dataset: every refusal says what was found and what is expected", "[data]") {
  const TemporaryFolder root;
  const std::string at = root.path.string();
  CHECK(refusal("") == "no data named. Expected a folder or the word synthetic");
  CHECK(refusal(root / "nope") ==
        at + "/nope: no such folder. Expected a folder of images, the binary files of CIFAR, or the word synthetic");
  CHECK(refusal(root / "cifar-10") ==
        at + "/cifar-10: no such folder. Get it with tools/get_data.py cifar-10, or cifar-10-binary.tar.gz from "
             "https://www.cs.toronto.edu/~kriz/cifar.html");
  CHECK(refusal(root.path) ==
        "no images under " + at +
            ". Expected train/<class>/*.jpg, <class>/*.jpg, or pictures without classes (jpg, png, "
            "bmp); found nothing");
  touch(root / "list.json");
  touch(root / "cifar-10-binary.tar.gz");
  CHECK(refusal(root / "list.json") ==
        at + "/list.json is a file, expected a folder, or a list (.txt, .lst). Name the folder that holds the data");
  CHECK(refusal(root / "cifar-10-binary.tar.gz") ==
        at + "/cifar-10-binary.tar.gz is a file, expected a folder, or a list (.txt, .lst). Unpack it first");
  touch(root / "imagenet/train/a.zip");
  touch(root / "imagenet/ILSVRC2012/train/a/1.jpg");
  CHECK(refusal(root / "imagenet") == "no images under " + at +
                                          "/imagenet/train. Expected train/<class>/*.jpg; found 1 .zip. Did you mean " +
                                          at + "/imagenet/ILSVRC2012?");
  fs::remove_all(root / "imagenet/train");
  CHECK(open(root / "imagenet").notes.empty());  // a picture in folders called train
  touch(root / "imagenet/ILSVRC2012/val/a/1.jpg");
  CHECK(refusal(root / "imagenet") ==
        at + "/imagenet holds neither train/ nor class folders. Did you mean " + at + "/imagenet/ILSVRC2012?");
  touch(root / "python/data_batch_1");
  CHECK(refusal(root / "python") == at + "/python holds the Python version of CIFAR-10, the binary one is read. Get it "
                                         "with tools/get_data.py cifar-10, or cifar-10-binary.tar.gz from "
                                         "https://www.cs.toronto.edu/~kriz/cifar.html");
  touch(root / "flat/1.jpg");
  CHECK(refusal(root / "flat", "cifar-10") ==
        at + "/flat: no CIFAR-10 here, expected data_batch_1.bin to data_batch_5.bin. Get it with tools/get_data.py "
             "cifar-10, or cifar-10-binary.tar.gz from "
             "https://www.cs.toronto.edu/~kriz/cifar.html");
}

TEST_CASE("open dataset: a flat validation folder takes its labels from a file", "[data]") {
  const TemporaryFolder root;
  for (const char* file : {"train/n1/1.jpg", "train/n2/1.jpg", "val/a.JPEG", "val/b.JPEG"}) touch(root / file);
  touch(root / "ILSVRC2012_validation_ground_truth.txt");
  CHECK(open(root.path).notes ==
        std::vector<std::string>{"val/ is not used: ILSVRC2012_validation_ground_truth.txt numbers the classes as "
                                 "the devkit's meta.mat does, not as the folders; expected val.txt with lines NAME "
                                 "WNID"});
  std::ofstream(root / "val.txt") << "b.JPEG 1\n";
  const OpenedData data = open(root.path);
  REQUIRE(data.test);
  CHECK(data.test->label(0) == 1);
  CHECK(data.test->name(0) == "b.JPEG");
  CHECK(data.notes == std::vector<std::string>{(root / "val.txt").string() + " names 1 images, val/ holds 2"});
}

TEST_CASE("open dataset: lists of pictures", "[data]") {
  const TemporaryFolder root;
  touch(root / "pictures/1.jpg");
  std::ofstream(root / "train.txt") << "pictures/1.jpg b\npictures/2.jpg a\n";
  CHECK_FALSE(open(root / "train.txt").test);
  std::ofstream(root / "val.txt") << "pictures/1.jpg a\n";
  for (const fs::path& path : {root / "train.txt", root.path}) {
    const OpenedData data = open(path);
    CHECK(data.kind == "list");
    CHECK(data.train.size() == 2);
    REQUIRE(data.test);
    CHECK(data.test->label(0) == 0);
    CHECK(data.description == (root / "train.txt").string() + ", 2 images, 2 classes, 1 test images");
  }
  CHECK_FALSE(open(root / "val.txt").test);
}

TEST_CASE("open dataset: CIFAR as pictures in class folders", "[data]") {
  const TemporaryFolder root;
  for (const char* name : {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship"}) {
    touch(root / "train" / name / "0.png");
    touch(root / "test" / name / "0.png");
  }
  CHECK(refusal(root.path, "cifar-10") == root.path.string() +
                                              ": 9 classes, cifar-10 has 10. Leave --dataset out, or name the folder "
                                              "that holds all classes");
  touch(root / "train/truck/0.png");
  const OpenedData data = open(root.path, "cifar-10");
  CHECK(data.kind == "cifar-10");
  CHECK(data.train.classes() == detail::cifar10_classes());
  REQUIRE(data.test);
  CHECK(open(root.path).kind == "folder");
}

TEST_CASE("open dataset: held-out images are a seeded tenth, and the rest stays for training", "[data]") {
  const AnyDataset whole = Synthetic(0, Split::train, 50, 16);
  const HeldOut parts = hold_out(whole, 3, 0.1);
  REQUIRE(parts.test.size() == 5);
  REQUIRE(parts.train.size() == 45);
  std::set<std::string> all;
  for (i64 i = 0; i < 5; ++i) all.insert(parts.test.name(i));
  for (i64 i = 0; i < 45; ++i) all.insert(parts.train.name(i));
  CHECK(all.size() == 50);
  CHECK(fingerprint(hold_out(whole, 3, 0.1).test) == fingerprint(parts.test));
  CHECK(fingerprint(hold_out(whole, 4, 0.1).test) != fingerprint(parts.test));
  CHECK(hold_out(whole.first(2), 0, 0.1).test.size() == 1);
  CHECK_THROWS_WITH(hold_out(whole.first(1), 0, 0.1),
                    "synthetic 16x16: 1 image cannot be divided into training and test");
  CHECK_THROWS_WITH(hold_out(whole, 0, 1.5), "held-out fraction 1.5 is not between 0 and 1");
}
