#include <dino/ops/drop_path.hpp>

#include "support/op_checks.hpp"

#include <cmath>

using namespace dino;
using namespace op_checks;

namespace {
/// The factor of every row: drop path of ones.
std::vector<double> factors(Tape<Host>& tape, double rate, const Segments& segments) {
  const auto ones = tape.input(full<double>(tape.ctx(), {segments.rows(), 1}, 1.0));
  return to_vector(drop_path(ones, rate, segments).value);
}
}  // namespace

TEST_CASE("drop_path: gradients match central differences", "[ops][gradcheck]") {
  HostContext ctx(2);
  const auto layout = groups({{4, 3}, {5, 1}});
  CHECK(gradcheck([&](auto x) { return drop_path(x, 0.4, layout); }, randn(ctx, {17, 3}, 1)) <= 1e-6);
  CHECK(gradcheck([&](auto x) { return drop_path(drop_path(x, 0.2, layout), 0.3, layout); }, randn(ctx, {17, 3}, 1)) <=
        1e-6);
}

TEST_CASE("drop_path: keeps an image with probability 1 - rate, scaled by 1 / (1 - rate)", "[ops]") {
  HostContext ctx(2);
  const double rate = GENERATE(0.1, 0.5, 0.9);
  Tape<Host> tape(ctx, RngKey(5, 1));
  const i64 images = 40000;
  i64 kept = 0;
  for (const double factor : factors(tape, rate, groups({{images, 1}}))) {
    if (factor != 0 && factor != 1 / (1 - rate)) FAIL("factor " << factor);
    kept += factor != 0;
  }
  const double deviation = std::sqrt(rate * (1 - rate) / static_cast<double>(images));
  CHECK(std::abs(static_cast<double>(kept) / static_cast<double>(images) - (1 - rate)) < 4 * deviation);
}

TEST_CASE("drop_path: one draw per image, whatever its number of tokens", "[ops]") {
  HostContext ctx(2);
  Tape<Host> a(ctx, RngKey(5, 1)), b(ctx, RngKey(5, 1));
  const auto tokens = factors(a, 0.5, groups({{50, 3}, {40, 2}})), images = factors(b, 0.5, groups({{90, 1}}));
  for (size_t i = 0; i < 90; ++i) {
    const size_t first = i < 50 ? 3 * i : 150 + 2 * (i - 50), n = i < 50 ? 3 : 2;
    for (size_t k = 0; k < n; ++k) CHECK(tokens[first + k] == images[i]);
  }
}

TEST_CASE("drop_path: two draws of a pass differ, the same pass draws the same", "[ops]") {
  HostContext ctx(1);
  const auto layout = groups({{200, 1}});
  Tape<Host> tape(ctx, RngKey(5, 1)), again(ctx, RngKey(5, 1)), next_step(ctx, RngKey(5, 2));
  const auto first = factors(tape, 0.5, layout), second = factors(tape, 0.5, layout);
  CHECK(first != second);
  CHECK(first == factors(again, 0.5, layout));
  CHECK(second == factors(again, 0.5, layout));
  CHECK(first != factors(next_step, 0.5, layout));
}

TEST_CASE("drop_path: nothing is dropped on a Tensor, or at rate 0", "[ops]") {
  HostContext ctx(1);
  const auto layout = groups({{4, 1}});
  const auto x = randn(ctx, {4, 3}, 1);
  CHECK(drop_path(x, 0.9, layout).data() == x.data());
  Tape<Host> tape(ctx);
  const auto leaf = tape.leaf(x);
  CHECK(drop_path(leaf, 0.0, layout).value.data() == x.data());
  CHECK(tape.random_state().ops == 0);
  CHECK(tape.records() == 0);
}

TEST_CASE("drop_path: a batch that is cut into micro-batches draws the same masks", "[ops]") {
  HostContext ctx(1);
  const i64 batch = 7;
  const auto layout = [](i64 images) { return groups({{2 * images, 3}, {4 * images, 2}}); };  // crop-major
  Tape<Host> whole(ctx, RngKey(5, 1));
  const auto expected = factors(whole, 0.5, layout(batch));
  i64 first = 0;
  for (const i64 images : {3, 1, 3}) {
    Tape<Host> part(ctx, RngKey(5, 1), BatchWindow{.images = images, .batch = batch, .first = first});
    const auto factor = factors(part, 0.5, layout(images));
    for (i64 crop = 0; crop < 6; ++crop) {
      const i64 tokens = crop < 2 ? 3 : 2;
      const auto row = [&](i64 of, i64 image) {  // first row of an image of a crop in a pass of so many images
        return crop < 2 ? (crop * of + image) * 3 : 2 * of * 3 + ((crop - 2) * of + image) * 2;
      };
      for (i64 i = 0; i < images; ++i) {
        for (i64 k = 0; k < tokens; ++k) {
          CHECK(factor[static_cast<size_t>(row(images, i) + k)] ==
                expected[static_cast<size_t>(row(batch, first + i) + k)]);
        }
      }
    }
    first += images;
  }
}

TEST_CASE("drop_path: accumulation, views, threads", "[ops]") {
  const auto layout = groups({{2, 2}});
  check_accumulates({4, 7}, [&](auto x) { return drop_path(x, 0.5, layout); });
  check_threads({{3000, 37}}, [](auto& x) { return drop_path(x[0], 0.3, groups({{600, 5}})); });
  HostContext ctx(2);
  const auto view = randn(ctx, {4, 9}, 1).columns(1, 8);
  Tape<Host> a(ctx), b(ctx);
  CHECK(to_vector(drop_path(a.input(view), 0.5, layout).value) ==
        to_vector(drop_path(b.input(clone(view)), 0.5, layout).value));
}

TEST_CASE("drop_path: a rate of 1 and shapes that do not fit are refused", "[ops]") {
  HostContext ctx(1);
  Tape<Host> tape(ctx);
  const auto x = tape.leaf(zeros<double>(ctx, {4, 3}));
  CHECK_THROWS_WITH(drop_path(x, 1.0, groups({{4, 1}})), contains("rate 1 is outside [0, 1)"));
  CHECK_THROWS_WITH(drop_path(x, -0.1, groups({{4, 1}})), contains("rate -0.1 is outside [0, 1)"));
  CHECK_THROWS_WITH(drop_path(x, 0.5, groups({{5, 1}})), contains("drop_path: x is (4,3), 5 tokens expected"));
}
