// What the consumer reads: a backbone as wide as ViT-S, with its first weights, and a picture.  make_files BACKBONE
// PICTURE
#include <dino/data/synthetic.hpp>
#include <dino/eval/backbone.hpp>
#include <dino/io/image_write.hpp>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  dino::BackboneInfo info;
  info.vit = dino::vit_small(16);
  info.vit.depth = 1;
  dino::HostContext ctx;
  dino::Backbone<float, dino::HostDevice> net(ctx, info, 42);
  dino::export_backbone(argv[1], net.params(), info, "");
  dino::write_png(argv[2], dino::Synthetic(42, dino::Split::train, 1, 256).get(0).image);
}
