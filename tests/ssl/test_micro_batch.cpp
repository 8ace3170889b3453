#include <dino/ssl/micro_batch.hpp>

#include "support/catch.hpp"

using namespace dino;

namespace {

const std::vector<CropGroup> groups{{2, 224, 224}, {8, 96, 96}};

DinoConfig with_batch(i64 batch) {
  DinoConfig c;
  c.batch = batch;
  return c;
}

}  // namespace

TEST_CASE("micro_batch: the bytes of an image, by hand", "[ssl]") {
  DinoConfig c;
  c.backbone = {.image_size = 8, .patch_size = 4, .dim = 10, .depth = 3, .heads = 1, .mlp_ratio = 2};
  c.head = {.outputs = 100, .layers = 3, .hidden = 20, .bottleneck = 5};
  const double tokens = 2 * 5 + 4 * 2;  // 2 crops of 4 patches, 4 crops of one, each with a class token
  const double trunk = tokens * (3 * (6 * 10 + 20) + 6 * 10 + 2 * 20), head = 8 * (3 * 3 * 20 + 2 * 100);
  CHECK(activation_bytes(c, {{2, 8, 8}, {4, 4, 4}}) == 4 * (trunk + head));
  CHECK(activation_bytes(c, {{2, 8, 8}, {4, 4, 4}}, 2) == 2 * (trunk + head));
}

TEST_CASE("micro_batch: the whole batch when it fits into half of the memory", "[ssl]") {
  const double image = activation_bytes(with_batch(64), groups);
  CHECK(choose_micro_batch(with_batch(64), groups, 2 * 64 * image * 1.001) == 64);
  CHECK(choose_micro_batch(with_batch(64), groups, 1e18) == 64);
  CHECK(choose_micro_batch(with_batch(64), groups, 2 * 64 * image * 0.999) == 32);
}

TEST_CASE("micro_batch: passes are as equal as possible, and one image is the least", "[ssl]") {
  const double image = activation_bytes(with_batch(64), groups);
  CHECK(choose_micro_batch(with_batch(10), groups, 2 * 9.5 * image) == 5);    // not 9 and 1
  CHECK(choose_micro_batch(with_batch(10), groups, 2 * 4.5 * image) == 4);    // 4, 4, 2
  CHECK(choose_micro_batch(with_batch(64), groups, 2 * 21.5 * image) == 16);  // four passes, none larger than 21
  CHECK(choose_micro_batch(with_batch(64), groups, 0) == 1);
  CHECK(choose_micro_batch(with_batch(1), groups, 0) == 1);
}

TEST_CASE("micro_batch: less memory never gives larger passes", "[ssl]") {
  const double image = activation_bytes(with_batch(50), groups);
  i64 last = 50;
  for (double fits = 60; fits > 0.5; fits -= 0.5) {
    const i64 chosen = choose_micro_batch(with_batch(50), groups, 2 * fits * image);
    CHECK(chosen <= last);
    CHECK(static_cast<double>(chosen) <= std::max(1.0, fits));
    last = chosen;
  }
}

TEST_CASE("micro_batch: batch norm takes the whole batch in one pass", "[ssl]") {
  auto c = with_batch(64);
  c.head.use_bn = true;
  CHECK(choose_micro_batch(c, groups, 0) == 64);
}

TEST_CASE("micro_batch: the system has some memory", "[ssl]") {
  CHECK(available_memory() > 1e6);
  CHECK(available_memory() < 1e15);
}
