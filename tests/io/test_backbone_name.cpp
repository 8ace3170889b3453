#include <dino/io/backbone_name.hpp>

#include "support/catch.hpp"

using namespace dino;

TEST_CASE("backbone_name: names of backbones and their sizes", "[io]") {
  CHECK(backbone_size("vit-t-4") == BackboneSize{4, 192, 12, 3});
  CHECK(backbone_size("vit-s-16") == BackboneSize{16, 384, 12, 6});
  CHECK(backbone_size("vit-b-14") == BackboneSize{14, 768, 12, 12});
  CHECK(backbone_size("vit-d96-l4-h3-4") == BackboneSize{4, 96, 4, 3});
  for (const auto* bad : {"", "vit", "vit-s", "vit-s-15", "vit-x-16", "vit-d96-l4-h3", "vit-d0-l4-h3-4",
                          "vit-d96-l4-h3-4-5", "vit-96-l4-h3-4", "vit-dx-l4-h3-4", "vit-s-16-", "resnet50"}) {
    INFO(bad);
    CHECK_FALSE(backbone_size(bad).has_value());
  }
  CHECK(backbone_name({16, 384, 12, 6}, 4) == "vit-s-16");
  CHECK(backbone_name({4, 192, 12, 3}, 2) == "vit-d192-l12-h3-4");
  CHECK(backbone_name({4, 96, 4, 3}, 2) == "vit-d96-l4-h3-4");
}
