#include <dino/io/data_path.hpp>
#include <dino/io/program_options.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

#include <fstream>

using namespace dino;
namespace fs = std::filesystem;

TEST_CASE("data path: a name stands for data/<name> unless it is here", "[io]") {
  const TemporaryFolder root;
  const auto before = fs::current_path();
  fs::current_path(root.path);
  CHECK(data_path("cifar-10") == "data/cifar-10");
  CHECK(data_path("imagenet-1k") == "data/imagenet-1k");
  CHECK(data_path("pictures") == "pictures");
  CHECK(data_path("data/cifar-100") == "data/cifar-100");
  CHECK(recognise_data_set("cifar-10") == "folder");
  fs::create_directories("data/cifar-10/cifar-10-batches-bin");
  std::ofstream("data/cifar-10/cifar-10-batches-bin/data_batch_1.bin") << 'x';
  CHECK(recognise_data_set("cifar-10") == "cifar-10");
  fs::create_directories("cifar-10");
  CHECK(data_path("cifar-10") == "cifar-10");
  CHECK(recognise_data_set("cifar-10") == "folder");
  fs::current_path(before);
}
