#include <dino/io/progress.hpp>

#include "support/catch.hpp"

using namespace dino;

namespace {

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

/// A progress line with a clock that the test sets, and everything that it prints.
struct Screen {
  double now = 1000;
  i64 width = 200;
  std::string text;
  std::vector<std::string> log;

  ProgressOutput output(bool terminal, i64 log_every = 50) {
    return {.terminal = terminal,
            .colour = false,
            .log_every = log_every,
            .width = [this] { return width; },
            .clock = [this] { return now; },
            .out = [this](std::string_view s) { text += s; },
            .log = [this](std::string_view s) { log.emplace_back(s); }};
  }
};

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
const ProgressPlan plan{.epochs = 100, .steps_per_epoch = 1251, .samples_per_step = 1024, .ln_k = 11.0904};

}  // namespace

TEST_CASE("progress: the line on a wide terminal", "[io]") {
  Screen screen;
  Progress progress(plan, screen.output(true));
  screen.now += 200;
  progress.update({.step = 588, .loss = 10.4119, .lr = 9.4e-5, .data_wait = 0.03});
  CHECK(screen.text ==
        "\r\x1b[Kepoch   1/100 [=========>          ] 47%  step 588  loss 10.412 (ln K 11.09)  lr 9.4e-05  3,011 img/s"
        "  wait 3%  ETA 11h 45m");
  progress.finish();
  CHECK(screen.text.back() == '\n');
}

TEST_CASE("progress: without a terminal there is a plain line per interval and at the ends of epochs", "[io]") {
  Screen screen;
  Progress progress({.epochs = 2, .steps_per_epoch = 8, .samples_per_step = 32}, screen.output(false, 5));
  for (i64 step = 1; step <= 16; ++step) {
    screen.now += 2;
    progress.update({.step = step, .loss = 4, .lr = 1e-3});
  }
  CHECK(screen.text ==
        "epoch 1/2  12%  step 1  loss 4.000  lr 1.0e-03  16 img/s  ETA 30s\n"
        "epoch 1/2  62%  step 5  loss 4.000  lr 1.0e-03  16 img/s  ETA 22s\n"
        "epoch 1/2 100%  step 8  loss 4.000  lr 1.0e-03  16 img/s  ETA 16s\n"
        "epoch 2/2  25%  step 10  loss 4.000  lr 1.0e-03  16 img/s  ETA 12s\n"
        "epoch 2/2  87%  step 15  loss 4.000  lr 1.0e-03  16 img/s  ETA 2s\n"
        "epoch 2/2 100%  step 16  loss 4.000  lr 1.0e-03  16 img/s  ETA 0s\n");
  REQUIRE(screen.log.size() == 6);
  CHECK(screen.log[1] + "\n" == screen.text.substr(66, 66));
}

TEST_CASE("progress: the line never fills the last column, whatever the width", "[io]") {
  Screen screen;
  Progress progress(plan, screen.output(true));
  for (screen.width = 1; screen.width <= 140; ++screen.width) {
    screen.text.clear();
    screen.now += 1;
    progress.update({.step = screen.width, .loss = 10.4, .lr = 9.4e-5, .data_wait = 0.03});
    const std::string line = screen.text.substr(4);
    CHECK(static_cast<i64>(line.size()) <= std::max<i64>(screen.width - 1, 1));
  }
}

TEST_CASE("progress: a narrow terminal keeps epoch, loss and time left", "[io]") {
  Screen screen;
  screen.width = 80;
  Progress progress(plan, screen.output(true));
  screen.now += 200;
  const ProgressState state{.step = 588, .loss = 10.4119, .lr = 9.4e-5, .data_wait = 0.03};
  progress.update(state);
  CHECK(screen.text.substr(4) == "epoch   1/100 [====>     ] 47%  step 588  loss 10.412  3,011 img/s  ETA 11h 45m");
  screen.text.clear();
  screen.width = 45;
  screen.now += 1;
  progress.update(state);
  CHECK(screen.text.substr(4, 27) == "epoch   1/100  loss 10.412 ");
  CHECK(has(screen.text, "ETA"));
}

TEST_CASE("progress: redraws are limited, an epoch's last line stays", "[io]") {
  Screen screen;
  Progress progress({.epochs = 1, .steps_per_epoch = 100}, screen.output(true));
  for (i64 step = 1; step <= 99; ++step) {
    screen.now += 0.01;
    progress.update({.step = step, .loss = 1});
  }
  const auto redraws = std::count(screen.text.begin(), screen.text.end(), '\r');
  CHECK(redraws >= 9);
  CHECK(redraws <= 11);
  CHECK_FALSE(has(screen.text, "\n"));
  progress.update({.step = 100, .loss = 1});
  CHECK(has(screen.text, "100%"));
  CHECK(screen.text.back() == '\n');
  const auto size = screen.text.size();
  progress.finish();
  CHECK(screen.text.size() == size);
}

TEST_CASE("progress: a note stands above the line, which is drawn again", "[io]") {
  Screen screen;
  Progress progress({.epochs = 1, .steps_per_epoch = 4}, screen.output(true));
  progress.note("start");
  CHECK(screen.text == "start\n");
  screen.now += 1;
  progress.update({.step = 1, .loss = 2});
  screen.text.clear();
  progress.note("  + checkpoint step_0000000001 verified");
  CHECK(screen.text ==
        "\r\x1b[K  + checkpoint step_0000000001 verified\n\r\x1b[K"
        "epoch 1/1 [=====>              ] 25%  step 1  loss 2.000  1.0 img/s  ETA 3s");
  REQUIRE(screen.log.size() == 3);
  CHECK(screen.log[2] == "  + checkpoint step_0000000001 verified");
}

TEST_CASE("progress: colour marks notes on the screen only", "[io]") {
  Screen screen;
  auto output = screen.output(true);
  output.colour = true;
  Progress progress({}, std::move(output));
  progress.note("  ! bad image");
  progress.note("  + saved");
  progress.note("plain");
  CHECK(screen.text == "\x1b[33m  ! bad image\x1b[0m\n\x1b[32m  + saved\x1b[0m\nplain\n");
  CHECK(screen.log == std::vector<std::string>{"  ! bad image", "  + saved", "plain"});
}

TEST_CASE("progress: nothing that is not a number is printed, also when the clock jumps", "[io][fault][F26]") {
  Screen screen;
  Progress progress({.epochs = 1, .steps_per_epoch = 10, .ln_k = not_a_number}, screen.output(false, 1));
  progress.update({.step = 1, .loss = not_a_number, .lr = not_a_number, .data_wait = not_a_number});
  CHECK(screen.text == "epoch 1/1  10%  step 1  loss --  -- img/s  ETA --\n");
  screen.now -= 500;
  progress.update({.step = 2, .loss = 1.0 / 0.0, .lr = 1.0 / 0.0, .data_wait = -1.0 / 0.0});
  screen.now += 1e9;
  progress.update({.step = 3, .loss = -1.0 / 0.0});
  screen.now -= 1e9;
  progress.update({.step = 4, .loss = 1e300});
  CHECK_FALSE(has(screen.text, "nan"));
  CHECK_FALSE(has(screen.text, "inf"));
  CHECK_FALSE(has(screen.text, "e+"));
}

TEST_CASE("progress: a resumed run counts only its own samples in the rate", "[io]") {
  Screen screen;
  Progress progress({.epochs = 10, .steps_per_epoch = 100, .samples_per_step = 8, .first_step = 500, .last_step = 700},
                    screen.output(false));
  screen.now += 4;
  progress.update({.step = 501, .loss = 3});
  CHECK(screen.text == "epoch  6/10   1%  step 501  loss 3.000  2.0 img/s  ETA 13m 16s\n");
  CHECK(progress.images_per_second() == Approx(2));
}

TEST_CASE("progress: the rate forgets a slow start", "[io]") {
  MovingRate rate(60);
  CHECK(std::isnan(rate.rate()));
  rate.add(10, 100);
  CHECK(rate.rate() == Approx(0.1));
  for (int i = 0; i < 600; ++i) rate.add(50, 1);
  CHECK(rate.rate() == Approx(50).epsilon(0.001));
  rate.add(50, -3);
  CHECK(std::isfinite(rate.rate()));
}

TEST_CASE("progress: rates read as people write them", "[io]") {
  CHECK(format_rate(3120.4) == "3,120");
  CHECK(format_rate(9.96) == "10");
  CHECK(format_rate(2.44) == "2.4");
  CHECK(format_rate(0) == "0.0");
  CHECK(format_rate(not_a_number) == "--");
  CHECK(format_rate(1.0 / 0.0) == "--");
}
