#include "ffmpeg.hpp"

#include <dino/io/file.hpp>
#include <dino/io/record.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include <spawn.h>
#include <sys/wait.h>

extern char** environ;

namespace programs {

using dino::ErrorKind;
using dino::require;
namespace fs = std::filesystem;

std::optional<std::string> find_ffmpeg() {
  const char* const path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "";
  while (!rest.empty()) {
    const auto colon = std::min(rest.find(':'), rest.size());
    const auto file = fs::path(rest.substr(0, colon)) / "ffmpeg";
    rest.remove_prefix(std::min(colon + 1, rest.size()));
    std::error_code error;
    if (file.is_absolute() && fs::is_regular_file(file, error) && ::access(file.c_str(), X_OK) == 0)
      return file.string();
  }
  return std::nullopt;
}

namespace {

std::string last_line(const fs::path& file) {
  std::string text;
  try {
    text = dino::read_text(file, dino::i64{1} << 20, ErrorKind::resources);
  } catch (const dino::Error&) {
    return "it says more than can be repeated";
  }
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text.substr(text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1);
}

/// As ffmpeg reads it: a local file whatever its name looks like.
std::string local(const fs::path& path) { return "file:" + fs::absolute(path).string(); }

/// A pattern of numbered frames; a % of the folder is no pattern.
std::string pattern(const fs::path& folder, const std::string& prefix) {
  std::string out;
  for (const char c : local(folder / prefix)) out += c == '%' ? std::string("%%") : std::string(1, c);
  return out + "%06d.png";
}

}  // namespace

std::optional<std::string> run_quietly(const std::string& program, const std::vector<std::string>& arguments,
                                       const fs::path& scratch) {
  std::vector<std::string> words{program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, 2, scratch.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t child = 0;
  const int error = ::posix_spawn(&child, program.c_str(), &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return dino::detail::reason(error);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  std::optional<std::string> problem;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    problem = last_line(scratch);
    if (problem->empty()) problem = "it ended without a word";
  }
  std::error_code ignored;
  fs::remove(scratch, ignored);
  return problem;
}

std::vector<std::string> extract_frames(const std::string& ffmpeg, const std::string& video, double fps,
                                        const fs::path& folder) {
  fs::create_directories(folder);
  const auto problem = run_quietly(ffmpeg,
                                   {"-nostdin", "-loglevel", "error", "-i", local(video), "-vf",
                                    "fps=" + dino::number_text(fps), pattern(folder, "")},
                                   folder / "ffmpeg.log");
  require(!problem, ErrorKind::data, "{}: ffmpeg cannot read it: {}", video, problem.value_or(""));
  std::vector<std::string> frames;
  for (const auto& entry : fs::directory_iterator(folder)) frames.push_back(entry.path().string());
  require(!frames.empty(), ErrorKind::data, "{}: the video has no frames", video);
  std::sort(frames.begin(), frames.end());
  return frames;
}

void write_video(const std::string& ffmpeg, const fs::path& folder, const std::string& prefix, double fps,
                 const fs::path& video) {
  // yuv420p, which every player knows, has even sides.
  const auto problem = run_quietly(
      ffmpeg,
      {"-nostdin", "-y", "-loglevel", "error", "-framerate", dino::number_text(fps), "-i", pattern(folder, prefix),
       "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p", "-movflags", "+faststart", local(video)},
      folder / "ffmpeg.log");
  require(!problem, ErrorKind::resources, "{}: ffmpeg cannot write it: {}", video.string(), problem.value_or(""));
}

}  // namespace programs
