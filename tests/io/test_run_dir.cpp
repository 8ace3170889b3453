#include <dino/io/run_dir.hpp>

#include "support/catch.hpp"

#include <iterator>

#include <sys/wait.h>

using namespace dino;
namespace fs = std::filesystem;

namespace {

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// An empty folder of its own, removed at the end.
struct Folder {
  fs::path path = fs::temp_directory_path() / ("dino_run_dir_" + std::to_string(::getpid()));
  Folder() { fs::remove_all(path), fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
};

/// The error that making the folder ends with; Error{internal, ""} when there is none.
Error refusal(const RunRequest& request) {
  try {
    RunDir run(request);
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::internal, "");
}

}  // namespace

TEST_CASE("run_dir: versions are counted upwards and a gap is not filled", "[io]") {
  Folder folder;
  const RunRequest request{.backbone = "vit-s-16", .root = folder.path};
  const auto parent = folder.path / "pretrain" / "vit-s-16";
  const RunDir first(request), second(request);
  CHECK(first.path() == parent / "version_0");
  CHECK(second.path() == parent / "version_1");
  CHECK_FALSE(first.resumed());
  fs::create_directories(parent / "version_7");
  fs::create_directories(parent / "version_9.old-20260123T214005Z");
  fs::create_directories(parent / "version_x");
  CHECK(RunDir(request).path() == parent / "version_8");
  RunRequest fixed = request;
  fixed.version = 3;
  CHECK(RunDir(fixed).path() == parent / "version_3");
  CHECK(fs::is_directory(parent / "version_3" / "checkpoints"));
  CHECK(fs::is_directory(parent / "version_3" / "export"));
}

TEST_CASE("run_dir: a run is resumed, unless resuming is off", "[io]") {
  Folder folder;
  RunRequest request{.out = folder.path / "a"};
  {
    RunDir run(request);
    run.write_config("{\"lr\": 1}\n");
    CHECK_FALSE(run.resumed());
  }
  {
    RunDir again(request);
    CHECK(again.resumed());
    CHECK(again.read_config() == "{\"lr\": 1}\n");
  }
  request.resume = false;
  const Error error = refusal(request);
  CHECK(error.kind() == ErrorKind::usage);
  CHECK(has(error.what(), "a holds a run already. Use --resume auto to continue it, another --out, or --overwrite"));
}

TEST_CASE("run_dir: a program that does not train gets an empty folder, and never one twice", "[io]") {
  Folder folder;
  RunRequest request{.program = "attention", .backbone = "vit-s-8", .root = folder.path, .trains = false};
  {
    RunDir run(request);
    CHECK(run.path() == folder.path / "attention" / "vit-s-8" / "version_0");
    run.log("nothing");
    CHECK(run.lost() == 0);
    run.write_config("{}\n");
    for (const auto& entry : fs::directory_iterator(run.path())) {
      const auto name = entry.path().filename();
      CHECK((name == ".lock" || name == "config.json"));
    }
  }
  request.version = 0;
  CHECK(has(refusal(request).what(), "version_0 holds a run already. Use another --out, or --overwrite to rename it"));
  request.out = folder.path / "other";
  fs::create_directories(request.out / "holiday");
  const Error error = refusal(request);
  CHECK(error.kind() == ErrorKind::usage);
  CHECK(has(error.what(), "other exists and is not empty (it holds holiday). Use another --out"));
  request.overwrite = true;
  CHECK(RunDir(request).path() == request.out);
  CHECK_FALSE(fs::exists(request.out / "holiday"));
}

TEST_CASE("run_dir: what a start killed before config.json left behind does not stop the next", "[io]") {
  Folder folder;
  const RunRequest request{.out = folder.path / "a", .resume = false};
  {
    RunDir run(request);
    run.write_command({"dino_pretrain"});
    run.write_environment(environment());
  }
  std::ofstream(folder.path / "a" / ".tmp-config.json-1-0123abcd") << "x";
  const RunDir again(request);
  CHECK_FALSE(again.resumed());
}

TEST_CASE("run_dir: a folder with other things is refused and left alone", "[io]") {
  Folder folder;
  fs::create_directories(folder.path / "photos");
  std::ofstream(folder.path / "photos" / "cat.jpg") << "x";
  const Error error = refusal({.out = folder.path / "photos"});
  CHECK(error.kind() == ErrorKind::usage);
  CHECK(has(error.what(), "photos exists and is not a run that can be resumed (it holds cat.jpg)"));
  CHECK_FALSE(fs::exists(folder.path / "photos" / "checkpoints"));
  fs::create_directories(folder.path / "b" / "checkpoints");
  std::ofstream(folder.path / "b" / "checkpoints" / "step_1.safetensors") << "x";
  CHECK(has(refusal({.out = folder.path / "b"}).what(), "(it holds checkpoints)"));
}

TEST_CASE("run_dir: overwrite renames the old folder", "[io]") {
  Folder folder;
  RunRequest request{.out = folder.path / "a", .resume = false, .overwrite = true};
  for (int i = 0; i < 3; ++i) {
    RunDir run(request);
    CHECK_FALSE(run.resumed());
    run.write_config(str("{\"n\": {}}", i));
  }
  std::vector<std::string> old;
  for (const auto& entry : fs::directory_iterator(folder.path)) {
    if (entry.path().filename() != "a") old.push_back(entry.path().filename().string());
  }
  std::sort(old.begin(), old.end());
  REQUIRE(old.size() == 2);
  CHECK(old[0].substr(0, 6) == "a.old-");
  CHECK(read(folder.path / "a" / "config.json") == "{\"n\": 2}");
  CHECK(read(folder.path / old[0] / "config.json") == "{\"n\": 0}");
}

TEST_CASE("run_dir: a folder in use by another process is refused", "[io][fault][F25]") {
  Folder folder;
  const RunRequest request{.out = folder.path / "a"};
  int ready[2], done[2];
  REQUIRE(::pipe(ready) == 0);
  REQUIRE(::pipe(done) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const RunDir run(request);
    char byte = 1;
    const bool ok = ::write(ready[1], &byte, 1) == 1 && ::read(done[0], &byte, 1) == 1;
    ::_exit(ok ? 0 : 1);
  }
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  const Error error = refusal(request);
  const Error overwrite = refusal({.out = folder.path / "a", .overwrite = true});
  REQUIRE(::write(done[1], &byte, 1) == 1);
  int status = 1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(error.kind() == ErrorKind::resources);
  CHECK(has(error.what(), str("a is in use by process {} on host ", child)));
  CHECK(has(overwrite.what(), "is in use by process"));
  CHECK(std::string(refusal(request).what()).empty());
  for (const int fd : {ready[0], ready[1], done[0], done[1]}) ::close(fd);
}

TEST_CASE("run_dir: a place that cannot be written is refused with advice", "[io][fault][F05]") {
  Folder folder;
  std::ofstream(folder.path / "file") << "x";
  const Error error = refusal({.out = folder.path / "file" / "run"});
  CHECK(error.kind() == ErrorKind::resources);
  CHECK(has(error.what(), "cannot write to "));
  CHECK(has(error.what(), "file/run: not a directory. Use --out DIR"));
  CHECK(has(refusal({.out = "/proc/dino"}).what(), "cannot write to /proc/dino: no such file or directory"));
  CHECK(has(refusal({}).what(), "no program or backbone"));
}

TEST_CASE("run_dir: cmd.txt holds each start as a line that can be pasted", "[io]") {
  Folder folder;
  RunDir run({.out = folder.path / "a"});
  run.write_command({"dino_pretrain", "--data", "my data/it's", "--lr=1e-3", ""});
  run.write_command({"dino_pretrain", "--out", "a\nb"});
  std::istringstream in(read(folder.path / "a" / "cmd.txt"));
  std::string time, line;
  REQUIRE(std::getline(in, time));
  CHECK(time.size() == 22);
  CHECK(time.substr(0, 2) == "# ");
  REQUIRE(std::getline(in, line));
  CHECK(line == R"(dino_pretrain --data 'my data/it'\''s' --lr=1e-3 '')");
  REQUIRE(std::getline(in, time));
  REQUIRE(std::getline(in, line));
  CHECK(line == R"(dino_pretrain --out 'a'$'\n''b')");
}

TEST_CASE("run_dir: env.json says what ran, and an earlier start that differs is kept", "[io]") {
  Folder folder;
  const RunDir run({.out = folder.path / "a"});
  const Record facts = environment().set("threads", 2).set("decoder", "libjpeg-turbo 2.1.5");
  run.write_environment(facts);
  const std::string text = read(folder.path / "a" / "env.json");
  CHECK(text.substr(0, 12) == "{\n  \"dino\": ");
  CHECK(has(text, "\",\n  \"compiler\": \""));
  CHECK(has(text, str("\"simd\": \"{}\"", simd_level())));
  CHECK(has(text, "\"decoder\": \"libjpeg-turbo 2.1.5\"}\n"));
  run.write_environment(facts);
  CHECK_FALSE(fs::exists(folder.path / "a" / "env_0.json"));
  run.write_environment(Record(facts).set("threads", 7));
  CHECK(read(folder.path / "a" / "env_0.json") == text);
  CHECK(has(read(folder.path / "a" / "env.json"), "\"threads\": 7"));
}

TEST_CASE("run_dir: train.log has times and no control codes", "[io]") {
  Folder folder;
  RunDir run({.out = folder.path / "a"});
  run.log("\x1b[32m  + checkpoint\x1b[0m\nold\rnew\x07 \xc3\xa9");
  run.log("");
  std::istringstream in(read(folder.path / "a" / "train.log"));
  std::string line;
  REQUIRE(std::getline(in, line));
  CHECK(line.substr(20) == "    + checkpoint");
  CHECK(line[19] == 'Z');
  REQUIRE(std::getline(in, line));
  CHECK(line.substr(20) == "  new \xc3\xa9");
  CHECK_FALSE(std::getline(in, line));
  CHECK(run.lost() == 0);
}

TEST_CASE("run_dir: an escape sequence cut at the end is removed too", "[io]") {
  CHECK(strip_control_codes("a\x1b[3") == "a");
  CHECK(strip_control_codes("a\x1b") == "a");
  CHECK(strip_control_codes("\x1b[1;31mx\x1b[K") == "x");
}
