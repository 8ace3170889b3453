// Photographs: decoding, evaluation and augmentation with given parameters, and what backbones of others make of them.
#include "items.hpp"

#include <dino/data/eval_transform.hpp>
#include <dino/data/multicrop.hpp>
#include <dino/data/whole_transform.hpp>
#include <dino/eval/backbone.hpp>
#include <dino/io/image.hpp>

namespace parity {
namespace {

// Of pixels, as part of 255. Other releases of libjpeg may round otherwise; all that follows is integer arithmetic.
constexpr Tolerance decoding{0, 1.0 / 255}, arithmetic{0, 0}, tensors{0, 1.0 / 255 + 1e-6};
constexpr Tolerance outputs{0, 1e-5};

/// Pixels of a photograph as stored, (height,width,3).
Image stored_image(Golden& file, const std::string& name) {
  const auto& shape = file.shape(name);
  file.check(shape.rank() == 3 && shape.numel() > 0 && shape[2] == 3, "tensor {} is {}, expected (height,width,3)",
             name, shape);
  Image image(shape[1], shape[0]);
  image.pixels = file.values<u8>(name);
  return image;
}

void compare_pixels(Golden& file, Items& items, const std::string& what, const Tolerance& tolerance, const Image& got,
                    const std::string& expected) {
  const auto image = stored_image(file, expected);
  file.check(got.width == image.width && got.height == image.height, "tensor {} is {}, dino computes {} x {} pixels",
             expected, file.shape(expected), got.width, got.height);
  int most = 0;
  for (size_t i = 0; i < got.pixels.size(); ++i)
    most = std::max(most, std::abs(int{got.pixels[i]} - int{image.pixels[i]}));
  items.item(what, tolerance).add(most, most / 255.0, expected);
}

/// A row of the tensor `crops`.
CropPlan crop_plan(const Golden& file, std::span<const double> row) {
  const auto whole = [&](size_t column, double low, double high) {
    file.check(row[column] >= low && row[column] <= high && row[column] == std::floor(row[column]),
               "column {} of tensor crops is {}, expected a whole number from {} to {}", column, row[column], low,
               high);
    return static_cast<i64>(row[column]);
  };
  const auto flag = [&](size_t column) { return whole(column, 0, 1) == 1; };
  CropPlan plan;
  plan.box = {whole(0, 0, 1e6), whole(1, 0, 1e6), whole(2, 1, 1e6), whole(3, 1, 1e6)};
  plan.size = whole(4, 1, 16384);
  plan.flip = flag(5);
  plan.jitter = flag(6);
  plan.brightness = static_cast<float>(row[7]);
  plan.contrast = static_cast<float>(row[8]);
  plan.saturation = static_cast<float>(row[9]);
  plan.hue = row[10];
  for (size_t i = 0; i < 4; ++i) plan.order[i] = static_cast<ColorOp>(whole(11 + i, 0, 3));
  plan.gray = flag(15);
  plan.blur = row[16] != 0;
  plan.blur_radius = row[16];
  plan.solarize = flag(17);
  return plan;
}

void check_crops(Golden& file, Items& items, const Image& image) {
  constexpr i64 columns = 18;
  const auto rows = file.values<double>("crops");
  const auto& shape = file.shape("crops");
  file.check(shape.rank() == 2 && shape[1] == columns, "tensor crops is {}, expected (crops,{})", shape, columns);
  CropScratch scratch;
  for (i64 k = 0; k < shape[0]; ++k) {
    const auto plan = crop_plan(file, std::span(rows).subspan(static_cast<size_t>(k * columns), columns));
    Image crop(plan.size, plan.size);
    apply_crop_plan(image, plan, scratch, crop.pixels.data());
    compare_pixels(file, items, "crops", arithmetic, crop, str("crop.{}", k));
  }
}

/// Against `tensor` (3,size,size), of which both sides are multiplied by the deviation again: as part of 255.
void check_tensor(Golden& file, Items& items, const EvalTransform& transform, const Image& decoded) {
  const i64 plane = transform.size * transform.size;
  file.check(file.shape("tensor") == Shape{3, transform.size, transform.size}, "tensor tensor is {}, the size is {}",
             file.shape("tensor"), transform.size);
  const auto expected = file.values<float>("tensor");
  const auto got = prepare(transform, decoded).values;
  double most = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double deviation = transform.deviation[i / static_cast<size_t>(plane)];
    most = larger(most, std::abs(static_cast<double>(got[i]) - static_cast<double>(expected[i])) * deviation);
  }
  items.item("JPEG to tensor", tensors).add(255 * most, most, "");
}

}  // namespace

std::vector<Item> check_photo(Golden& file, HostContext&) {
  const EvalTransform transform{.size = file.integer("size")};
  file.end_of_fields();
  file.check(transform.size >= 1 && transform.size <= 16384, "field size is {}", transform.size);
  return in_float(file, "photo", [&](Items& items) {
    const auto decoded = decode_image(file.values<u8>("jpeg"), "tensor jpeg");
    const auto given = stored_image(file, "pixels");
    compare_pixels(file, items, "JPEG to pixels", decoding, decoded, "pixels");
    compare_pixels(file, items, "evaluation", arithmetic, transform.crop_image(given), "evaluation");
    check_crops(file, items, given);
    check_tensor(file, items, transform, decoded);
  });
}

std::vector<Item> check_features(Golden& file, HostContext& ctx) {
  const auto weights = std::filesystem::path(file.path()).parent_path() / file.text("weights");
  const EvalTransform transform{.size = file.integer("size")};
  const auto positions = file.text("positions");
  file.end_of_fields();
  auto net = load_backbone<float>(ctx, weights);
  if (positions != "auto") net.set_positions(named_positions(positions));
  const auto& vit = net.info().vit;
  file.check(transform.size >= vit.patch_size && transform.size % vit.patch_size == 0,
             "field size is {}, the patch of the weights {}", transform.size, vit.patch_size);
  const i64 grid = transform.size / vit.patch_size, rows = 1 + vit.registers + grid * grid;
  return in_float(file, "features", [&](Items& items) {
    const auto names = file.names_with("jpeg.");
    const auto expected = file.values<float>("tokens");
    file.check(file.shape("tokens") == Shape{static_cast<i64>(names.size()), rows, vit.dim},
               "tensor tokens is {}, dino computes ({},{},{})", file.shape("tokens"), names.size(), rows, vit.dim);
    Difference class_token, all_tokens;
    auto at = expected.begin();
    for (const auto& name : names) {
      const auto picture = prepare(transform, decode_image(file.values<u8>("jpeg." + name), "tensor jpeg." + name));
      const auto x = tensor(ctx, {1, 3, picture.height, picture.width}, picture.values);
      const auto tokens = to_vector(net.vit().all_tokens(std::vector{x}));
      for (size_t i = 0; i < tokens.size(); ++i, ++at) {
        if (i < static_cast<size_t>(vit.dim)) class_token.add(tokens[i], static_cast<double>(*at));
        all_tokens.add(tokens[i], static_cast<double>(*at));
      }
    }
    items.add("class token", outputs, class_token);
    items.add("all tokens", outputs, all_tokens);
  });
}

}  // namespace parity
