// Prints the shape of a picture's feature.  consumer BACKBONE PICTURE
#include <dino/eval/backbone.hpp>
#include <dino/io/image.hpp>

#include <iostream>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  dino::HostContext ctx;                                      // all cores
  const auto net = dino::load_backbone<float>(ctx, argv[1]);  // a file, or the folder of a run
  const auto feature = net(dino::load_image(argv[2]));        // (1,C)
  std::cout << feature.shape() << '\n';
}
