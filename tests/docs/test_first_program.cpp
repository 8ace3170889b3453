// The program of docs/first_program.md, run; and the check that the page and the README quote files word for word.
#include <dino/data/loader.hpp>
#include <dino/data/multicrop.hpp>
#include <dino/eval/backbone.hpp>
#include <dino/eval/knn.hpp>
#include <dino/ssl/trainer.hpp>

#include <iostream>

#include "support/catch.hpp"
#include "support/quotations.hpp"
#include "support/temporary_folder.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

namespace {

using dino::i64;
using dino::u8;

/// Pictures of 16 x 16 pixels with light and dark stripes, which lie (class 0) or stand (class 1).
struct Stripes {
  i64 first, count;

  i64 size() const { return count; }

  dino::Sample get(i64 i) const {
    dino::RngStream random(dino::RngKey(7, 0), static_cast<dino::u64>(first + i));
    u8 dark[3], light[3];
    for (u8& channel : dark) channel = static_cast<u8>(random.below(110));
    for (u8& channel : light) channel = static_cast<u8>(150 + random.below(106));
    const i64 label = i % 2, width = 2 + random.below(2), shift = random.below(16);
    dino::Image image(16, 16);
    for (i64 y = 0; y < 16; ++y) {
      for (i64 x = 0; x < 16; ++x) {
        const i64 stripe = ((label == 0 ? y : x) + shift) / width;
        std::copy_n(stripe % 2 == 0 ? dark : light, 3, image.at(x, y));
      }
    }
    return {image, label, ""};
  }

  std::vector<std::string> classes() const { return {"lying", "standing"}; }
};

double first_program(const std::string& file, std::ostream& out) {
  const dino::AnyDataset images = Stripes{0, 256}, unseen = Stripes{256, 100};

  dino::CropSettings settings;  // the published recipe, changed where pictures are this small
  settings.global_size = 16;
  settings.local_size = 8;
  settings.num_local_crops = 2;
  settings.blur_prob = {0, 0, 0};
  const dino::MultiCrop crops(settings, 42);
  dino::LoaderOptions loading;
  loading.batch = 32;
  dino::Loader loader(images, crops, loading);

  dino::DinoConfig config;
  config.backbone = {.image_size = 16, .patch_size = 4, .dim = 48, .depth = 2, .heads = 3, .init_std = 0.08};
  config.head = {.outputs = 64, .hidden = 64, .bottleneck = 32};
  config.drop_path = 0;
  config.batch = config.micro_batch = loading.batch;
  config.steps_per_epoch = loader.steps_per_epoch();
  config.total_steps = 5 * config.steps_per_epoch;
  config.warmup_steps = config.steps_per_epoch / 2;
  config.lr = 1e-3;
  config.teacher_momentum = 0.97;

  dino::HostContext ctx;  // all cores
  dino::DinoTrainer<float, dino::HostDevice> trainer(ctx, config, crops.groups());
  while (!trainer.finished()) {
    const auto report = trainer.step(loader.next());
    if (trainer.steps_done() % config.steps_per_epoch == 0)
      out << "step " << trainer.steps_done() << "  loss " << report.loss << "  entropy " << report.teacher_entropy
          << '\n';
  }

  dino::BackboneInfo info;
  info.vit = config.backbone;
  dino::export_backbone(file, trainer.teacher_params(), info);

  const auto net = dino::load_backbone<float>(ctx, file);
  const auto features = [&](const dino::AnyDataset& set) {
    auto rows = dino::extract_features<float>(ctx, ctx, net, set, net.transform());  // (n,C)
    dino::normalize_rows(ctx, rows);
    return rows;
  };
  const auto scores = dino::knn_accuracy(ctx, features(unseen), features(images), {20});
  out << "k-NN(20) on " << unseen.describe() << ": " << scores[0].top1 << " %\n";
  return scores[0].top1;
}

std::filesystem::path root() { return std::filesystem::path(__FILE__).parent_path().parent_path().parent_path(); }

/// Every block of C++ of a page with the file that the last "From `path`:" before it names.
std::vector<std::pair<std::string, std::string>> quotations(const std::string& page) {
  std::vector<std::pair<std::string, std::string>> found;
  std::istringstream lines(page);
  std::string path;
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("From `") && line.ends_with("`:")) path = line.substr(6, line.size() - 8);
    if (line.starts_with("```")) {
      inside = line == "```cpp";
      if (inside) found.emplace_back(path, "");
    } else if (inside) {
      found.back().second += line + '\n';
    }
  }
  return found;
}

}  // namespace

TEST_CASE("first program: it trains, exports what can be loaded, and tells two classes apart") {
  const TemporaryFolder folder;
  std::ostringstream out;
  const double top1 = first_program((folder / "stripes.safetensors").string(), out);
  INFO(out.str());
  CHECK(top1 > 80);  // chance is 50
  CHECK_THAT(out.str(), contains("step 40  loss "));
  CHECK_THAT(out.str(), contains("k-NN(20) on custom data, 100 images, 2 classes: "));
}

TEST_CASE("first program: the page and the README quote the files that they name") {
  const auto [page, blocks] = GENERATE(table<std::string, size_t>({{"docs/first_program.md", 3}, {"README.md", 1}}));
  const auto found = quotations(read_text(root() / page));
  INFO(page);
  CHECK(found.size() == blocks);
  for (const auto& [path, block] : found) {
    INFO(path << " does not contain\n" << block);
    CHECK(words(read_text(root() / path)).find(words(block)) != std::string::npos);
  }
}
