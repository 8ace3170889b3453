#include <dino/data/cifar.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

#include <fstream>

using namespace dino;
namespace fs = std::filesystem;

namespace {

void write(const fs::path& path, const std::vector<u8>& bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

/// Records whose pixel p of plane c is r + 50 c + p mod 7.
std::vector<u8> records(const std::vector<std::vector<u8>>& labels) {
  std::vector<u8> bytes;
  for (size_t r = 0; r < labels.size(); ++r) {
    bytes.insert(bytes.end(), labels[r].begin(), labels[r].end());
    for (size_t c = 0; c < 3; ++c) {
      for (size_t p = 0; p < 1024; ++p) bytes.push_back(static_cast<u8>(r + 50 * c + p % 7));
    }
  }
  return bytes;
}

std::string refusal(const fs::path& path, CifarSplits (*load)(const fs::path&)) {
  try {
    load(path);
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::data);
    return e.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("cifar: records become pictures, labels and names", "[data]") {
  const TemporaryFolder folder;
  write(folder / "data_batch_1.bin", records({{3}, {9}}));
  write(folder / "data_batch_3.bin", records({{0}, {1}, {2}}));
  write(folder / "test_batch.bin", records({{5}}));
  const CifarSplits cifar = load_cifar10(folder.path);
  REQUIRE(cifar.train.size() == 5);
  CHECK(cifar.train.describe() == "CIFAR-10, 5 images, 10 classes");
  CHECK(cifar.train.label(1) == 9);
  CHECK(cifar.train.label(4) == 2);
  const Sample sample = cifar.train.get(3);
  CHECK(sample.label == 1);
  CHECK(sample.name == "data_batch_3.bin record 1");
  REQUIRE(sample.image.width == 32);
  for (i64 c = 0; c < 3; ++c) CHECK(sample.image.at(5, 2)[c] == 1 + 50 * c + (2 * 32 + 5) % 7);
  REQUIRE(cifar.test);
  CHECK(cifar.test->label(0) == 5);
  CHECK(cifar.train.classes()[5] == "dog");
}

TEST_CASE("cifar: the folder above is accepted, and what differs is noted", "[data]") {
  const TemporaryFolder folder;
  const fs::path inner = folder / "cifar-10-batches-bin";
  write(inner / "data_batch_2.bin", records({{3}}));
  std::ofstream(inner / "batches.meta.txt") << "a\nb\n\n";
  const CifarSplits cifar = load_cifar10(folder.path);
  CHECK_FALSE(cifar.test);
  CHECK(cifar.notes == std::vector<std::string>{
                           "data_batch_2.bin holds 1 images, the original 10,000",
                           "only 1 of 5 training files are there",
                           "test_batch.bin is not there: no test images",
                           "batches.meta.txt holds 2 names instead of 10: the usual ones are used",
                       });
}

TEST_CASE("cifar: names of classes come from the file beside the data", "[data]") {
  const TemporaryFolder folder;
  write(folder / "data_batch_1.bin", records({{0}}));
  std::ofstream(folder / "batches.meta.txt") << "c0\r\nc1\nc2\nc3\nc4\nc5\nc6\nc7\nc8\nc9\n\n";
  CHECK(load_cifar10(folder.path).train.classes()[0] == "c0");
}

TEST_CASE("cifar: CIFAR-100 has a coarse and a fine label", "[data]") {
  const TemporaryFolder folder;
  write(folder / "cifar-100-binary/train.bin", records({{19, 99}, {0, 42}}));
  write(folder / "cifar-100-binary/test.bin", records({{4, 0}}));
  const CifarSplits cifar = load_cifar100(folder.path);
  CHECK(cifar.train.describe() == "CIFAR-100, 2 images, 100 classes");
  CHECK(cifar.train.label(0) == 99);
  CHECK(cifar.train.get(1).label == 42);
  CHECK(cifar.train.get(1).image.at(0, 0)[2] == 101);
  CHECK(cifar.test->classes()[0] == "apple");
}

TEST_CASE("cifar: a label out of range is refused with file, record, value and remedy", "[data]") {
  const TemporaryFolder folder;
  write(folder / "data_batch_1.bin", records({{1}}));
  write(folder / "test_batch.bin", records({{1}, {83}}));
  CHECK(refusal(folder.path, load_cifar10) ==
        (folder / "test_batch.bin").string() +
            " record 1: label 83, expected 0..9. The file is damaged or not CIFAR-10. "
            "Get it with tools/get_data.py cifar-10, or cifar-10-binary.tar.gz from "
            "https://www.cs.toronto.edu/~kriz/cifar.html");
  write(folder / "train.bin", records({{20, 1}}));
  CHECK(refusal(folder.path, load_cifar100) ==
        (folder / "train.bin").string() +
            " record 0: coarse label 20, expected 0..19. The file is damaged or not "
            "CIFAR-100. Get it with tools/get_data.py cifar-100, or cifar-100-binary.tar.gz from "
            "https://www.cs.toronto.edu/~kriz/cifar.html");
}

TEST_CASE("cifar: cut, grown and empty files are refused with their size", "[data]") {
  const TemporaryFolder folder;
  const fs::path file = folder / "data_batch_1.bin";
  auto bytes = records({{1}, {2}});
  for (const i64 change : {-1, 1}) {
    auto other = bytes;
    other.resize(static_cast<size_t>(static_cast<i64>(bytes.size()) + change));
    write(file, other);
    CHECK(refusal(folder.path, load_cifar10) ==
          str("{}: {} bytes, expected a multiple of 3,073: the file is cut or damaged. Get it with tools/get_data.py "
              "cifar-10, or cifar-10-binary.tar.gz from "
              "https://www.cs.toronto.edu/~kriz/cifar.html",
              file.string(), change < 0 ? "6,145" : "6,147"));
  }
  write(file, {});
  CHECK(refusal(folder.path, load_cifar10) ==
        file.string() +
            ": the file is empty. Get it with tools/get_data.py cifar-10, or cifar-10-binary.tar.gz from "
            "https://www.cs.toronto.edu/~kriz/cifar.html");
}

TEST_CASE("cifar: folders without training images are refused", "[data]") {
  const TemporaryFolder folder;
  CHECK(refusal(folder.path, load_cifar10) ==
        folder.path.string() +
            ": no CIFAR-10 here, expected data_batch_1.bin to data_batch_5.bin. Get it with tools/get_data.py "
            "cifar-10, or cifar-10-binary.tar.gz from "
            "https://www.cs.toronto.edu/~kriz/cifar.html");
  CHECK(refusal(folder.path, load_cifar100) == folder.path.string() +
                                                   ": no CIFAR-100 here, expected train.bin and test.bin. Get it with "
                                                   "tools/get_data.py cifar-100, or cifar-100-binary.tar.gz from "
                                                   "https://www.cs.toronto.edu/~kriz/cifar.html");
  write(folder / "test_batch.bin", records({{1}}));
  CHECK(refusal(folder.path, load_cifar10) ==
        folder.path.string() +
            ": no training images, expected data_batch_1.bin to data_batch_5.bin. Get it with tools/get_data.py "
            "cifar-10, or cifar-10-binary.tar.gz from "
            "https://www.cs.toronto.edu/~kriz/cifar.html");
}
