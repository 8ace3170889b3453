#include <dino/eval/finetune_state.hpp>
#include <dino/io/checkpoint.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "support/tiny_finetune.hpp"

using namespace dino;
using namespace tiny_finetune;

TEST_CASE("finetune_state: training continues bit for bit after a restart", "[eval]") {
  HostContext ctx(2);
  TemporaryFolder temporary;
  CheckpointFolder folder(temporary / "checkpoints");
  Trainer trainer(ctx, settings());
  for (u64 i = 0; i < 3; ++i) trainer.step(batch(i));
  std::vector<i64> steps;
  folder.save(3, finetune_views(trainer, steps), {});
  const auto loaded = folder.load_newest([](const std::string&) {});
  Trainer resumed(ctx, settings());
  load_finetune(resumed, loaded->state, loaded->step, "run");
  CHECK(everything(resumed) == everything(trainer));
  for (u64 i = 3; i < 6; ++i) CHECK(trainer.step(batch(i)).loss == resumed.step(batch(i)).loss);
  CHECK(everything(resumed) == everything(trainer));
  // Another number of classes: refused, and nothing has changed.
  auto other = settings();
  other.classes = 4;
  Trainer wrong(ctx, other);
  const auto before = everything(wrong);
  CHECK_THROWS_WITH(load_finetune(wrong, loaded->state, 3, "run"),
                    contains("run does not fit the model; head.weight is (3,8), the model needs (4,8)"));
  CHECK(everything(wrong) == before);
}
