// How close dino is to golden files of another implementation.  dino_parity DIR
#include "../common/program.hpp"
#include "items.hpp"

#include <iomanip>

namespace {

using dino::i64;
using dino::str;
using parity::Item;

constexpr const char* usage =
    "usage: dino_parity [--threads N] DIR|FILE ...\n\n"
    "Computes what the golden files hold and prints, for each item, the largest absolute and relative error, the\n"
    "tolerance of the relative one, and ok or WRONG. An error is max |a - b|, relative: / max |b| of each tensor.\n"
    "Exit code: 0 all ok, 1 an item is out of tolerance, 2 usage, 4 a file is missing or broken.\n"
    "docs/parity.md says how to write such files.\n";

struct Arguments {
  i64 threads = 0;
  std::vector<std::string> paths;
  bool help = false;
};

Arguments read_arguments(const std::vector<std::string>& words) {
  Arguments a;
  for (size_t i = 0; i < words.size(); ++i) {
    const auto& word = words[i];
    if (word == "--help" || word == "-h") {
      a.help = true;
    } else if (word == "--threads") {
      const auto number = i + 1 < words.size() ? words[++i] : std::string();
      a.threads = std::atoll(number.c_str());
      dino::require(a.threads >= 1 && std::to_string(a.threads) == number, dino::ErrorKind::usage,
                    "--threads \"{}\": expected a positive number", number);
    } else {
      dino::require(!word.starts_with("-"), dino::ErrorKind::usage, "unknown option {}; see dino_parity --help", word);
      a.paths.push_back(word);
    }
  }
  return a;
}

std::string scientific(double x) {
  if (x == 0) return "0";
  std::ostringstream out;
  out << std::scientific << std::setprecision(1) << x;
  return out.str();
}

void print_line(const std::string& name, const std::string& absolute, const std::string& relative,
                const std::string& tolerance, const std::string& verdict) {
  std::cout << std::left << std::setw(58) << name << std::right << std::setw(9) << absolute << std::setw(10) << relative
            << std::setw(11) << tolerance << "  " << verdict << std::endl;
}

void print_item(const std::string& name, const Item& item) {
  print_line(name, scientific(item.absolute), scientific(item.relative), scientific(item.tolerance),
             (item.ok() ? "ok" : "WRONG") + (item.ok() || item.worst.empty() ? "" : ": " + item.worst));
}

/// The largest errors of each item over all files, by what was checked.
class Summary {
 public:
  void add(const Item& item) {
    for (auto& x : list_) {
      if (x.kind == item.kind && x.type == item.type && x.what == item.what) {
        x.add(item.absolute, item.relative, item.file);
        return;
      }
    }
    list_.push_back(item);
    list_.back().worst = item.file;
  }
  void print(size_t files) const {
    std::cout << '\n';
    print_line(str("largest over {} files", files), "max abs", "max rel", "tolerance", "ok");
    for (const auto& item : list_) print_item(item.kind + "  " + item.type + "  " + item.what, item);
  }

 private:
  std::vector<Item> list_;
};

int check(const Arguments& arguments) {
  dino::HostContext ctx(arguments.threads);
  std::vector<std::filesystem::path> files;
  for (const auto& path : arguments.paths) {
    const auto more = parity::golden_files(path);
    files.insert(files.end(), more.begin(), more.end());
  }
  print_line("name", "max abs", "max rel", "tolerance", "ok");
  Summary summary;
  size_t wrong = 0;
  for (const auto& file : files) {
    for (const auto& item : parity::check_file(file, ctx)) {
      print_item(item.file + "  " + item.type + "  " + item.what, item);
      summary.add(item);
      if (!item.ok()) ++wrong;
    }
  }
  if (files.size() > 1) summary.print(files.size());
  if (wrong > 0) std::cout << '\n' << wrong << " items are out of tolerance\n";
  return wrong > 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  return programs::run_program([&] {
    const auto arguments = read_arguments({argv + 1, argv + argc});
    if (arguments.help) {
      std::cout << usage;
      return 0;
    }
    dino::require(!arguments.paths.empty(), dino::ErrorKind::usage, "no folder given\n{}", usage);
    return check(arguments);
  });
}
