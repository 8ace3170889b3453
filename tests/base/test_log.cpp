#include <dino/base/log.hpp>

#include "support/catch.hpp"

#include <thread>
#include <utility>
#include <vector>

using namespace dino;

namespace {

// Puts the sink back at the end of a test.
class SinkGuard {
 public:
  explicit SinkGuard(LogSink sink) : old_(set_log_sink(std::move(sink))) {}
  ~SinkGuard() { set_log_sink(std::move(old_)); }
  SinkGuard(const SinkGuard&) = delete;
  SinkGuard& operator=(const SinkGuard&) = delete;

 private:
  LogSink old_;
};

}  // namespace

TEST_CASE("log: a replaced sink receives level and formatted message", "[base]") {
  std::vector<std::pair<LogLevel, std::string>> seen;
  const SinkGuard guard([&](LogLevel level, const std::string& message) { seen.push_back({level, message}); });
  log_info("epoch {} of {}", 3, 100);
  log_warning("{} lines lost", 14);
  REQUIRE(seen.size() == 2);
  CHECK(seen[0] == std::pair{LogLevel::info, std::string("epoch 3 of 100")});
  CHECK(seen[1] == std::pair{LogLevel::warning, std::string("14 lines lost")});
}

TEST_CASE("log: set_log_sink returns the sink that it replaces", "[base]") {
  int first = 0, second = 0;
  const SinkGuard guard([&](LogLevel, const std::string&) { ++first; });
  LogSink old = set_log_sink([&](LogLevel, const std::string&) { ++second; });
  log_info("x");
  CHECK((first == 0 && second == 1));
  set_log_sink(std::move(old));
  log_info("x");
  CHECK((first == 1 && second == 1));
}

TEST_CASE("log: a null sink is silence", "[base]") {
  int seen = 0;
  const SinkGuard guard([&](LogLevel, const std::string&) { ++seen; });
  LogSink old = set_log_sink(nullptr);
  log_warning("nobody hears this");
  set_log_sink(std::move(old));
  CHECK(seen == 0);
  log_warning("somebody hears this");
  CHECK(seen == 1);
}

TEST_CASE("log: the default sink writes to stderr and marks warnings", "[base]") {
  std::ostringstream text;
  std::streambuf* const old = std::cerr.rdbuf(text.rdbuf());
  const LogSink sink = detail::LogState{}.sink;
  sink(LogLevel::info, "step 1");
  sink(LogLevel::warning, "disk is full");
  std::cerr.rdbuf(old);
  CHECK(text.str() == "step 1\nwarning: disk is full\n");
}

TEST_CASE("log: messages of several threads arrive whole", "[base]") {
  std::vector<std::string> seen;
  const SinkGuard guard([&](LogLevel, const std::string& message) { seen.push_back(message); });
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 100; ++i) log_info("one message");
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(seen == std::vector<std::string>(400, "one message"));
}
