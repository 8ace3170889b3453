#include <dino/kernels/resample.hpp>
#include <dino/tensor/create.hpp>

#include "support/catch.hpp"

#include <cmath>

using namespace dino;

namespace {
constexpr PositionRule dino_rule{}, exact{.offset = 0, .antialias = false},
    register_rule{.offset = 0, .antialias = true}, mixed{.offset = 0.1, .antialias = true};

template <class T> HostTensor<T> resample(HostContext& ctx, const HostTensor<T>& in, i64 grid, i64 height, i64 width,
                                          const PositionRule& rule = {}) {
  const HostTensor<T> out(ctx, {height * width, in.cols()});
  launch(ctx, kernels::ResamplePositions<T>{.out = out.data(),
                                            .in = in.data(),
                                            .grid = grid,
                                            .height = height,
                                            .width = width,
                                            .cols = in.cols(),
                                            .rule = rule});
  return out;
}

template <class T> void transpose_into(HostContext& ctx, const Target<T>& din, const HostTensor<T>& dout, i64 grid,
                                       i64 height, i64 width, const PositionRule& rule = {}) {
  launch(ctx, kernels::ResamplePositionsBackward<T>{.din = din,
                                                    .dout = dout.data(),
                                                    .grid = grid,
                                                    .height = height,
                                                    .width = width,
                                                    .cols = dout.cols(),
                                                    .rule = rule});
}

/// The first row of the grid whose value at (i, j) is i * grid + j, resampled to extent x extent.
template <class T> std::vector<T> first_row(i64 grid, i64 extent, size_t values, const PositionRule& rule) {
  HostContext ctx(2);
  const auto in = generate<T>(ctx, {grid * grid, 1}, [](i64 i) { return i; });
  auto out = to_vector(resample(ctx, in, grid, extent, extent, rule));
  out.resize(values);
  return out;
}

/// In float twice as much as in double: the outer weights are sums of terms as large as 6, the table's values multiply
/// their rounding.
template <class T> void check_row(i64 grid, i64 extent, const std::vector<double>& expected, double largest,
                                  const PositionRule& rule = {}) {
  INFO(grid << " -> " << extent);
  const double tolerance = sizeof(T) == 4 ? 2e-6 : 1e-6;
  const auto row = first_row<T>(grid, extent, expected.size(), rule);
  for (size_t i = 0; i < expected.size(); ++i) {
    INFO("value " << i << ": " << row[i] << ", expected " << expected[i]);
    CHECK(std::abs(static_cast<double>(row[i]) - expected[i]) <= tolerance * largest);
  }
}
}  // namespace

TEMPLATE_TEST_CASE("resample: the reference code's rows", "[kernels][golden]", float, double) {
  check_row<TestType>(14, 6, {8.3030424, 10.668189, 13.0347404, 15.2741299, 17.5306473, 19.9230595}, 19.9);
  // The largest value of these rows stands at their end, near 13 and 15.
  check_row<TestType>(14, 12, {0.8850898, 2.1092412, 3.2442653, 4.3633971, 5.4898615, 6.6468968}, 13);
  check_row<TestType>(14, 28, {-1.5838983, -1.2890239, -0.8155382, -0.1872976, 0.2173612, 0.8093234}, 13);
  check_row<TestType>(8, 4, {3.4524369, 5.5135636, 7.4755569, 9.4903469}, 9.5);  // CIFAR: 32 -> 16 pixels
  check_row<TestType>(37, 16, {21.0961838, 23.4658489, 25.8334999, 28.0737076}, 55);
}

TEMPLATE_TEST_CASE("resample: the rule of DINOv2 with registers", "[kernels][golden]", float, double) {
  check_row<TestType>(37, 16, {26.9202309, 29.1311226, 31.4951611, 33.8044930}, 62, register_rule);
  // On its own grid each cell stands where it stood.
  check_row<TestType>(4, 4, {0, 1, 2, 3}, 3, register_rule);
  check_row<TestType>(4, 4, {0, 1, 2, 3}, 3, exact);
}

// Rows of resample_abs_pos_embed of timm 1.0.31 and of ViTModel's interpolate_pos_encoding of transformers 5.24, which
// both compute in float.
TEMPLATE_TEST_CASE("resample: the rules of timm and of transformers", "[kernels][golden]", float, double) {
  check_row<TestType>(14, 6, {10.766131, 12.998946, 15.385467, 17.711311, 20.097832, 22.330648}, 23, timm_positions);
  check_row<TestType>(14, 20, {-0.908553, -0.379745, 0.402018, 1.102018, 1.802018, 2.502018}, 13, timm_positions);
  check_row<TestType>(37, 16, {26.920231, 29.131123, 31.495165, 33.804497, 36.11673, 38.432861}, 62, timm_positions);
  const auto rule = hugging_face_positions;
  check_row<TestType>(14, 6, {8.611106, 11.037033, 13.407404, 15.666657, 18.037033, 20.462957}, 21, rule);
  check_row<TestType>(14, 20, {-1.219218, -0.683843, 0.158939, 0.790688, 1.477939, 2.246188}, 13, rule);
  check_row<TestType>(37, 16, {21.388046, 23.77976, 26.150673, 28.396338, 30.696939, 33.092018}, 55, rule);
}

TEST_CASE("resample: a constant table stays constant, weights sum to 1", "[kernels]") {
  HostContext ctx(1);
  const auto [grid, height, width] =
      GENERATE(table<i64, i64, i64>({{1, 1, 1}, {1, 3, 2}, {3, 2, 7}, {14, 6, 6}, {5, 31, 1}}));
  const auto rule = GENERATE(dino_rule, exact, register_rule, mixed);
  const auto in = full<double>(ctx, {grid * grid, 2}, 3.0);
  for (const double y : to_vector(resample(ctx, in, grid, height, width, rule))) CHECK(y == Approx(3).epsilon(1e-13));
}

TEST_CASE("resample: height and width are resampled on their own", "[kernels]") {
  HostContext ctx(1);
  const i64 grid = 5, height = 3, width = 8;
  const auto in = generate<double>(ctx, {grid * grid, 2}, [&](i64 i) {  // column 0 knows the row, column 1 the column
    const i64 cell = i / 2;
    return i % 2 == 0 ? std::sin(static_cast<double>(cell / grid)) : std::cos(static_cast<double>(cell % grid));
  });
  const auto out = resample(ctx, in, grid, height, width, GENERATE(dino_rule, register_rule));
  for (i64 y = 0; y < height; ++y) {
    for (i64 x = 0; x < width; ++x) {
      CHECK(out[(y * width + x) * 2] == Approx(out[y * width * 2]).epsilon(1e-13));
      CHECK(out[(y * width + x) * 2 + 1] == Approx(out[x * 2 + 1]).epsilon(1e-13));
    }
  }
}

TEST_CASE("resample: backward is the exact transpose", "[kernels]") {
  HostContext ctx(2);
  const auto [grid, height, width] =
      GENERATE(table<i64, i64, i64>({{1, 1, 1}, {1, 3, 2}, {2, 1, 5}, {14, 6, 6}, {8, 4, 9}, {4, 11, 3}}));
  const auto rule = GENERATE(dino_rule, exact, register_rule, mixed);
  const i64 cols = 3;
  const auto x = randn<double>(ctx, {grid * grid, cols}, RngKey(1, 1));
  const auto y = randn<double>(ctx, {height * width, cols}, RngKey(1, 2));
  const auto ax = resample(ctx, x, grid, height, width, rule);
  const auto aty = full<double>(ctx, x.shape(), 1e9);  // is overwritten
  transpose_into(ctx, Target<double>{aty.data(), false}, y, grid, height, width, rule);
  double left = 0, right = 0, size = 0;
  for (i64 i = 0; i < y.numel(); ++i) left += ax[i] * y[i], size += std::abs(ax[i] * y[i]);
  for (i64 i = 0; i < x.numel(); ++i) right += x[i] * aty[i];
  CHECK(std::abs(left - right) <= 1e-14 * size);

  const auto twice = clone(aty);
  transpose_into(ctx, Target<double>{twice.data(), true}, y, grid, height, width, rule);
  for (i64 i = 0; i < x.numel(); ++i) CHECK(twice[i] == Approx(2 * aty[i]).margin(1e-13));
}

TEST_CASE("resample: the same bits for any number of threads", "[kernels]") {
  const auto rule = GENERATE(dino_rule, register_rule);
  const auto run = [&](i64 threads) {
    HostContext ctx(threads);
    const auto out = resample(ctx, randn<float>(ctx, {196, 48}, RngKey(1, 1)), 14, 20, 9, rule);
    const auto din = zeros<float>(ctx, {196, 48});
    transpose_into(ctx, Target<float>{din.data(), false}, out, 14, 20, 9, rule);
    return std::pair(to_vector(out), to_vector(din));
  };
  const auto one = run(1);
  CHECK(one == run(2));
  CHECK(one == run(7));
}
