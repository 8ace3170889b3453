// What a backbone makes of pictures, as a file.  dino_features --weights RUN_DIR --data DIR -o f.safetensors
#include "../common/dataset_options.hpp"
#include "../common/on_device.hpp"
#include "../common/options.hpp"
#include "../common/program.hpp"
#include "request.hpp"

#include <dino/eval/backbone.hpp>
#include <dino/eval/tokens_file.hpp>
#include <dino/io/weight_export.hpp>
#include <dino/io/progress.hpp>

extern char** environ;

namespace {

using namespace programs;

/// A network on some device.
struct FeatureSource {
  std::function<dino::PictureFeatures(const dino::AnyDataset&, const dino::PreparePicture&,
                                      const dino::ExtractOptions&)>
      extract;
  dino::BackboneInfo info;
  std::string unused;
};

template <class T, class D> FeatureSource open_source(dino::HostContext& host, std::shared_ptr<dino::Context<D>> ctx,
                                                      const dino::FeaturesConfig& c) {
  const auto net = std::make_shared<dino::Backbone<T, D>>(dino::load_backbone<T>(*ctx, c.weights, c.checkpoint_key));
  if (c.positions != "auto") net->set_positions(dino::named_positions(c.positions));
  const auto request = request_of(c);
  return {[&host, ctx, net, request](const auto& set, const auto& prepare, const auto& options) {
            return dino::extract_tokens(*ctx, host, net->vit(), set, prepare, request, options);
          },
          net->info(), net->unused()};
}

struct Pictures {
  dino::AnyDataset set;
  std::vector<std::string> notes;
};

Pictures open_pictures(const dino::FeaturesConfig& c, i64 image_size) {
  const auto options = dataset_options(c.common, image_size);
  if (!c.files.empty()) return {open_files(c.files, options), {}};
  const auto data = open_data(c.common.data, options);
  return {all_images(data), data.notes};
}

void print_result(const dino::FeaturesConfig& c, const dino::PictureFeatures& f,
                  const std::vector<std::filesystem::path>& files) {
  const i64 skipped = static_cast<i64>(f.skipped.size());
  if (c.common.json) {
    std::cout << dino::to_json(dino::Record("features")
                                   .set("file", files[0].string())
                                   .set("images", f.size())
                                   .set("skipped", skipped)
                                   .set("values", static_cast<i64>(f.values.size())))
              << '\n';
    return;
  }
  std::cout << "features of " << dino::format_count(f.size()) << " images, " << dino::format_count(skipped)
            << " skipped\n";
  for (const auto& file : files)
    std::cout << "wrote   " << file.string() << "  "
              << dino::size_text(static_cast<i64>(std::filesystem::file_size(file))) << '\n';
  if (c.common.quiet) return;
  std::cerr << "read it with Python:  "
            << (is_npy(c.output) ? str("numpy.load(\"{}\")", c.output)
                                 : str("safetensors.numpy.load_file(\"{}\")", c.output))
            << '\n';
}

void print_plan(const dino::FeaturesConfig& c, const FeatureSource& source, const std::string& device,
                const Pictures& pictures) {
  const auto& info = source.info;
  const i64 bytes = bytes_of_picture(c, info.vit) * pictures.set.size();
  std::cerr << banner() << "\ndevice  " << device << "\nimages  " << pictures.set.describe() << '\n';
  for (const auto& note : pictures.notes) std::cerr << "        " << note << '\n';
  std::cerr << "model   " << checked_name(c, info.vit) << " of " << c.weights << ", " << info.vit.depth << " blocks\n";
  if (!source.unused.empty()) std::cerr << "        not used: " << source.unused << '\n';
  std::cerr << "writes  " << c.output << (bytes > 0 ? ", " + dino::size_text(bytes) : "") << '\n';
}

dino::PictureFeatures extract(const dino::FeaturesConfig& c, const FeatureSource& source, const dino::AnyDataset& set) {
  const bool terminal = !c.common.quiet && dino::standard_error().terminal;
  const auto show = [&](i64 done) {
    if (terminal)
      std::cerr << '\r' << dino::format_count(done) << " of " << dino::format_count(set.size()) << std::flush;
  };
  const auto& vit = source.info.vit;
  const i64 side = c.crop ? crop_size(c, vit) : vit.image_size;
  auto features = source.extract(set, preparation(c, source.info),
                                 {.batch = c.batch_size,
                                  .batch_pixels = c.batch_size * side * side,
                                  .max_bad_fraction = c.common.max_bad_fraction,
                                  .max_shapes = is_npy(c.output) ? 1 : dino::ExtractOptions{}.max_shapes,
                                  .on_batch = show});
  if (terminal) std::cerr << '\n';
  for (const auto& reason : features.skipped) std::cerr << "  ! bad image: " << reason << "; skipped\n";
  require(features.size() > 0, ErrorKind::data, "{}: no image could be used", set.title());
  return features;
}

/// --export: the backbone in a file, for hugging-face in a folder with its config.json.
void export_weights(dino::HostContext& host, const dino::FeaturesConfig& c) {
  auto net = dino::load_backbone<float>(host, c.weights, c.checkpoint_key);
  if (c.positions != "auto") net.set_positions(dino::named_positions(c.positions));
  std::filesystem::path to = c.export_to;
  auto layout = c.export_names == "timm" ? dino::WeightLayout::timm : dino::WeightLayout::hub;
  if (c.export_names == "hugging-face") {
    layout = dino::WeightLayout::hugging_face;
    std::filesystem::create_directories(to);
    to /= "model.safetensors";  // the name that AutoModel looks for
  }
  require(to.extension() == ".safetensors", ErrorKind::usage, "export = {}: expected FILE.safetensors", c.export_to);
  dino::export_backbone_as(layout, to, net.params(), net.info());
  std::cout << "wrote   " << to.string() << '\n';
}

int run(const dino::FeaturesConfig& c) {
  dino::HostContext host(c.common.threads);
  if (!c.export_to.empty()) export_weights(host, c);
  if (c.output.empty()) return 0;
  const auto device = dino::choose_device(c.common.device);
  const auto source = on_device(device, c.common.precision, host, [&](auto number, const auto& on) {
    return open_source<decltype(number)>(host, on, c);
  });
  const auto& info = source.info;
  checked_name(c, info.vit);
  const i64 bytes = bytes_of_picture(c, info.vit);
  const auto pictures = open_pictures(c, c.size > 0 ? c.size : info.vit.image_size);
  if (!c.common.quiet) print_plan(c, source, device.why, pictures);
  check_room(c.output, bytes * pictures.set.size());
  if (c.common.dry_run) return 0;
  const auto features = extract(c, source, pictures.set);
  print_result(c, features,
               dino::write_tokens(c.output, features, {dino::model_text(info), settings_text(c, info.vit)}));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program([&] {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    const auto parsed = read_options(dino::Program::features, arguments, dino::read_environment(environ));
    if (const auto code = answer(parsed)) return *code;
    return run(dino::resolve_features(parsed.options, parsed.files));
  });
}
