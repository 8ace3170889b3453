#include <dino/io/checkpoint.hpp>

#include "support/catch.hpp"
#include "support/injected_calls.hpp"
#include "support/temporary_folder.hpp"

#include <sys/wait.h>

using namespace dino;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

StateDict state_at(i64 step, size_t size = 5000) {
  StateDict dict;
  std::vector<float> values(size);
  for (size_t i = 0; i < size; ++i) values[i] = static_cast<float>(step) + static_cast<float>(i) * 0.5f;
  dict.add("student.w", tensor_data(Shape{static_cast<i64>(size)}, values));
  dict.add("teacher.w", tensor_data(Shape{1, static_cast<i64>(size)}, values));
  dict.add("optim.steps", tensor_data(Shape{1}, std::vector<i64>{step}));
  dict.metadata = {{"epoch", "3"}, {"seed", "18446744073709551615"}, {"note", "\"quoted\""}};
  return dict;
}

std::vector<i64> steps_of(const CheckpointFolder& folder) {
  std::vector<i64> steps;
  for (const auto& item : folder.list()) steps.push_back(item.step);
  return steps;
}

struct Messages {
  std::vector<std::string> lines;
  CheckpointFolder::Report report() {
    return [this](const std::string& line) { lines.push_back(line); };
  }
};

std::optional<LoadedCheckpoint> load_quietly(CheckpointFolder& folder) {
  return folder.load_newest([](const std::string&) {});
}

void flip_bit(const fs::path& path, size_t byte) {
  auto bytes = read_text(path, 1 << 24);
  bytes[byte] = static_cast<char>(bytes[byte] ^ 4);
  write_file_atomic(path, bytes);
}

/// System calls of which number fatal_call, counted over all kinds, goes wrong in one of these ways.
enum class Fault { no_space, io_error, short_write, kill };
int calls_made = 0, fatal_call = 0;
Fault fault = Fault::kill;

bool strikes() {
  if (++calls_made != fatal_call) return false;
  if (fault == Fault::kill) ::_exit(77);
  errno = fault == Fault::no_space ? ENOSPC : EIO;
  return true;
}

FileCalls faulty_calls() {
  FileCalls calls;
  calls.open = [](const char* path, int flags, mode_t mode) { return strikes() ? -1 : ::open(path, flags, mode); };
  calls.write = [](int fd, const void* from, size_t size) -> ssize_t {
    if (!strikes()) return ::write(fd, from, size);
    return fault == Fault::short_write ? ::write(fd, from, (size + 1) / 2) : -1;
  };
  calls.reserve = [](int, off_t) { return strikes() ? -1 : 0; };
  calls.fsync = [](int) { return strikes() ? -1 : 0; };
  calls.close = [](int fd) {
    const bool bad = strikes();
    const int rc = ::close(fd);
    return bad ? (errno = EIO, -1) : rc;
  };
  calls.rename = [](const char* from, const char* to) { return strikes() ? -1 : ::rename(from, to); };
  calls.unlink = [](const char* path) { return strikes() ? -1 : ::unlink(path); };
  return calls;
}

/// Saves step 30 over steps 10 and 20 with the fault at call n. Returns how many calls were made.
int save_with_fault(const fs::path& path, int n) {
  const auto dict = state_at(30, 100);
  calls_made = 0;
  fatal_call = n;
  const Injected injected(faulty_calls());
  const auto sink = set_log_sink(nullptr);  // an old file that cannot be removed is a warning
  try {
    CheckpointFolder(path).save(30, dict);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::resources);
  }
  set_log_sink(sink);
  return calls_made;
}

/// Whatever happened, step 20 or step 30 is found and is what was saved; returns its step.
i64 check_recovery(const fs::path& path) {
  CheckpointFolder folder(path);
  const auto loaded = load_quietly(folder);
  REQUIRE(loaded.has_value());
  CHECK((loaded->step == 20 || loaded->step == 30));
  CHECK(loaded->state.at("student.w").bytes == state_at(loaded->step, 100).at("student.w").bytes);
  for (const auto& entry : fs::directory_iterator(path)) CHECK(entry.path().filename().string()[0] != '.');
  return loaded->step;
}

}  // namespace

TEST_CASE("checkpoint: tensors and texts come back", "[io]") {
  const TemporaryFolder folder;
  CheckpointFolder checkpoints(folder / "checkpoints");
  Messages messages;
  CHECK_FALSE(checkpoints.load_newest(messages.report()).has_value());
  checkpoints.save(12500, state_at(12500));
  const auto loaded = checkpoints.load_newest(messages.report());
  REQUIRE(loaded.has_value());
  CHECK(loaded->step == 12500);
  CHECK(loaded->path == folder / "checkpoints/step_0000012500.safetensors");
  CHECK(loaded->state.metadata == state_at(12500).metadata);
  CHECK(loaded->state.at("teacher.w").bytes == state_at(12500).at("teacher.w").bytes);
  CHECK(loaded->state.at("optim.steps").to<i64>() == std::vector<i64>{12500});
  CHECK(messages.lines == std::vector<std::string>{"using step_0000012500 (verified)"});
  CHECK(load_checkpoint(loaded->path).step == 12500);
}

TEST_CASE("checkpoint: last.json names the newest file, its size and its checksum", "[io]") {
  const TemporaryFolder folder;
  CheckpointFolder checkpoints(folder.path);
  checkpoints.save(7, state_at(7));
  const auto bytes = read_file(folder / "step_0000000007.safetensors", 1 << 20);
  CHECK(read_text(folder / "last.json", 1000) ==
        str("{\"v\":1,\"file\":\"step_0000000007.safetensors\",\"size\":{},\"crc\":\"{}\",\"step\":7,\"epoch\":3}\n",
            bytes.size(), detail::hex8(crc32c(bytes))));
  CHECK(detail::json_number_or_text("0.649") == "0.649");
  CHECK(detail::json_number_or_text("nan") == "\"nan\"");
  CHECK(detail::json_number_or_text("") == "\"\"");
}

TEST_CASE("checkpoint: old ones are removed, milestones and the best one stay", "[io]") {
  const TemporaryFolder folder;
  CheckpointFolder checkpoints(folder.path, {.keep = 2, .keep_every = 30});
  for (const i64 step : {10, 20, 30, 40}) checkpoints.save(step, state_at(step));
  CHECK(steps_of(checkpoints) == std::vector<i64>{40, 30});
  checkpoints.protect(40);
  for (const i64 step : {50, 60, 70}) checkpoints.save(step, state_at(step));
  CHECK(steps_of(checkpoints) == std::vector<i64>{70, 60, 40, 30});
  CHECK_THROWS_WITH(CheckpointFolder(folder.path, 1), Contains("at least 2 are kept"));
}

TEST_CASE("checkpoint: a damaged newest one is named and the next is used", "[io][fault][F02]") {
  const TemporaryFolder folder;
  CheckpointFolder checkpoints(folder.path);
  checkpoints.save(10, state_at(10));
  checkpoints.save(20, state_at(20));
  const auto path = folder / "step_0000000020.safetensors";
  flip_bit(path, static_cast<size_t>(fs::file_size(path)) - 1);
  Messages messages;
  auto loaded = checkpoints.load_newest(messages.report());
  REQUIRE(loaded.has_value());
  CHECK(loaded->step == 10);
  REQUIRE(messages.lines.size() == 2);
  CHECK_THAT(messages.lines[0], Contains("step_0000000020.safetensors: data of teacher.w is damaged (crc32c ") &&
                                    Contains("; falling back to step_0000000010"));
  CHECK(messages.lines[1] == "using step_0000000010 (verified)");
}

TEST_CASE("checkpoint: damaged files do not count as kept", "[io]") {
  const TemporaryFolder folder;
  CheckpointFolder checkpoints(folder.path);
  checkpoints.save(10, state_at(10));
  checkpoints.save(20, state_at(20));
  fs::resize_file(folder / "step_0000000020.safetensors", 0);  // renamed but empty: power loss
  REQUIRE(load_quietly(checkpoints)->step == 10);
  checkpoints.save(15, state_at(15));
  CHECK(steps_of(checkpoints) == std::vector<i64>{20, 15, 10});
  checkpoints.save(25, state_at(25));
  CHECK(steps_of(checkpoints) == std::vector<i64>{25, 15});
}

TEST_CASE("checkpoint: when none can be used the run does not start anew in silence", "[io][fault][F02]") {
  const TemporaryFolder folder;
  CheckpointFolder checkpoints(folder.path);
  checkpoints.save(10, state_at(10));
  fs::resize_file(folder / "step_0000000010.safetensors", 4096);
  CHECK_THROWS_WITH(load_quietly(checkpoints), Contains("none of the 1 checkpoints can be used"));
}

TEST_CASE("checkpoint: no flipped bit of the state goes unseen", "[io][fault]") {
  const TemporaryFolder folder;
  CheckpointFolder checkpoints(folder.path);
  checkpoints.save(10, state_at(10, 3));
  const auto path = folder / "step_0000000010.safetensors";
  const auto good = read_text(path, 1 << 20);
  const auto begin = good.find("dino.crc32c"), end = good.find("dino.version");
  REQUIRE(begin < good.find("\\\"seed\\\""));
  REQUIRE(good.find("\\\"seed\\\"") < end);
  for (size_t byte = begin; byte < end - 3; ++byte) {
    auto bytes = good;
    bytes[byte] = static_cast<char>(bytes[byte] ^ 1);
    write_file_atomic(path, bytes);
    bool seen = false;
    try {
      seen = load_checkpoint(path).state.metadata == state_at(10, 3).metadata;  // harmless: in kind or format
    } catch (const Error& error) {
      seen = error.kind() == ErrorKind::weights;
    }
    CHECK(seen);
  }
}

TEST_CASE("checkpoint: a newer one is refused, not passed over", "[io][fault][F34]") {
  const TemporaryFolder folder;
  CheckpointFolder checkpoints(folder.path);
  checkpoints.save(10, state_at(10));
  const std::string text = R"({"v":2,"step":20,"more":[1,2]})";
  const auto dict = state_at(20);
  const auto layout = layout_safetensors(dict.views(), {{"dino.version", "0.4"}, {"dino.state", text}});
  AtomicFile file(folder / "step_0000000020.safetensors");
  write_safetensors(file, layout, dict.views());
  file.commit();
  const auto message = Contains("written by dino 0.4, this is " DINO_VERSION);
  CHECK_THROWS_WITH(load_quietly(checkpoints), message);
  CHECK_THROWS_WITH(load_checkpoint(folder / "step_0000000020.safetensors"), message);
}

TEST_CASE("checkpoint: weights, renamed files and bad states are no checkpoints", "[io]") {
  const TemporaryFolder folder;
  const auto path = folder / "w.safetensors";
  const auto refuse = [&](const Metadata& metadata, const std::string& why) {
    write_safetensors(path, {}, metadata);
    CHECK_THROWS_WITH(load_checkpoint(path), Contains(why));
  };
  refuse({}, "is not a training checkpoint");
  refuse({{"dino.state", "{}"}}, "expected a key");
  refuse({{"dino.state", R"({"step":1})"}}, "expected the version first");
  refuse({{"dino.state", R"({"v":1})"}}, "there is no step");
  refuse({{"dino.state", R"({"v":1,"step":1,"step":2})"}}, "duplicate key step");
  refuse({{"dino.state", R"({"v":1,"step":1,"a":"b","a":"c"})"}}, "duplicate key a");
  refuse({{"dino.state", R"({"v":1,"step":1})"}}, "has no checksums");
  refuse({{"dino.state", R"({"v":1,"step":1})"}, {"dino.state_crc32c", "00000000"}}, "dino.state is damaged");
  CheckpointFolder checkpoints(folder.path);
  CHECK_THROWS_WITH(checkpoints.save(1, {}, {{"step", "2"}}), Contains("the name step is taken"));
  checkpoints.save(10, state_at(10));
  fs::copy_file(folder / "step_0000000010.safetensors", folder / "step_0000000020.safetensors");
  Messages messages;
  CHECK(checkpoints.load_newest(messages.report())->step == 10);
  CHECK_THAT(messages.lines[0], Contains("step_0000000020.safetensors: it holds step 10"));
}

TEST_CASE("checkpoint: only names of checkpoints have a step", "[io]") {
  CHECK(detail::step_name(12500) == "step_0000012500");
  CHECK(detail::step_name(123456789012) == "step_123456789012");
  CHECK(detail::step_of("step_0000012500.safetensors") == 12500);
  CHECK(detail::step_of("step_123456789012.safetensors") == 123456789012);
  for (const char* name :
       {"", "step_.safetensors", "step_12500.safetensors", "step_-000012500.safetensors", "step_00000125x0.safetensors",
        "step_0000012500.safetensors.bak", "last.json", "step_99999999999999999999.safetensors"}) {
    CHECK(detail::step_of(name) == std::nullopt);
  }
}

TEST_CASE("checkpoint: too little space is told with numbers before anything is written", "[io][fault][F03]") {
  const TemporaryFolder folder;
  CheckpointFolder checkpoints(folder.path);
  checkpoints.save(10, state_at(10));
  CHECK_NOTHROW(checkpoints.preflight(1000));
  FileCalls calls;
  calls.free_space = [](const char* path, struct statvfs* result) {
    const int rc = ::statvfs(path, result);
    result->f_frsize = 1;
    result->f_bavail = 20'000;
    return rc;
  };
  const Injected injected(calls);
  CHECK_THROWS_WITH(checkpoints.save(20, state_at(20)),
                    Contains("no space in " + folder.path.string() + " (need 4") && Contains(" kB, free 20 kB)"));
  CHECK_THROWS_WITH(checkpoints.preflight(703'000'000), Contains("(need 2.8 GB, free 20 kB)"));
  CHECK_NOTHROW(checkpoints.preflight(5000));
  CHECK_NOTHROW(checkpoints.preflight(15'000));  // 60 kB, of which 40 kB are there already
  CHECK(steps_of(checkpoints) == std::vector<i64>{10});
}

TEST_CASE("checkpoint: a folder that cannot be written is found before the work", "[io][fault][F05]") {
  const TemporaryFolder folder;
  FileCalls calls;
  calls.open = [](const char*, int, mode_t) { return errno = EROFS, -1; };
  {
    const Injected injected(calls);
    CHECK_THROWS_WITH(CheckpointFolder(folder.path).preflight(1),
                      Contains("cannot write to " + folder.path.string() + ": read-only file system. Use --out DIR"));
  }
  write_file_atomic(folder / "file", "");
  CHECK_THROWS_WITH(CheckpointFolder(folder / "file/below").preflight(1), Contains("Use --out DIR"));
}

TEST_CASE("checkpoint: bytes that do not read back are not published", "[io][fault]") {
  const TemporaryFolder folder;
  CheckpointFolder checkpoints(folder.path);
  checkpoints.save(10, state_at(10));
  FileCalls calls;
  calls.write = [](int fd, const void* from, size_t size) -> ssize_t {  // a disk that loses a block
    static const std::vector<u8> zeros(1 << 16);
    return ::write(fd, size == 20000 ? zeros.data() : from, size);
  };
  const Injected injected(calls);
  CHECK_THROWS_WITH(checkpoints.save(20, state_at(20)),
                    Contains("does not read back as it was written") && Contains("data of student.w is damaged"));
  CHECK(steps_of(checkpoints) == std::vector<i64>{10});
  CheckpointFolder trusting(folder.path, {.verify = false});
  CHECK_NOTHROW(trusting.save(20, state_at(20)));
}

TEST_CASE("checkpoint: a failure of any call leaves a good checkpoint", "[io][fault][F03]") {
  for (const auto kind : {Fault::no_space, Fault::io_error, Fault::short_write}) {
    fault = kind;
    int total = 1000;
    for (int n = 1; n <= total; ++n) {
      const TemporaryFolder folder;
      CheckpointFolder checkpoints(folder.path);
      checkpoints.save(10, state_at(10, 100));
      checkpoints.save(20, state_at(20, 100));
      const int made = save_with_fault(folder.path, n);
      if (made < n) total = made;
      check_recovery(folder.path);
    }
    CHECK(total < 100);
  }
}

TEST_CASE("checkpoint: a kill at any call leaves a good checkpoint", "[io][fault][F01]") {
  fault = Fault::kill;
  bool found_old = false, found_saved = false;
  for (int n = 1, status = 77; status == 77; ++n) {
    const TemporaryFolder folder;
    CheckpointFolder checkpoints(folder.path);
    checkpoints.save(10, state_at(10, 100));
    checkpoints.save(20, state_at(20, 100));
    const pid_t child = ::fork();
    if (child == 0) {
      save_with_fault(folder.path, n);
      ::_exit(0);
    }
    REQUIRE(::waitpid(child, &status, 0) == child);
    status = WEXITSTATUS(status);
    (check_recovery(folder.path) == 20 ? found_old : found_saved) = true;
  }
  CHECK(found_old);
  CHECK(found_saved);
}

TEST_CASE("checkpoint: an unfinished file is removed and named", "[io][fault][F01]") {
  const TemporaryFolder folder;
  CheckpointFolder checkpoints(folder.path);
  checkpoints.save(10, state_at(10));
  const pid_t child = ::fork();
  if (child == 0) {
    AtomicFile file(folder / "step_0000000020.safetensors", "20");
    file.write("a part");
    ::_exit(0);
  }
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  Messages messages;
  CHECK(checkpoints.load_newest(messages.report())->step == 10);
  REQUIRE(messages.lines.size() == 2);
  CHECK_THAT(messages.lines[0], Contains(str("removed unfinished .tmp-20-{}-", child)));
  CHECK(messages.lines[1] == "using step_0000000010 (verified)");
}
