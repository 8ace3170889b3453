#include <dino/ssl/config.hpp>

#include "support/catch.hpp"

using namespace dino;

TEST_CASE("config: the defaults are the recipe of the reference", "[ssl]") {
  const DinoConfig c;
  CHECK(c.backbone.dim == 384);
  CHECK(c.backbone.patch_size == 16);
  CHECK(c.head.outputs == 65536);
  CHECK(c.head.layers == 3);
  CHECK(c.head.hidden == 2048);
  CHECK(c.head.bottleneck == 256);
  CHECK(c.head.norm_last_layer);
  CHECK_FALSE(c.head.use_bn);
  CHECK(c.drop_path == 0.1);
  CHECK(c.optimizer == "adamw");
  CHECK(c.clip == 3.0);
  CHECK(c.student_temp == 0.1);
  CHECK(c.center_momentum == 0.9);
}

TEST_CASE("config: schedules of rate, decay and momentum run over all steps", "[ssl]") {
  const DinoConfig c{.total_steps = 100, .steps_per_epoch = 10, .warmup_steps = 20};
  CHECK(c.lr_schedule()(0) == 0);
  CHECK(c.lr_schedule()(19) == 5e-4);
  CHECK(c.lr_schedule()(20) == 5e-4);
  CHECK(c.lr_schedule()(60) == Approx((5e-4 + 1e-6) / 2));
  CHECK(c.decay_schedule()(0) == Approx(0.04));
  CHECK(c.decay_schedule()(50) == Approx(0.22));
  CHECK(c.momentum_schedule()(0) == 0.996);
  CHECK(c.momentum_schedule()(50) == Approx(0.998));
}

TEST_CASE("config: the teacher's temperature changes once an epoch", "[ssl]") {
  const DinoConfig c{.total_steps = 100,
                     .steps_per_epoch = 10,
                     .warmup_teacher_temp = 0.04,
                     .teacher_temp = 0.07,
                     .warmup_teacher_steps = 40};
  CHECK(c.teacher_temp_at(0) == 0.04);
  CHECK(c.teacher_temp_at(9) == 0.04);
  CHECK(c.teacher_temp_at(10) == Approx(0.05));
  CHECK(c.teacher_temp_at(29) == Approx(0.06));
  CHECK(c.teacher_temp_at(39) == Approx(0.07));
  CHECK(c.teacher_temp_at(40) == 0.07);
  CHECK(c.teacher_temp_at(99) == 0.07);
}

TEST_CASE("config: on request the teacher's temperature changes every step", "[ssl]") {
  const DinoConfig c{.total_steps = 100,
                     .steps_per_epoch = 10,
                     .warmup_teacher_temp = 0.04,
                     .teacher_temp = 0.07,
                     .warmup_teacher_steps = 31,
                     .teacher_temp_per_step = true};
  CHECK(c.teacher_temp_at(0) == 0.04);
  CHECK(c.teacher_temp_at(1) == Approx(0.041));
  CHECK(c.teacher_temp_at(15) == Approx(0.055));
  CHECK(c.teacher_temp_at(30) == Approx(0.07));
  CHECK(c.teacher_temp_at(31) == 0.07);
}

TEST_CASE("config: without warm-up the teacher's temperature is the final one", "[ssl]") {
  const DinoConfig c{.total_steps = 10, .steps_per_epoch = 5, .warmup_teacher_temp = 0.01, .teacher_temp = 0.06};
  CHECK(c.teacher_temp_at(0) == 0.06);
  CHECK(c.teacher_temp_at(7) == 0.06);
}
