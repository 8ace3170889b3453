#include <dino/ops/linear.hpp>
#include <dino/ops/patchify.hpp>
#include <dino/ops/shape.hpp>

#include "support/op_checks.hpp"

using namespace dino;
using namespace op_checks;

TEST_CASE("patchify: gradients match central differences", "[ops][gradcheck]") {
  HostContext ctx(2);
  CHECK(gradcheck([](auto a) { return patchify(std::vector{a}, 1); }, randn(ctx, {1, 1, 1, 1}, 1)) <= 1e-6);
  CHECK(gradcheck(
            [](auto a, auto b) {
              return patchify(std::vector{a, b}, 2);
            },
            randn(ctx, {2, 3, 4, 6}, 1), randn(ctx, {1, 3, 2, 2}, 2)) <= 1e-6);
  CHECK(gradcheck([](auto a) { return patchify(std::vector{a}, 3); }, randn(ctx, {2, 1, 3, 9}, 1)) <= 1e-6);
}

TEST_CASE("patchify: with a linear layer it is PyTorch's convolution", "[ops][golden]") {
  golden::check_op_in_both<3>("patchify", [](auto x, auto w, auto b) {
    return linear(patchify(std::vector{x}, 4), reshape(w, {6, 3 * 4 * 4}), b);
  });
}

TEST_CASE("patchify: values stand in the order channel, y, x, and patches row by row", "[ops]") {
  HostContext ctx(1);
  const auto x = generate<float>(ctx, {1, 2, 4, 6}, [](i64 i) { return i; });
  const auto rows = patchify(std::vector{x}, 2);
  REQUIRE(rows.shape() == Shape{6, 8});
  CHECK(to_vector(rows.slice(0, 1)) == std::vector<float>{0, 1, 6, 7, 24, 25, 30, 31});
  CHECK(to_vector(rows.slice(1, 2)) == std::vector<float>{2, 3, 8, 9, 26, 27, 32, 33});
  CHECK(to_vector(rows.slice(3, 4)) == std::vector<float>{12, 13, 18, 19, 36, 37, 42, 43});
}

TEST_CASE("patchify: groups of different sizes follow each other", "[ops]") {
  HostContext ctx(1);
  const auto large = dino::randn<float>(ctx, {2, 3, 8, 4}, RngKey(1, 1));
  const auto small = dino::randn<float>(ctx, {3, 3, 4, 4}, RngKey(1, 2));
  const auto rows = patchify(std::vector{large, small}, 4);
  REQUIRE(rows.shape() == Shape{7, 48});
  CHECK(to_vector(rows.slice(0, 4)) == to_vector(patchify(std::vector{large}, 4)));
  CHECK(to_vector(rows.slice(4, 7)) == to_vector(small));  // one patch is the whole image
}

TEST_CASE("patchify: only the groups that want a gradient get one", "[ops]") {
  HostContext ctx(2);
  Tape<Host> tape(ctx);
  const auto a = tape.input(randn(ctx, {1, 1, 2, 2}, 1)), b = tape.leaf(randn(ctx, {1, 1, 2, 4}, 2));
  tape.backward(patchify(std::vector{a, b}, 2), tensor<double>(ctx, {3, 4}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
  CHECK(to_vector(tape.grad(b)) == std::vector<double>{5, 6, 9, 10, 7, 8, 11, 12});
}

TEST_CASE("patchify: accumulation, views, threads", "[ops]") {
  check_accumulates({2, 3, 4, 4}, [](auto x) { return patchify(std::vector{x}, 2); });
  check_threads({{4, 3, 64, 64}, {6, 3, 32, 16}}, [](auto& x) { return patchify(x, 16); });
  HostContext ctx(2);
  const auto view = randn(ctx, {2, 3, 4, 7}, 1).columns(2, 6);
  CHECK(to_vector(patchify(std::vector{view}, 4)) == to_vector(patchify(std::vector{clone(view)}, 4)));
}

TEST_CASE("patchify: images that do not divide are named", "[ops]") {
  HostContext ctx(1);
  const auto run = [&](std::initializer_list<Shape> shapes, i64 patch) {
    std::vector<HostTensor<float>> groups;
    for (const auto& shape : shapes) groups.push_back(zeros<float>(ctx, shape));
    return patchify(groups, patch);
  };
  CHECK_THROWS_WITH(run({{1, 3, 8, 10}}, 4),
                    contains("(1,3,8,10), height and width must be multiples of the patch size 4"));
  CHECK_THROWS_WITH(run({{1, 3, 0, 8}}, 4), contains("multiples of the patch size 4"));
  CHECK_THROWS_WITH(run({{1, 3, 4, 4}, {1, 1, 4, 4}}, 4), contains("images are (1,1,4,4)"));
  CHECK_THROWS_WITH(run({{3, 4}}, 4), contains("images are (3,4)"));
  CHECK_THROWS_WITH(run({}, 4), contains("patchify: no images"));
}
