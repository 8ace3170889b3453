#include <dino/kernels/patchify.hpp>

#include "support/compare_devices.hpp"

using namespace dino;

namespace {
/// Images whose rows are whole packs, images of patches that no pack divides, and sides with a rest below one patch.
struct Sizes {
  i64 images, channels, height, width, patch;

  i64 values() const { return images * channels * height * width; }
  i64 patch_values() const { return images * channels * (height / patch * patch) * (width / patch * patch); }
};
constexpr std::initializer_list<Sizes> shapes{{1, 1, 4, 4, 4},    {2, 3, 16, 32, 8}, {2, 3, 16, 24, 4},
                                              {3, 2, 14, 28, 14}, {1, 3, 9, 15, 3},  {2, 1, 11, 21, 4},
                                              {1, 2, 17, 20, 8}};
}  // namespace

TEMPLATE_TEST_CASE("patchify: CUDA equals CPU", "[cuda]", float, bf16) {
  const Sizes shape = GENERATE(values(shapes));
  const auto compare = [&](auto... shifted) {
    compare_devices<TestType>(
        {.value = 0, .acc = 0},  // values are moved
        [&](auto& run) {
          using T = typename std::decay_t<decltype(run)>::Scalar;
          launch(run.ctx, kernels::Patchify<T>{.rows = run.out(shape.patch_values()),
                                               .x = run.in(shape.values()),
                                               .images = shape.images,
                                               .channels = shape.channels,
                                               .height = shape.height,
                                               .width = shape.width,
                                               .patch = shape.patch});
        },
        shifted...);
  };
  compare();
  compare(Shifted{});
}

TEMPLATE_TEST_CASE("unpatchify: CUDA equals CPU", "[cuda]", float, bf16) {
  const Sizes shape = GENERATE(values(shapes));
  const bool add = GENERATE(false, true);
  const auto compare = [&](auto... shifted) {
    compare_devices<TestType>(
        {.value = 4e-3, .acc = 1e-7},  // one rounding of a sum of two
        [&](auto& run) {
          using T = typename std::decay_t<decltype(run)>::Scalar;
          launch(run.ctx, kernels::Unpatchify<T>{.dx = {add ? run.inout(shape.values()) : run.out(shape.values()), add},
                                                 .drows = run.in(shape.patch_values()),
                                                 .images = shape.images,
                                                 .channels = shape.channels,
                                                 .height = shape.height,
                                                 .width = shape.width,
                                                 .patch = shape.patch});
        },
        shifted...);
  };
  compare();
  compare(Shifted{});
}
