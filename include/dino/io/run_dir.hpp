// The folder of a run: where it is, who may write into it, and the files that say what was run.
#pragma once

#include <dino/io/clock.hpp>
#include <dino/io/file.hpp>
#include <dino/io/record.hpp>

#include <fstream>
#include <mutex>
#include <thread>

#include <sys/utsname.h>

namespace dino::inline DINO_ABI {

/// Which folder a program wants.
struct RunRequest {
  std::string program = "pretrain";  // runs/<program>/<backbone>/version_N
  std::string backbone = {};         // vit-s-16
  std::filesystem::path root = "runs";
  std::filesystem::path out = {};   // --out; empty: by program, backbone and version
  std::optional<i64> version = {};  // experiment_num; absent: the next free one
  bool resume = true;               // false: an existing run is refused
  bool overwrite = false;           // an existing folder is renamed, never deleted
  bool trains = true;               // false: no checkpoints, exports and log, and nothing to resume
};

/// The text without escape sequences and control characters; what follows a carriage return replaces what stood before
/// it, as on a terminal.
inline std::string strip_control_codes(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\x1b' && i + 1 < text.size() && text[i + 1] == '[') {
      for (i += 2; i < text.size() && (text[i] < '@' || text[i] > '~');) ++i;
    } else if (c == '\r') {
      out.clear();
    } else if (c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f)) {
      out += c;
    }
  }
  return out;
}

/// The words as a line that a shell reads back as the same words.
inline std::string shell_command(const std::vector<std::string>& words) {
  std::string line;
  for (const auto& word : words) {
    constexpr auto plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./=:,+@%";
    line += line.empty() ? "" : " ";
    if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) {
      line += word;
      continue;
    }
    line += '\'';
    for (const char c : word) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += '\'';
  }
  return line;
}

/// The widest vector instructions that this file is compiled for.
inline std::string simd_level() {
#if defined(__AVX512BF16__)
  return "AVX-512 BF16";
#elif defined(__AVX512F__)
  return "AVX-512";
#elif defined(__AVX2__) && defined(__FMA__)
  return "AVX2";
#elif defined(__AVX__)
  return "AVX";
#elif defined(__SSE2__)
  return "SSE2";
#elif defined(__ARM_NEON)
  return "NEON";
#else
  return "scalar";
#endif
}

/// "g++ 12.2.0" or "clang 14.0.6".
inline std::string compiler_name() {
#if defined(__clang__)
  return str("clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  return str("g++ {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
}

/// The model of the processor as the system names it; "unknown" where it does not.
inline std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

/// What this process can tell about itself: version, compiler, SIMD level, CPU, cores, system, host.
/// The program adds threads, device, decoders and data.
inline Record environment() {
  utsname system{};
  const bool known = ::uname(&system) == 0;
#ifdef __OPTIMIZE__
  constexpr bool optimized = true;
#else
  constexpr bool optimized = false;
#endif
#ifdef NDEBUG
  constexpr bool asserts = false;
#else
  constexpr bool asserts = true;
#endif
  return Record()
      .set("dino", DINO_VERSION)
      .set("compiler", compiler_name())
      .set("optimized", optimized)
      .set("asserts", asserts)
      .set("simd", simd_level())
      .set("cpu", cpu_model())
      .set("cores", std::thread::hardware_concurrency())
      .set("system", known ? str("{} {} {}", system.sysname, system.release, system.machine) : "unknown")
      .set("host", known ? system.nodename : "unknown");
}

/// The folder of one run, locked while this object lives.
///     RunDir run({.backbone = "vit-s-16"});   run.write_config(text);   run.log("epoch 1 ...");
/// An existing folder is taken when it is empty, or when it holds a run (config.json) and resuming is allowed.
/// Everything else is refused (usage), in use or not writable (resources). overwrite renames what is there to
/// <name>.old-<time>.
class RunDir {
 public:
  explicit RunDir(const RunRequest& request) : path_(choose(request)), lock_(take(path_, request)) {
    resumed_ = std::filesystem::exists(path_ / "config.json");
    if (!request.trains) return;
    make(checkpoints());
    make(exports());
    log_.emplace(path_ / "train.log");
  }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  std::filesystem::path exports() const { return path_ / "export"; }
  std::filesystem::path file(std::string_view name) const { return path_ / name; }

  /// Whether the folder held a run before.
  bool resumed() const { return resumed_; }

  /// Adds the command of this start to cmd.txt, below a comment with the time.
  void write_command(const std::vector<std::string>& words) const {
    LineFile file(path_ / "cmd.txt");
    file.append("# " + rfc3339(time_.now()));
    file.append(one_line(shell_command(words)));
  }

  /// Writes env.json. The facts of an earlier start, if they differ, stay in env_0.json, env_1.json, ...
  void write_environment(const Record& facts) const {
    const auto path = path_ / "env.json";
    const std::string text = "{\n  " + to_json(facts, ",\n  ").substr(1) + "\n";
    if (std::filesystem::exists(path)) {
      if (read_text(path, i64{1} << 20, ErrorKind::resources) == text) return;
      i64 n = 0;
      while (std::filesystem::exists(path_ / str("env_{}.json", n))) ++n;
      std::filesystem::rename(path, path_ / str("env_{}.json", n));
    }
    write_file_atomic(path, text);
  }

  /// Writes config.json: from now on the folder holds a run.
  void write_config(std::string_view json) const { write_file_atomic(path_ / "config.json", json); }

  /// The text of config.json. Throws (usage) when it cannot be read.
  std::string read_config() const { return read_text(path_ / "config.json", i64{1} << 20, ErrorKind::usage); }

  /// Adds to train.log, each line with its time and without control codes. Never throws: a full disk loses lines. Does
  /// nothing in the folder of a program that does not train.
  void log(std::string_view text) noexcept {
    const std::lock_guard lock(mutex_);
    if (!log_) return;
    try {
      while (!text.empty()) {
        const auto end = text.find('\n');
        log_->append(rfc3339(time_.now()) + "  " + strip_control_codes(text.substr(0, end)));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      }
    } catch (const std::exception&) {
      lost_ += 1;
    }
  }

  /// Calls of log that were not written in full.
  i64 lost() const {
    const std::lock_guard lock(mutex_);
    return lost_;
  }

 private:
  static void make(const std::filesystem::path& folder) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (!error && std::filesystem::is_directory(folder)) return;
    fail(ErrorKind::resources, "cannot write to {}: {}. Use --out DIR", folder.string(),
         error ? detail::reason(error.value()) : "it is not a folder");
  }

  static std::string one_line(std::string text) {
    for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos;) text.replace(at, 1, "'$'\\n''");
    return text;
  }

  /// Names the folder and makes it.
  static std::filesystem::path choose(const RunRequest& request) {
    if (!request.out.empty()) return make(request.out), request.out;
    require(!request.backbone.empty() && !request.program.empty(), "RunDir: no --out, and no program or backbone");
    const auto parent = request.root / request.program / request.backbone;
    make(parent);
    if (request.version) {
      const auto path = parent / str("version_{}", *request.version);
      return make(path), path;
    }
    for (i64 n = next_version(parent);; ++n) {
      const auto path = parent / str("version_{}", n);
      std::error_code error;
      if (std::filesystem::create_directory(path, error)) return path;
      require(!error || error == std::errc::file_exists, ErrorKind::resources, "cannot write to {}: {}. Use --out DIR",
              path.string(), detail::reason(error.value()));
    }
  }

  /// One more than the highest version_N: a number is not given twice while a later run exists.
  static i64 next_version(const std::filesystem::path& parent) {
    i64 next = 0;
    for (const auto& entry : std::filesystem::directory_iterator(parent)) {
      const std::string name = entry.path().filename().string(), prefix = "version_";
      if (!name.starts_with(prefix)) continue;
      i64 n = 0;
      const char* const end = name.data() + name.size();
      const auto [stop, error] = std::from_chars(name.data() + prefix.size(), end, n);
      if (error == std::errc{} && stop == end && n >= next) next = n + 1;
    }
    return next;
  }

  static FolderLock take(const std::filesystem::path& path, const RunRequest& request) {
    FolderLock lock(path);
    const bool run = std::filesystem::exists(path / "config.json");
    const std::string stranger = run ? "" : find_stranger(path);
    if (stranger.empty() && !run) return lock;
    if (request.overwrite) return move_away(path), FolderLock(path);
    require(stranger.empty(), ErrorKind::usage,
            "{} exists and is {} (it holds {}). Use another --out, or --overwrite to rename it", path.string(),
            request.trains ? "not a run that can be resumed" : "not empty", stranger);
    require(request.resume && request.trains, ErrorKind::usage,
            "{} holds a run already. Use {}another --out, or --overwrite to rename it", path.string(),
            request.trains ? "--resume auto to continue it, " : "");
    return lock;
  }

  /// The first name that a start killed before config.json would not have left here; empty if there is none.
  static std::string find_stranger(const std::filesystem::path& path) {
    constexpr std::string_view ours[] = {".lock", "cmd.txt", "env.json", "train.log", "checkpoints", "export"};
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      const std::string name = entry.path().filename().string();
      const bool known = std::find(std::begin(ours), std::end(ours), name) != std::end(ours) || temporary_owner(name);
      if (!known || (entry.is_directory() && !std::filesystem::is_empty(entry))) return name;
    }
    return "";
  }

  static void move_away(const std::filesystem::path& path) {
    const auto clean = path.has_filename() ? path : path.parent_path();
    const std::string old = clean.string() + ".old-" + file_time(static_cast<i64>(std::time(nullptr)));
    std::string target = old;
    for (i64 n = 1; std::filesystem::exists(target); ++n) target = str("{}-{}", old, n);
    std::error_code error;
    std::filesystem::rename(clean, target, error);
    require(!error, ErrorKind::resources, "cannot rename {} to {}: {}", clean.string(), target,
            detail::reason(error.value()));
    make(clean);
  }

  std::filesystem::path path_;
  FolderLock lock_;
  SteadyTime time_;
  bool resumed_ = false;
  mutable std::mutex mutex_;
  std::optional<LineFile> log_;
  i64 lost_ = 0;
};

}  // namespace dino::inline DINO_ABI
