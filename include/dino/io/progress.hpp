// The line that tells how far a run is: redrawn on a terminal, one line per interval elsewhere.
#pragma once

#include <dino/io/clock.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <mutex>
#include <string_view>
#include <vector>

#include <sys/ioctl.h>
#include <unistd.h>

namespace dino::inline DINO_ABI {

/// The length of a run. Epochs and steps count from 1, "done" from 0.
struct ProgressPlan {
  i64 epochs = 1, steps_per_epoch = 1, samples_per_step = 1;
  i64 first_step = 0;                                      // updates done before this start
  i64 last_step = 0;                                       // 0: epochs * steps_per_epoch
  double ln_k = std::numeric_limits<double>::quiet_NaN();  // the loss of a uniform output; NaN: not shown
};

/// One update. A number that is not finite is left out of the line, a loss is shown as "--".
struct ProgressState {
  i64 step = 0;  // updates done
  double loss = std::numeric_limits<double>::quiet_NaN();
  double lr = std::numeric_limits<double>::quiet_NaN();
  double data_wait = std::numeric_limits<double>::quiet_NaN();  // fraction of the time
};

struct ProgressOutput {
  bool terminal = false, colour = false;
  i64 log_every = 50;                                   // steps per plain line; 0: only the ends of epochs
  std::function<i64()> width = [] { return i64{80}; };  // columns of the terminal
  std::function<double()> clock = monotonic_seconds;
  std::function<void(std::string_view)> out = {};  // what the terminal is sent
  std::function<void(std::string_view)> log = {};  // whole lines without control codes, for train.log
};

/// Standard error as it is: a terminal or not, its width, and whether colour is wanted (NO_COLOR unset and TERM not
/// dumb).
inline ProgressOutput standard_error() {
  const char* const term = std::getenv("TERM");
  const char* const no_colour = std::getenv("NO_COLOR");
  ProgressOutput output;
  output.terminal = ::isatty(STDERR_FILENO) && term && std::string_view(term) != "dumb";
  output.colour = output.terminal && !(no_colour && *no_colour);
  output.width = [] {
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? i64{size.ws_col} : i64{80};
  };
  output.out = [](std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::write(STDERR_FILENO, text.data(), text.size());
      if (n <= 0) return;  // nobody reads any more: the run goes on
      text.remove_prefix(static_cast<size_t>(n));
    }
  };
  return output;
}

/// Samples per second as an average that forgets: what happened `memory` seconds ago weighs 1/e.
class MovingRate {
 public:
  explicit MovingRate(double memory = 60) : memory_(memory) {}

  void add(double samples, double seconds) {
    const double elapsed = std::max(seconds, 0.0), keep = std::exp(-elapsed / memory_);
    samples_ = samples_ * keep + samples;
    seconds_ = seconds_ * keep + elapsed;
  }

  /// NaN before any time has passed.
  double rate() const { return seconds_ > 0 ? samples_ / seconds_ : std::numeric_limits<double>::quiet_NaN(); }

 private:
  double memory_, samples_ = 0, seconds_ = 0;
};

/// "3,120", and below ten "2.4"; "--" when not finite.
inline std::string format_rate(double rate) {
  if (!(rate >= 0 && rate < 1e15)) return "--";
  if (rate >= 9.95) return format_count(std::llround(rate));
  char text[16];
  std::snprintf(text, sizeof text, "%.1f", rate);
  return text;
}

/// Shows a run. Lines of several threads do not mix.
///     epoch   1/100 [=========>          ] 47%  step 588  loss 10.412 (ln K 11.09)  lr 9.4e-05  3,120 img/s  wait 3%
///     ETA 11h 20m
/// The line never wraps: where the terminal is narrow, what matters least is left out. The time left is the samples
/// left over their moving rate. A finished epoch stays on the screen.
class Progress {
 public:
  Progress(const ProgressPlan& plan, ProgressOutput output)
      : plan_(plan), output_(std::move(output)), last_time_(output_.clock()), last_step_(plan.first_step) {
    if (plan_.last_step <= 0) plan_.last_step = plan_.epochs * plan_.steps_per_epoch;
    if (!output_.out) output_.out = [](std::string_view) {};
    if (!output_.log) output_.log = [](std::string_view) {};
  }
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(const ProgressState& state) {
    const std::lock_guard lock(mutex_);
    const double now = output_.clock();
    rate_.add(static_cast<double>((state.step - last_step_) * plan_.samples_per_step), now - last_time_);
    const bool first = last_step_ == plan_.first_step;
    last_time_ = std::max(last_time_, now);
    last_step_ = state.step;
    state_ = state;
    const bool epoch_end = state.step % plan_.steps_per_epoch == 0 || state.step == plan_.last_step;
    const bool due = first || epoch_end || (output_.log_every > 0 && state.step % output_.log_every == 0);
    if (due) output_.log(plain_line());
    if (!output_.terminal) {
      if (due) output_.out(plain_line() + "\n");
    } else if (epoch_end) {
      output_.out(clear + fitted_line() + "\n");
      drawn_ = false;
    } else if (!drawn_ || now >= next_draw_) {
      draw(now);
    }
  }

  /// Prints a line, or several, above the progress line: "  + checkpoint ...", "  ! bad image ...".
  void note(std::string_view text) {
    const std::lock_guard lock(mutex_);
    output_.log(text);
    const bool redraw = drawn_;
    output_.out((redraw ? std::string(clear) : "") + painted(text) + "\n");
    if (redraw) draw(output_.clock());
  }

  /// Ends the progress line; later notes stand alone.
  void finish() {
    const std::lock_guard lock(mutex_);
    if (drawn_) output_.out("\n");
    drawn_ = false;
  }

  /// Images per second, the average that the line shows; NaN before the first update.
  double images_per_second() const {
    const std::lock_guard lock(mutex_);
    return rate_.rate();
  }

 private:
  static constexpr const char* clear = "\r\x1b[K";

  /// A part of the line. Parts with a high rank are left out first; 0: never.
  struct Part {
    std::string text;
    int rank;
  };

  void draw(double now) {
    constexpr double interval = 0.1;  // seconds
    output_.out(clear + fitted_line());
    drawn_ = true;
    next_draw_ = now + interval;
  }

  std::string painted(std::string_view text) const {
    const char* const colour = !output_.colour            ? ""
                               : text.starts_with("  ! ") ? "\x1b[33m"
                               : text.starts_with("  + ") ? "\x1b[32m"
                                                          : "";
    return *colour ? colour + std::string(text) + "\x1b[0m" : std::string(text);
  }

  static std::string format(const char* pattern, double value) {
    char text[40];
    return std::string(text, static_cast<size_t>(std::snprintf(text, sizeof text, pattern, value)));
  }

  static bool shown(double x) { return std::abs(x) < 1e12; }

  /// Done updates of the current epoch over its length.
  double fraction() const {
    const i64 done = state_.step - (epoch() - 1) * plan_.steps_per_epoch;
    return static_cast<double>(done) / static_cast<double>(plan_.steps_per_epoch);
  }

  i64 epoch() const { return std::clamp((state_.step - 1) / plan_.steps_per_epoch + 1, i64{1}, plan_.epochs); }

  static std::string bar(double fraction, i64 width) {
    const auto filled =
        static_cast<size_t>(std::clamp(static_cast<i64>(fraction * static_cast<double>(width)), i64{0}, width));
    std::string text(static_cast<size_t>(width), ' ');
    std::fill_n(text.begin(), filled, '=');
    if (filled < text.size()) text[filled] = '>';
    return " [" + text + "]";
  }

  std::vector<Part> parts(i64 bar_width) const {
    const std::string epochs = std::to_string(plan_.epochs), number = std::to_string(epoch());
    const std::string pad(epochs.size() - std::min(epochs.size(), number.size()), ' ');
    const auto left = static_cast<double>((plan_.last_step - state_.step) * plan_.samples_per_step);
    const std::string percent = std::to_string(static_cast<i64>(100 * fraction() + 1e-9)) + "%";
    std::vector<Part> all;
    all.push_back({"epoch " + pad + number + "/" + epochs, 0});
    if (bar_width > 0) all.push_back({bar(fraction(), bar_width), 3});
    const size_t columns = bar_width > 0 ? 4 : 5;
    all.push_back({std::string(columns > percent.size() ? columns - percent.size() : 1, ' ') + percent, 4});
    all.push_back({"  step " + std::to_string(state_.step), 2});
    all.push_back({"  loss " + (shown(state_.loss) ? format("%.3f", state_.loss) : "--"), 0});
    if (shown(plan_.ln_k)) all.push_back({format(" (ln K %.2f)", plan_.ln_k), 7});
    if (shown(state_.lr)) all.push_back({format("  lr %.1e", state_.lr), 6});
    all.push_back({"  " + format_rate(rate_.rate()) + " img/s", 5});
    if (shown(state_.data_wait)) all.push_back({format("  wait %.0f%%", 100 * state_.data_wait), 8});
    all.push_back({"  ETA " + format_duration(left > 0 ? left / rate_.rate() : 0), 1});
    return all;
  }

  static i64 length(const std::vector<Part>& all) {
    i64 sum = 0;
    for (const auto& part : all) sum += static_cast<i64>(part.text.size());
    return sum;
  }

  static std::string joined(const std::vector<Part>& all) {
    std::string line;
    for (const auto& part : all) line += part.text;
    return line;
  }

  std::string plain_line() const { return joined(parts(0)); }

  /// The line in at most width - 1 columns: a full last column would wrap on some terminals.
  std::string fitted_line() const {
    const i64 room = std::max<i64>(output_.width() - 1, 1);
    auto all = parts(20);
    if (length(all) > room) all = parts(10);
    while (length(all) > room) {
      const auto least = std::max_element(all.begin(), all.end(), [](auto& a, auto& b) { return a.rank < b.rank; });
      if (least->rank == 0) break;
      all.erase(least);
    }
    return joined(all).substr(0, static_cast<size_t>(room));
  }

  ProgressPlan plan_;
  ProgressOutput output_;
  mutable std::mutex mutex_;
  MovingRate rate_;
  ProgressState state_;
  double last_time_, next_draw_ = 0;
  i64 last_step_;
  bool drawn_ = false;
};

}  // namespace dino::inline DINO_ABI
