// Front end of the programs: arguments, environment and configuration files become options, by the table alone.
#pragma once

#include <dino/io/config.hpp>
#include <dino/io/option_text.hpp>

#include <map>

namespace dino::inline DINO_ABI {

using Environment = std::map<std::string, std::string>;

/// The outcome of parse_options. With problems the options are not to be used; print report(), stop with exit_code().
struct ParseResult {
  Options options;
  Problems problems;
  std::vector<std::string> warnings;
  std::vector<std::string> files;  // arguments that are no flags, as given, for programs that take files
  std::string answer;              // text of --help or --print-config: print it and stop with code 0

  bool ok() const { return problems.empty(); }
  int exit_code() const { return ok() ? 0 : static_cast<int>(ErrorKind::usage); }
  std::string report() const { return problems_text(problems); }
};

/// The variables whose names begin with DINO_, from an array like `environ`.
inline Environment read_environment(const char* const* variables) {
  Environment found;
  for (; variables != nullptr && *variables != nullptr; ++variables) {
    const std::string_view text(*variables);
    const auto equals = text.find('=');
    if (!text.starts_with("DINO_") || equals == std::string_view::npos) continue;
    found.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return found;
}

namespace options_detail {

/// Walks the arguments: --key value, --key=value, --flag, --no-flag, -v, -o value, --set key=value, and files where the
/// program takes them; behind -- all are files. Underscores count as dashes.
class ArgumentReader {
 public:
  ArgumentReader(const Options& options, std::span<const std::string> arguments, Problems& problems)
      : options_(options), arguments_(arguments), problems_(problems) {}

  std::vector<Assignment> read() {
    const bool files = takes_files(options_.program());
    while (next_ < arguments_.size()) {
      const auto& argument = arguments_[next_++];
      if (files && argument == "--") {
        while (next_ < arguments_.size()) files_.push_back(arguments_[next_++]);
      } else if (argument.size() > 2 && argument.starts_with("--")) {
        long_flag(argument);
      } else if (argument.size() == 2 && argument[0] == '-' && argument[1] != '-') {
        letter(argument);
      } else if (files && !argument.empty() && argument != "-") {
        files_.push_back(argument);
      } else {
        complain(str("unexpected argument \"{}\"", shown(argument)));
      }
    }
    return std::move(assignments_);
  }
  const std::vector<std::string>& files() const { return files_; }

 private:
  void complain(std::string message) { problems_.push_back({"", std::move(message)}); }

  static bool looks_like_flag(std::string_view text) {
    return text.size() >= 2 && text[0] == '-' && text[1] != '.' && !std::isdigit(static_cast<unsigned char>(text[1]));
  }

  void letter(const std::string& argument) {
    for (const auto& row : options_.table()) {
      if (row.letter != argument[1] || !row.read_by(options_.program())) continue;
      if (row.type == OptionType::flag) return add(row.key, "true", argument);
      return value(row, argument);
    }
    complain("unknown option " + argument);
  }

  void long_flag(const std::string& argument) {
    const auto equals = argument.find('=');
    const auto subject = argument.substr(0, equals);
    std::string key = subject.substr(2);
    std::replace(key.begin(), key.end(), '-', '_');
    const bool has_value = equals != std::string::npos;
    const auto* row = options_.find(key);
    if (row == nullptr && key.starts_with("no_")) {
      row = options_.find(key.substr(3));
      if (row != nullptr && row->type == OptionType::flag) {
        if (has_value) return complain(subject + " takes no value");
        return add(row->key, "false", subject);
      }
      row = nullptr;
    }
    if (row == nullptr) return unknown(key, subject, has_value);
    if (row->type == OptionType::flag && !has_value) return add(row->key, switch_value(), subject);
    if (!has_value) return value(*row, subject);
    given(*row, argument.substr(equals + 1), subject);
  }

  /// The next argument is the value.
  void value(const OptionRow& row, const std::string& subject) {
    const bool there = next_ < arguments_.size() && !looks_like_flag(arguments_[next_]);
    if (!there) return complain(subject + " needs a value");
    given(row, arguments_[next_++], subject);
  }

  void given(const OptionRow& row, const std::string& text, const std::string& subject) {
    row.key == "set" ? set(text) : add(row.key, text, subject);
  }

  /// The value of a flag: the next argument where it is one of the words for it, else true.
  std::string switch_value() {
    for (const auto word : {"true", "false", "on", "off"}) {
      if (next_ < arguments_.size() && arguments_[next_] == word) return arguments_[next_++];
    }
    return "true";
  }

  void unknown(const std::string& key, const std::string& subject, bool has_value) {
    std::string dashed = key;
    std::replace(dashed.begin(), dashed.end(), '_', '-');
    const auto near = options_.nearest(dashed, true);
    complain(str("unknown option {}", shown(subject)) + (near.empty() ? "" : str(". Did you mean --{}?", near)));
    if (!has_value && next_ < arguments_.size() && !looks_like_flag(arguments_[next_])) ++next_;  // its value
  }

  void set(const std::string& text) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0) return complain(str("--set {} must be KEY=VALUE", shown(text)));
    std::string key = text.substr(0, equals);
    const auto value = text.substr(equals + 1);
    assignments_.push_back({.key = key, .text = value, .source = Source::set, .subject = "--set " + key});
  }

  void add(std::string_view key, std::string text, const std::string& subject) {
    assignments_.push_back({.key = std::string(key), .text = std::move(text), .subject = subject});
  }

  const Options& options_;
  std::span<const std::string> arguments_;
  Problems& problems_;
  std::vector<Assignment> assignments_;
  std::vector<std::string> files_;
  std::size_t next_ = 0;
};

inline std::string variable_name(std::string_view key) {
  std::string name = "DINO_" + std::string(key);
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

/// DINO_<KEY> for every key of the program. A name that no program knows is a warning: it may belong to somebody else.
inline std::vector<Assignment> environment_assignments(const Options& options, const Environment& environment,
                                                       std::vector<std::string>& warnings) {
  std::vector<Assignment> found;
  for (const auto& [name, text] : environment) {
    std::string key = name.substr(5);
    for (char& c : key) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const auto* row = variable_name(key) == name ? options.find(key) : nullptr;
    if (row == nullptr || row->command_line_only) {
      const auto near = options.nearest(key, false);
      const auto hint = near.empty() ? std::string{} : str(". Did you mean {}?", variable_name(near));
      warnings.push_back(str("the environment variable {} names no option{}", shown(name), hint));
    } else if (row->read_by(options.program())) {
      found.push_back({.key = key, .text = text, .source = Source::environment, .subject = name});
    }
  }
  return found;
}

/// False, with a problem, for a saved configuration of another program or of a newer version.
inline bool accepts_header(const ConfigFile& file, Program program, Problems& problems) {
  std::string version = "?";
  for (const auto& e : file.entries) {
    if (e.group.empty() && e.key == "dino") version = shown(e.text);
  }
  for (const auto& e : file.entries) {
    if (!e.group.empty()) continue;
    if (e.key == "v" && e.text != "1") {
      problems.push_back({file.at(e.place), str("written by dino {}, this is {}", version, DINO_VERSION)});
      return false;
    }
    if (e.key == "program" && e.text != program_name(program)) {
      const auto own = program_name(program);
      problems.push_back({file.at(e.place), str("configuration of {}, not of {}", shown(e.text), own)});
      return false;
    }
  }
  return true;
}

/// The keys of a file. A saved configuration (it has "v") also has a header, and the source of each value: those that
/// were derived are derived again.
inline std::vector<Assignment> file_assignments(const ConfigFile& file, Program program, Problems& problems) {
  if (!accepts_header(file, program, problems)) return {};
  bool saved = false;
  std::set<std::string> derived;
  for (const auto& e : file.entries) {
    saved = saved || (e.group.empty() && e.key == "v");
    if (e.group == "sources" && e.text == "auto") derived.insert(e.key);
  }
  std::vector<Assignment> found;
  for (const auto& e : file.entries) {
    const bool header = e.key == "v" || e.key == "dino" || e.key == "program";
    if (e.group.empty() && (e.key == "$schema" || (saved && header))) continue;
    if (saved && (e.group == "sources" || derived.contains(e.key))) continue;
    found.push_back({.key = e.key,
                     .text = e.text,
                     .kind = e.kind,
                     .source = Source::file,
                     .subject = e.key,
                     .key_place = file.at(e.key_place),
                     .place = file.at(e.place)});
  }
  return found;
}

inline const Assignment* strongest(std::span<const Assignment> all, std::string_view key) {
  const Assignment* best = nullptr;
  for (const auto& a : all) {
    if (a.key == key && (best == nullptr || a.source > best->source)) best = &a;
  }
  return best;
}

/// The configuration file to read: that of --config, or the one saved in an --out folder that is to be resumed.
inline std::string config_to_read(const Options& options, std::span<const Assignment> given) {
  if (const auto* config = strongest(given, "config")) return config->text;
  const auto* resume = options.find("resume");
  const auto* out = strongest(given, "out");
  if (out == nullptr || resume == nullptr || !resume->read_by(options.program())) return {};
  const auto* overwrite = strongest(given, "overwrite");
  const auto* how = strongest(given, "resume");
  if ((overwrite != nullptr && overwrite->text == "true") || (how != nullptr && how->text == "never")) return {};
  const auto saved = std::filesystem::path(out->text) / "config.json";
  std::error_code ignored;
  return std::filesystem::is_regular_file(saved, ignored) ? saved.string() : std::string{};
}

}  // namespace options_detail

/// Everything that arguments, environment and configuration file say, assigned by precedence:
///     default < data set's default (by the caller) < --config < DINO_<KEY> < --set KEY=VALUE < flag.
/// --out RUN of a program that resumes reads RUN/config.json when no --config is given. All problems are collected.
inline ParseResult read_options(std::span<const OptionRow> table, Program program,
                                std::span<const std::string> arguments, const Environment& environment) {
  ParseResult result{Options(table, program), {}, {}, {}, {}};
  auto& [options, problems, warnings, files, answer] = result;
  options_detail::ArgumentReader reader(options, arguments, problems);
  auto given = reader.read();
  files = reader.files();
  for (auto& a : options_detail::environment_assignments(options, environment, warnings)) given.push_back(std::move(a));
  if (const auto path = options_detail::config_to_read(options, given); !path.empty()) {
    const auto file = read_config(path);
    problems.insert(problems.end(), file.problems.begin(), file.problems.end());
    for (auto& a : options_detail::file_assignments(file, program, problems)) given.push_back(std::move(a));
  }
  for (const auto& a : given) options.assign(a, problems);
  return result;
}

}  // namespace dino::inline DINO_ABI
