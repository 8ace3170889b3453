#include <dino/eval/linear_probe_state.hpp>

#include "support/golden.hpp"
#include "support/temporary_folder.hpp"

using namespace dino;
using Host = HostDevice;

namespace {

FeatureSet features(HostContext& ctx) {
  FeatureSet set;
  set.dim = 6;
  set.values = to_vector(randn<float>(ctx, {50, 6}, RngKey(1, 1)));
  for (i64 i = 0; i < 50; ++i) set.labels.push_back(i % 4);
  return set;
}

ProbeSettings settings(const std::string& optimizer) {
  ProbeSettings s;
  s.heads = {{"a", 0, 6, 0.1}, {"b", 3, 6, 0.02}};
  s.classes = 4;
  s.rows = 50;
  s.batch = 16;
  s.epochs = 4;
  s.optimizer = optimizer;
  return s;
}

}  // namespace

TEST_CASE("linear probe state: a run that was interrupted ends with equal bits", "[eval]") {
  for (const std::string optimizer : {"sgd", "adamw"}) {
    INFO(optimizer);
    TemporaryFolder folder;
    HostContext ctx(2);
    const auto set = features(ctx);
    LinearProbe<float, Host> whole(ctx, settings(optimizer)), first(ctx, settings(optimizer)),
        second(ctx, settings(optimizer));
    while (whole.steps_done() < 16) whole.step(rows_of(set));
    while (first.steps_done() < 7) first.step(rows_of(set));
    std::vector<i64> steps;
    write_safetensors(folder / "probe.safetensors", probe_views(first, steps), {});
    load_probe(second, read_safetensors(folder / "probe.safetensors"), 7, "probe.safetensors");
    while (second.steps_done() < 16) second.step(rows_of(set));
    CHECK(to_vector(second.params().masters()) == to_vector(whole.params().masters()));
  }
}

TEST_CASE("linear probe state: a checkpoint of other heads or another optimizer changes nothing", "[eval]") {
  TemporaryFolder folder;
  HostContext ctx(1);
  LinearProbe<float, Host> sgd(ctx, settings("sgd"));
  std::vector<i64> steps;
  write_safetensors(folder / "probe.safetensors", probe_views(sgd, steps), {});
  const auto state = read_safetensors(folder / "probe.safetensors");
  LinearProbe<float, Host> adamw(ctx, settings("adamw"));
  CHECK_THROWS_WITH(load_probe(adamw, state, 3, "probe"), contains("belongs to another optimizer"));
  auto wider = settings("sgd");
  wider.classes = 5;
  LinearProbe<float, Host> other(ctx, wider);
  const auto before = to_vector(other.params().masters());
  CHECK_THROWS_WITH(load_probe(other, state, 3, "probe"), contains("heads.a.weight"));
  CHECK(to_vector(other.params().masters()) == before);
  CHECK(other.steps_done() == 0);
}
