// Training checkpoints: written so that no fault destroys the last good one, and found again newest first.
#pragma once

#include <dino/base/log.hpp>
#include <dino/io/safetensors.hpp>

#include <functional>
#include <set>

namespace dino::inline DINO_ABI {

/// Version of dino.state that this program writes; it refuses newer ones.
inline constexpr i64 checkpoint_version = 1;

struct CheckpointOptions {
  i64 keep = 2;        // newest checkpoints that stay, at least 2
  i64 keep_every = 0;  // steps; every multiple stays for good, 0: none
  bool verify = true;  // read each file back before it gets its name
};

/// A checkpoint that was read and checked as a whole. state.metadata holds the texts that were given to save().
struct LoadedCheckpoint {
  i64 step = 0;
  StateDict state;
  std::filesystem::path path;
};

namespace detail {

inline std::string step_name(i64 step) {
  const auto digits = std::to_string(step);
  return "step_" + std::string(digits.size() < 10 ? 10 - digits.size() : 0, '0') + digits;
}

/// The step in step_0000012500.safetensors; nothing for any other name.
inline std::optional<i64> step_of(std::string_view name) {
  constexpr std::string_view prefix = "step_", suffix = ".safetensors";
  if (!name.starts_with(prefix) || !name.ends_with(suffix)) return std::nullopt;
  const auto digits = name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
  i64 step = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), step);
  const bool whole = error == std::errc{} && stop == digits.data() + digits.size() && digits[0] != '-';
  return whole && digits.size() >= 10 ? std::optional(step) : std::nullopt;
}

/// dino.state: {"v":1,"step":12500,"epoch":"3",...}. The version stands first: a reader needs no more to refuse it.
inline std::string state_text(i64 step, const Metadata& state) {
  auto text = str(R"({"v":{},"step":{})", checkpoint_version, step);
  for (const auto& [key, value] : state) {
    require(key != "v" && key != "step", "checkpoint: the name {} is taken", key);
    require(valid_utf8(key) && valid_utf8(value), "checkpoint: {} is not UTF-8", key);
    text += ',' + json_quote(key) + ':' + json_quote(value);
  }
  return text += '}';
}

struct ParsedState {
  i64 version = 0, step = -1;
  Metadata values;
};

/// Stops behind the version when it is newer than ours.
inline ParsedState parse_state(const Metadata& metadata, const std::string& path) {
  const auto text = metadata.find("dino.state");
  require(text != metadata.end(), ErrorKind::weights, "{} is not a training checkpoint: it has no dino.state", path);
  const auto sum = metadata.find("dino.state_crc32c");
  require(sum == metadata.end() || sum->second == hex8(crc32c(as_bytes(text->second))), ErrorKind::weights,
          "{}: dino.state is damaged (wrong crc32c)", path);
  JsonCursor json(text->second, path + ": dino.state");
  ParsedState state;
  json.expect('{', "an opening brace");
  if (json.string("a key") != "v") json.refuse("expected the version first");
  json.expect(':', "a colon");
  state.version = json.integer("the version");
  if (state.version > checkpoint_version) return state;
  while (json.accept(',')) {
    auto key = json.string("a key");
    json.expect(':', "a colon");
    if (key == "step") {
      if (state.step >= 0) json.refuse("duplicate key step");
      state.step = json.integer("the step");
    } else {
      auto value = json.string("a string");
      if (!state.values.try_emplace(key, std::move(value)).second) json.refuse("duplicate key " + key);
    }
  }
  json.expect('}', "a closing brace");
  json.expect_end();
  if (state.step < 0) json.refuse("there is no step");
  // A checksum whose own name was damaged must not count as a file without checksums.
  require(sum != metadata.end() && metadata.contains("dino.crc32c"), ErrorKind::weights, "{} has no checksums", path);
  return state;
}

struct ReadCheckpoint {
  LoadedCheckpoint checkpoint;
  std::string too_new;  // the message when a newer program wrote it; nothing else is set then
};

inline ReadCheckpoint read_checkpoint(const std::filesystem::path& path) {
  ReadCheckpoint result;
  result.checkpoint.path = path;
  const auto header = read_safetensors_header(path);
  auto state = parse_state(header.metadata, path.string());
  if (state.version > checkpoint_version) {
    const auto writer = header.metadata.find("dino.version");
    result.too_new = str("{}: written by dino {}, this is {}: use the newer program, or another --out", path.string(),
                         writer == header.metadata.end() ? "of an unknown version" : writer->second, DINO_VERSION);
    return result;
  }
  result.checkpoint.state = read_safetensors(path);
  result.checkpoint.state.metadata = std::move(state.values);
  result.checkpoint.step = state.step;
  return result;
}

/// A text that is a JSON number stays one, anything else is quoted.
inline std::string json_number_or_text(const std::string& text) {
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool number = error == std::errc{} && stop == text.data() + text.size() &&
                      text.find_first_not_of("0123456789.e-") == text.npos && text.back() != '.' && text[0] != '.';
  return number ? text : json_quote(text);
}

}  // namespace detail

/// Reads one checkpoint and checks all of it. Throws Error{weights} when it is damaged, no checkpoint, or newer.
inline LoadedCheckpoint load_checkpoint(const std::filesystem::path& path) {
  auto result = detail::read_checkpoint(path);
  require(result.too_new.empty(), ErrorKind::weights, "{}", result.too_new);
  return std::move(result.checkpoint);
}

/// The checkpoints of a run: folder/step_0000012500.safetensors, ..., and last.json, which names the newest.
/// One process, one object per folder at a time (FolderLock).
class CheckpointFolder {
 public:
  using Report = std::function<void(const std::string&)>;
  struct Item {
    i64 step;
    std::filesystem::path path;
  };

  explicit CheckpointFolder(std::filesystem::path folder, CheckpointOptions options = {})
      : folder_(std::move(folder)), options_(options) {
    require(options_.keep >= 2, ErrorKind::usage,
            "keep {} checkpoints: at least 2 are kept, so that one is always whole", options_.keep);
  }
  CheckpointFolder(std::filesystem::path folder, i64 keep)
      : CheckpointFolder(std::move(folder), CheckpointOptions{.keep = keep}) {}

  /// To be called before any work: the folder can be written, and there is room for keep + 2 checkpoints of so many
  /// bytes, those already there included. Throws Error{resources} with the numbers.
  void preflight(i64 checkpoint_bytes) const {
    make_folder();
    const auto probe = folder_ / str(".tmp-probe-{}-{}", ::getpid(), detail::random_hex());
    const auto file = Descriptor::open(probe, O_WRONLY | O_CREAT | O_EXCL);
    require(bool(file) && detail::file_calls().unlink(probe.c_str()) == 0, ErrorKind::resources,
            "cannot write to {}: {}. Use --out DIR", folder_.string(), detail::reason(errno));
    i64 used = 0;
    std::error_code ignored;
    for (const auto& item : list()) used += static_cast<i64>(std::filesystem::file_size(item.path, ignored));
    require_space((options_.keep + 2) * checkpoint_bytes - used);
  }

  /// Writes, flushes and reads back a temporary file, gives it its name, flushes the folder, and only then removes old
  /// ones. Texts of state go into dino.state. Throws Error{resources}; the checkpoints so far are then untouched.
  /// Reads all bytes three times (checksums, writing, verification).
  void save(i64 step, std::span<const TensorView> tensors, const Metadata& state) {
    require(step >= 0, "checkpoint: step {}", step);
    make_folder();
    const auto text = detail::state_text(step, state);
    const auto layout = layout_safetensors(tensors, {{"dino.version", DINO_VERSION},
                                                     {"dino.kind", "checkpoint"},
                                                     {"dino.state", text},
                                                     {"dino.state_crc32c", detail::hex8(crc32c(as_bytes(text)))}});
    require_space(layout.file_size);
    AtomicFile file(path_of(step), std::to_string(step));
    const auto stamp = write_safetensors(file, layout, tensors);
    file.sync();
    if (options_.verify) check_written(file.temporary(), stamp);
    file.publish();
    rejected_.erase(step);
    const auto epoch = state.find("epoch");
    write_file_atomic(folder_ / "last.json",
                      str("{\"v\":1,\"file\":\"{}\",\"size\":{},\"crc\":\"{}\",\"step\":{}{}}\n",
                          path_of(step).filename().string(), stamp.size, detail::hex8(stamp.crc), step,
                          epoch == state.end() ? "" : ",\"epoch\":" + detail::json_number_or_text(epoch->second)));
    prune(step);
  }
  void save(i64 step, const StateDict& dict) { save(step, dict.views(), dict.metadata); }

  /// This step is never removed: the best one so far. Replaces the previous choice.
  void protect(i64 step) { protected_ = step; }

  /// The checkpoints by name, newest first; not opened.
  std::vector<Item> list() const {
    std::vector<Item> items;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, ignored)) {
      if (const auto step = detail::step_of(entry.path().filename().string())) items.push_back({*step, entry.path()});
    }
    std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) { return a.step > b.step; });
    return items;
  }

  /// Removes what killed writers left, then tries the checkpoints newest to oldest until one is whole. Everything that
  /// happens is reported, a rejection with its reason. Nothing when there is no checkpoint.
  /// Throws Error{weights} when none of those there can be used, or when a newer program wrote one that is reached.
  std::optional<LoadedCheckpoint> load_newest(const Report& report) {
    for (const auto& name : remove_stale_temporaries(folder_)) report("removed unfinished " + name);
    const auto items = list();
    for (size_t i = 0; i < items.size(); ++i) {
      auto result = try_load(items[i]);
      require(result.read.too_new.empty(), ErrorKind::weights, "{}", result.read.too_new);
      if (result.why.empty()) {
        report(str("using {} (verified)", detail::step_name(items[i].step)));
        return std::move(result.read.checkpoint);
      }
      rejected_.insert(items[i].step);
      report(result.why + (i + 1 < items.size() ? "; falling back to " + detail::step_name(items[i + 1].step) : ""));
    }
    require(items.empty(), ErrorKind::weights,
            "{}: none of the {} checkpoints can be used; start anew with another --out", folder_.string(),
            items.size());
    return std::nullopt;
  }
  std::optional<LoadedCheckpoint> load_newest() {
    return load_newest([](const std::string& message) { log_info("resume: {}", message); });
  }

 private:
  struct Attempt {
    detail::ReadCheckpoint read;
    std::string why;  // empty: it is whole
  };

  static Attempt try_load(const Item& item) {
    Attempt attempt;
    try {
      attempt.read = detail::read_checkpoint(item.path);
      const bool renamed = attempt.read.too_new.empty() && attempt.read.checkpoint.step != item.step;
      if (renamed) attempt.why = str("{}: it holds step {}", item.path.string(), attempt.read.checkpoint.step);
    } catch (const Error& error) {
      attempt.why = error.what();
    }
    return attempt;
  }

  std::filesystem::path path_of(i64 step) const { return folder_ / (detail::step_name(step) + ".safetensors"); }

  void make_folder() const {
    std::error_code error;
    std::filesystem::create_directories(folder_, error);
    require(!error, ErrorKind::resources, "cannot write to {}: {}. Use --out DIR", folder_.string(),
            detail::reason(error.value()));
  }

  void require_space(i64 bytes) const {
    const auto free = free_space(folder_);
    require(free >= bytes, ErrorKind::resources, "no space in {} (need {}, free {})", folder_.string(),
            size_text(bytes), size_text(free));
  }

  static void check_written(const std::filesystem::path& path, const FileStamp& stamp) {
    std::string why;
    try {
      if (verify_safetensors(path) == stamp) return;
      why = path.string() + ": other bytes than were written";
    } catch (const Error& error) {
      why = error.what();
    }
    fail(ErrorKind::resources, "a checkpoint does not read back as it was written: {}", why);
  }

  /// Damaged files do not count as kept, and go with the old ones. Later steps belong to a run that was taken back.
  void prune(i64 step) {
    i64 kept = 0;
    for (const auto& item : list()) {
      if (item.step > step) continue;
      const bool whole = !rejected_.contains(item.step);
      if (whole && kept++ < options_.keep) continue;
      const bool milestone = options_.keep_every > 0 && item.step % options_.keep_every == 0;
      if (whole && (milestone || item.step == protected_)) continue;
      if (detail::file_calls().unlink(item.path.c_str()) != 0) {
        log_warning("cannot remove {}: {}", item.path.string(), detail::reason(errno));
      }
    }
  }

  std::filesystem::path folder_;
  CheckpointOptions options_;
  std::set<i64> rejected_;
  i64 protected_ = -1;
};

}  // namespace dino::inline DINO_ABI
