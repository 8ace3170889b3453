#include <dino/io/lbfgs_state.hpp>

#include <dino/io/safetensors.hpp>

#include "support/golden.hpp"
#include "support/temporary_folder.hpp"

using namespace dino;

namespace {

double valley(const std::vector<double>& x, std::vector<double>& g) {
  const double a = 1 - x[0], b = x[1] - x[0] * x[0];
  g = {-2 * a - 400 * x[0] * b, 200 * b};
  return a * a + 100 * b * b;
}

}  // namespace

TEST_CASE("lbfgs state: a file gives the state back, before the first step and later", "[io]") {
  TemporaryFolder folder;
  for (const int steps : {0, 1, 5, 15}) {
    Lbfgs solver(std::vector<double>{-1.2, 1});
    for (int i = 0; i < steps; ++i) solver.step(valley);
    LbfgsMemory memory;
    write_safetensors(folder / "s.safetensors", lbfgs_views(solver.state(), memory), {});
    const auto read = read_lbfgs(read_safetensors(folder / "s.safetensors"), "s");
    const auto& own = solver.state();
    CHECK(read.x == own.x);
    CHECK(read.gradient == own.gradient);
    CHECK(read.value == own.value);
    CHECK(read.iterations == own.iterations);
    CHECK(read.evaluations == own.evaluations);
    CHECK(read.steps == own.steps);
    CHECK(read.changes == own.changes);
    CHECK(read.started == own.started);
    CHECK(read.stuck == own.stuck);
  }
}

TEST_CASE("lbfgs state: what does not fit is refused", "[io]") {
  Lbfgs solver(std::vector<double>{-1.2, 1});
  for (int i = 0; i < 3; ++i) solver.step(valley);
  const auto read_changed = [&](const std::string& name, const std::vector<double>& values) {
    LbfgsMemory memory;
    StateDict file;
    for (const auto& v : lbfgs_views(solver.state(), memory))
      file.add(v.name, {v.dtype, v.shape, {v.bytes.begin(), v.bytes.end()}});
    file.tensors.erase(name);
    if (!values.empty()) {
      const auto view = tensor_view(name, {static_cast<i64>(values.size())}, values);
      file.add(name, {view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}});
    }
    read_lbfgs(file, "file");
  };
  CHECK_NOTHROW(read_changed("other", {1}));
  CHECK_THROWS_WITH(read_changed("lbfgs.x", {}), contains("file: no tensor lbfgs.x of F64"));
  CHECK_THROWS_WITH(read_changed("lbfgs.x", {1, 2, 3}), contains("do not fit"));
  CHECK_THROWS_WITH(read_changed("lbfgs.scalars", {1, 2, 3}), contains("do not fit"));
  CHECK_THROWS_WITH(read_changed("lbfgs.changes", {1, 2}), contains("do not fit"));
}
