#include <dino/optim/schedule.hpp>

#include "support/catch.hpp"

#include <vector>

using namespace dino;

TEST_CASE("schedule: cosine with warm-up, values of the reference", "[optim][golden]") {
  const CosineSchedule s{.base = 5e-4, .final = 1e-6, .total = 12, .warmup = 4};
  const std::vector<double> expected{0,        1.6667e-4,     3.3333e-4,     5e-4,
                                     5e-4,     4.81007943e-4, 4.26923142e-4, 3.45979516e-4,
                                     2.505e-4, 1.55020484e-4, 7.40768581e-5, 1.99920566e-5};
  for (size_t i = 0; i < expected.size(); ++i) {
    INFO("step " << i);
    CHECK(s(static_cast<i64>(i)) == Approx(expected[i]).epsilon(i < 3 ? 5e-5 : 1e-8));  // digits printed
  }
}

TEST_CASE("schedule: the vanilla run of the reference", "[optim][golden]") {
  constexpr i64 total = 2502 * 100, warmup = 2502 * 10;
  const CosineSchedule lr{.base = 1e-3, .final = 1e-6, .total = total, .warmup = warmup};
  CHECK(lr(1) == Approx(3.99696e-8).epsilon(1e-6));
  CHECK(lr(25019) == 1e-3);
  CHECK(lr(25020) == 1e-3);
  CHECK(lr(125100) == Approx(5.87237e-4).epsilon(1e-6));
  CHECK(lr(total - 1) == Approx(1.00000005e-6).epsilon(1e-8));
  CHECK(lr(total - 1) > 1e-6);  // the last value is not exactly the final one
  const CosineSchedule momentum{.base = 0.996, .final = 1, .total = total};
  CHECK(momentum(0) == 0.996);
  CHECK(momentum(125100) == Approx(0.998).epsilon(1e-14));
  const CosineSchedule decay{.base = 0.04, .final = 0.4, .total = total};
  CHECK(decay(125100) == Approx(0.22).epsilon(1e-14));
}

TEST_CASE("schedule: the first rate is exactly 0 and the base rate comes twice", "[optim]") {
  const CosineSchedule s{.base = 0.3, .final = 0.1, .total = 9, .warmup = 3};
  CHECK(s(0) == 0);
  CHECK(s(2) == 0.3);
  CHECK(s(3) == 0.3);
  CHECK(s(1) == Approx(0.15));
  CHECK(s(4) < 0.3);
}

TEST_CASE("schedule: warm-up of none, of one step, of the whole run, and from a start value", "[optim]") {
  CHECK(CosineSchedule{.base = 2, .final = 1, .total = 4}(0) == 2);
  CHECK(CosineSchedule{.base = 2, .final = 1, .total = 4, .warmup = 1}(0) == 0);
  CHECK(CosineSchedule{.base = 2, .final = 1, .total = 4, .warmup = 1}(1) == 2);
  CHECK(CosineSchedule{.base = 2, .final = 1, .total = 3, .warmup = 3}(2) == 2);
  CHECK(CosineSchedule{.base = 2, .final = 1, .total = 3, .warmup = 3}(3) == 1);  // behind the end: the final value
  CHECK(CosineSchedule{.base = 2, .final = 1, .total = 4}(100) == 1);
  const CosineSchedule s{.base = 2, .final = 1, .total = 9, .warmup = 3, .warmup_start = 1};
  CHECK(s(0) == 1);
  CHECK(s(1) == 1.5);
}

TEST_CASE("schedule: teacher temperatures include both ends and stay", "[optim]") {
  const LinearSchedule s{.start = 0.04, .final = 0.07, .warmup = 4};
  CHECK(s(0) == 0.04);
  CHECK(s(1) == Approx(0.05));
  CHECK(s(2) == Approx(0.06));
  CHECK(s(3) == Approx(0.07));
  CHECK(s(4) == 0.07);
  CHECK(s(1000) == 0.07);
  CHECK(LinearSchedule{.start = 0.04, .final = 0.07, .warmup = 0}(0) == 0.07);
  CHECK(LinearSchedule{.start = 0.04, .final = 0.07, .warmup = 1}(0) == 0.04);
}
