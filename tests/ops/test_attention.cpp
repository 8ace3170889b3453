#include <dino/ops/attention.hpp>

#include "support/op_checks.hpp"

using namespace dino;
using namespace op_checks;

TEST_CASE("attention: gradients match central differences", "[ops][gradcheck]") {
  HostContext ctx(2);
  const auto two = groups({{2, 5}, {3, 3}});
  CHECK(gradcheck([&](auto x) { return attention(x, 2, two); }, randn(ctx, {19, 18}, 1)) <= 1e-6);
  const auto one_token = groups({{4, 1}});
  CHECK(gradcheck([&](auto x) { return attention(x, 1, one_token); }, randn(ctx, {4, 9}, 1)) <= 1e-6);
  const auto several_blocks_of_queries = groups({{1, 130}});
  CHECK(gradcheck([&](auto x) { return attention(x, 1, several_blocks_of_queries); }, randn(ctx, {130, 3}, 1)) <= 1e-6);
}

TEST_CASE("attention: equals PyTorch", "[ops][golden]") {
  golden::check_op_in_both<1>("attention", [](auto x) { return attention(x, 2, groups({{2, 5}, {3, 3}})); });
  golden::check_op_in_both<1>("attention_long", [](auto x) { return attention(x, 1, groups({{1, 197}})); });
}

TEST_CASE("attention: the same bits for any number of threads", "[ops]") {
  const auto layout = groups({{6, 65}, {8, 17}});
  check_threads({{6 * 65 + 8 * 17, 3 * 48}}, [&](auto& x) { return attention(x[0], 3, layout); });
}

TEST_CASE("attention: accumulation and views", "[ops]") {
  const auto layout = groups({{1, 4}, {2, 2}});
  check_accumulates({8, 12}, [&](auto x) { return attention(x, 2, layout); });
  check_view({8, 12}, [&](auto x) { return attention(x, 2, layout); });
}

TEST_CASE("attention: an image sees its own tokens only", "[ops]") {
  HostContext ctx(1);
  const auto x = randn(ctx, {10, 12}, 1);
  const auto both = attention(x, 2, groups({{2, 5}}));
  const auto second = attention(clone(x.slice(5, 10)), 2, groups({{1, 5}}));
  CHECK(to_vector(both.slice(5, 10)) == to_vector(second));
}

TEST_CASE("attention: the map of the class token is its row of probabilities", "[ops]") {
  HostContext ctx(1);
  const auto layout = groups({{2, 7}});
  const auto x = randn(ctx, {14, 3 * 6}, 1);
  const auto map = class_attention(x, 2, layout);
  REQUIRE(map.shape() == Shape{2, 2, 7});
  const auto out = attention(x, 2, layout);
  for (i64 image = 0; image < 2; ++image) {
    for (i64 h = 0; h < 2; ++h) {
      double total = 0;
      std::vector<double> value(3, 0.0);
      for (i64 n = 0; n < 7; ++n) {
        const double p = map[(image * 2 + h) * 7 + n];
        total += p;
        for (i64 c = 0; c < 3; ++c) value[static_cast<size_t>(c)] += p * x[(image * 7 + n) * 18 + 12 + h * 3 + c];
      }
      CHECK(total == Approx(1));
      for (i64 c = 0; c < 3; ++c) CHECK(out[image * 7 * 6 + h * 3 + c] == Approx(value[static_cast<size_t>(c)]));
    }
  }
}

TEST_CASE("attention: rows of the probabilities weigh the values as attention does", "[ops]") {
  HostContext ctx(2);
  for (const auto& [images, tokens, heads, dim] : std::vector<std::array<i64, 4>>{{2, 7, 2, 3}, {1, 1, 1, 5},
                                                                                 {3, 65, 3, 16}}) {
    INFO(images << " x " << tokens << " tokens, " << heads << " x " << dim);
    const auto layout = groups({{images, tokens}});
    const auto x = randn(ctx, {images * tokens, 3 * heads * dim}, 1);
    const auto all = attention_rows(x, heads, layout, 0, tokens);
    REQUIRE(all.shape() == Shape{images, heads, tokens, tokens});
    const auto out = attention(x, heads, layout);
    std::vector<double> expected;
    for (i64 row = 0; row < images * tokens; ++row) {
      for (i64 h = 0; h < heads; ++h) {
        const double* const p = all.data() + ((row / tokens * heads + h) * tokens + row % tokens) * tokens;
        for (i64 c = 0; c < dim; ++c) {
          double sum = 0;
          for (i64 n = 0; n < tokens; ++n)
            sum += p[n] * x[((row / tokens * tokens + n) * 3 + 2) * heads * dim + h * dim + c];
          expected.push_back(sum);
        }
      }
    }
    CHECK(golden::relative_error(expected, to_vector(out)) <= 1e-13);  // sums in another order
    const auto classes = to_vector(attention_rows(x, heads, layout, 0, 1));
    CHECK(golden::relative_error(classes, to_vector(class_attention(x, heads, layout))) <= 1e-13);
    if (tokens < 3) continue;
    const auto some = attention_rows(x, heads, layout, 1, 2);  // in the middle
    for (i64 map = 0; map < images * heads; ++map)
      for (i64 i = 0; i < 2 * tokens; ++i)
        CHECK(some[map * 2 * tokens + i] == Approx(all[(map * tokens + 1) * tokens + i]).epsilon(1e-13));
  }
  const auto x = randn(ctx, {10, 12}, 1);
  CHECK_THROWS_WITH(attention_rows(x, 2, groups({{2, 5}}), 4, 2), contains("attention_rows: [4, 6) of 5 tokens"));
  CHECK_THROWS_WITH(attention_rows(x, 2, groups({{1, 5}, {1, 5}}), 0, 1), contains("2 groups of crops"));
}

TEST_CASE("attention: large scores do not overflow", "[ops]") {
  HostContext ctx(1);
  const auto x = full<float>(ctx, {5, 9}, 300.f);
  for (const float y : to_vector(attention(x, 1, groups({{1, 5}})))) CHECK(y == Approx(300.f));
}

TEST_CASE("attention: shapes that do not fit are named", "[ops]") {
  HostContext ctx(1);
  CHECK_THROWS_WITH(attention(zeros<float>(ctx, {10, 10}), 2, groups({{2, 5}})),
                    contains("attention: qkv is (10,10) for 2 heads and 10 tokens"));
}
