// The files that the test of dino_features needs, and what must have become of them.  features make|check FOLDER
#include <dino/data/whole_transform.hpp>
#include <dino/eval/backbone.hpp>
#include <dino/io/image.hpp>
#include <dino/io/npy.hpp>
#include <dino/io/safetensors.hpp>

#include <fstream>
#include <iostream>

namespace {

using namespace dino;
namespace fs = std::filesystem;
using Net = Backbone<float, HostDevice>;

const std::vector<std::string> names{"cat/1.png", "dog/3.png", "dog/4.png"};  // cat/2.png is broken

void make(const fs::path& folder) {
  HostContext ctx(1);
  const BackboneInfo info{.vit = {.image_size = 16, .patch_size = 4, .dim = 6, .depth = 3, .heads = 2, .init_std = 0.2},
                          .name = "tiny"};
  Net net(ctx, info, 7);
  export_backbone(folder / "tiny.safetensors", net.params(), info, "");
  fs::create_directories(folder / "images/cat");
  fs::create_directories(folder / "images/dog");
  const std::vector<std::pair<i64, i64>> sizes{{20, 16}, {16, 30}, {9, 9}};
  for (size_t k = 0; k < names.size(); ++k) {
    Image image(sizes[k].first, sizes[k].second);
    for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<u8>((i * (37 + k)) % 251);
    write_png(folder / "images" / names[k], image);
  }
  std::ofstream(folder / "images/cat/2.png") << "not a picture\n";
  write_png(folder / "small.png", Image(3, 9));  // for the test of dino_attention
}

class Check {
 public:
  explicit Check(const fs::path& folder)
      : folder_(folder), net_(load_backbone<float>(ctx_, folder / "tiny.safetensors")) {}

  int run() {
    const auto crop = read_safetensors(folder_ / "crop.safetensors");
    expect_text(crop, "names", R"(["cat/1.png","dog/3.png","dog/4.png"])");
    expect_text(crop, "classes", R"(["cat","dog"])");
    expect(crop.at("labels").to<i64>() == std::vector<i64>{0, 1, 1}, "labels");
    expect(crop.metadata.at("dino.kind") == "features" && crop.metadata.count("dino.model") == 1, "metadata");
    std::vector<float> features;
    for (const auto& name : names) append(features, to_vector(net_(load_image(folder_ / "images" / name))));
    expect(crop.at("features").shape == Shape{3, 6} && crop.at("features").to<float>() == features, "crops");
    expect(read_npy(folder_ / "crop.npy").to<float>() == features, "npy");
    const auto whole = read_safetensors(folder_ / "whole.safetensors");
    expect_text(whole, "names", R"(["images/dog/4.png","images/cat/1.png"])");  // as given
    expect(whole.at("features.00000").to<float>() == patches("dog/4.png"), "patches of dog/4.png");
    expect(whole.at("features.00001").to<float>() == patches("cat/1.png"), "patches of cat/1.png");
    expect(whole.at("features.00001").shape == Shape{1, 20, 6}, "shape of cat/1.png");
    expect(whole.at("grid").to<i64>() == std::vector<i64>{2, 2, 4, 5}, "grid");
    expect(whole.at("attention.00001").shape == Shape{2, 21}, "attention");
    return failures_;
  }

 private:
  void expect(bool good, const char* what) {
    if (good) return;
    std::cerr << what << ": not as expected\n";
    ++failures_;
  }
  void expect_text(const StateDict& file, const char* tensor, const std::string& text) {
    const auto& bytes = file.at(tensor).bytes;
    expect(std::string(bytes.begin(), bytes.end()) == text, tensor);
  }
  static void append(std::vector<float>& to, const std::vector<float>& x) { to.insert(to.end(), x.begin(), x.end()); }

  /// Patch tokens of the whole picture, by a direct call.
  std::vector<float> patches(const std::string& name) {
    const WholeTransform transform{.patch = 4, .mean = net_.transform().mean, .deviation = net_.transform().deviation};
    const auto p = transform(load_image(folder_ / "images" / name), name);
    const auto all = to_vector(net_.vit().all_tokens(std::vector{tensor(ctx_, {1, 3, p.height, p.width}, p.values)}));
    return {all.begin() + 6, all.end()};
  }

  fs::path folder_;
  HostContext ctx_{1};
  Net net_;
  int failures_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  if (std::string_view(argv[1]) == "check") return Check(argv[2]).run();
  make(argv[2]);
}
