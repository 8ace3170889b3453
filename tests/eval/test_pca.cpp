#include <dino/eval/pca.hpp>
#include <dino/tensor/create.hpp>

#include "support/golden.hpp"

using namespace dino;

namespace {

std::vector<float> floats(const std::vector<double>& values) { return {values.begin(), values.end()}; }

}  // namespace

TEST_CASE("pca: components, variances and projection are those of NumPy's SVD", "[eval][golden]") {
  HostContext ctx(2);
  const golden::File file("embedding.safetensors");
  for (const std::string name : {"tall", "wide", "flat"}) {
    INFO(name);
    const auto get = [&](const char* key) { return file.values("pca." + name + "." + key); };
    const auto x = floats(get("x"));
    const auto dim = static_cast<i64>(get("mean").size()), k = static_cast<i64>(get("variance").size());
    const auto pca = principal_components(ctx, x, dim, k);
    golden::check_close(name + " mean", {pca.mean.begin(), pca.mean.end()}, get("mean"), 1e-6);
    golden::check_close(name + " components", {pca.components.begin(), pca.components.end()}, get("components"), 1e-6);
    golden::check_close(name + " variance", pca.variance, get("variance"), 1e-6);
    const auto projection = project(ctx, pca, x);
    golden::check_close(name + " projection", {projection.begin(), projection.end()}, get("projection"), 1e-6);
  }
}

TEST_CASE("pca: components that the rows do not have are zero", "[eval][golden]") {
  HostContext ctx(1);
  const golden::File file("embedding.safetensors");
  for (const auto& [name, dim, rank] : {std::tuple{"flat", i64{9}, size_t{2}}, {"wide", i64{60}, size_t{16}}}) {
    INFO(name);
    const auto x = floats(file.values(str("pca.{}.x", name)));
    const auto pca = principal_components(ctx, x, dim, 70);
    REQUIRE(pca.variance.size() == 70);
    REQUIRE(pca.components.size() == static_cast<size_t>(70 * dim));
    double sum = 0;
    for (const double v : pca.variance) sum += v;
    CHECK(sum == Approx(pca.total_variance).epsilon(1e-6));
    if (std::string(name) == "wide") {
      CHECK(pca.variance[rank - 1] > 0);
      CHECK(pca.variance[rank] == 0);
      CHECK(std::all_of(pca.components.begin() + static_cast<i64>(rank) * dim, pca.components.end(),
                        [](float v) { return v == 0; }));
    } else {
      CHECK(pca.variance[rank] < 1e-12 * pca.variance[0]);  // rounding of the rows to float
      CHECK(pca.variance[9] == 0);                          // more than there are dimensions
    }
    for (const float v : project(ctx, pca, x)) CHECK(std::isfinite(v));
  }
}

TEST_CASE("pca: equal rows, a single row and rows of one value have no direction", "[eval]") {
  HostContext ctx(1);
  for (const auto& x :
       {std::vector<float>(60, 0.1f), std::vector<float>{0.1f, 2, 3, 4, 5, 0.7f}, std::vector<float>(6)}) {
    const auto pca = principal_components(ctx, x, 6, 2);
    CHECK(pca.variance == std::vector<double>{0, 0});
    CHECK(pca.total_variance == 0);
    CHECK(pca.components == std::vector<float>(12, 0.0f));
    CHECK(project(ctx, pca, x) == std::vector<float>(x.size() / 3, 0.0f));
  }
  std::vector<float> one_column;
  for (i64 i = 0; i < 10; ++i) one_column.push_back(static_cast<float>(i));
  const auto line = principal_components(ctx, one_column, 1, 1);
  CHECK(line.components == std::vector<float>{1});
  CHECK(line.variance[0] == Approx(55.0 / 6).epsilon(1e-14));
}

TEST_CASE("pca: rows come in blocks, and threads change no bit", "[eval]") {
  HostContext one(1), two(2), three(3);
  const auto x = to_vector(randn<float>(one, {detail::pca_rows + 77, 13}, RngKey(5, 0)));
  const auto pca = principal_components(one, x, 13, 4);
  CHECK(pca.components == principal_components(three, x, 13, 4).components);
  const auto projection = project(one, pca, x);
  CHECK(projection == project(two, pca, x));
  for (i64 c = 0; c < 4; ++c) {  // variance along a component is what was promised
    double square = 0;
    for (size_t r = 0; r < projection.size() / 4; ++r)
      square += std::pow(static_cast<double>(projection[r * 4 + static_cast<size_t>(c)]), 2);
    CHECK(square / (detail::pca_rows + 76) == Approx(pca.variance[static_cast<size_t>(c)]).epsilon(1e-5));
  }
}

TEST_CASE("pca: what cannot be decomposed is refused", "[eval]") {
  HostContext ctx(1);
  CHECK_THROWS_WITH(principal_components(ctx, std::vector<float>{}, 3, 1), "pca: there are no rows");
  CHECK_THROWS_WITH(principal_components(ctx, std::vector<float>(7), 3, 1),
                    "pca: 7 numbers in rows of 3, 1 components");
  CHECK_THROWS_WITH(principal_components(ctx, std::vector<float>{1, 2, INFINITY, 4}, 2, 1),
                    "pca: a value of the 2 rows is not finite");
  CHECK_THROWS_WITH(project(ctx, principal_components(ctx, std::vector<float>(6), 3, 1), std::vector<float>(7)),
                    "pca: 7 numbers, components of 3");
}
