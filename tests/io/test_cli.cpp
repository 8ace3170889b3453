#include <dino/io/cli.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace dino;

namespace {

constexpr OptionRow table[] = {
    {.key = "lr", .type = OptionType::real, .programs = 1, .fallback = "auto", .words = "auto", .help = "rate"},
    {.key = "batch_size",
     .type = OptionType::integer,
     .programs = 1,
     .fallback = "1024",
     .range = {.low = 1, .high = 9999},
     .help = "batch"},
    {.key = "norm_last_layer", .type = OptionType::flag, .programs = 1, .fallback = "true", .help = "norm"},
    {.key = "no_head",
     .type = OptionType::flag,
     .programs = 1,
     .fallback = "false",
     .help = "a key that begins with no"},
    {.key = "out", .type = OptionType::path, .programs = 1, .help = "folder", .saved = false},
    {.key = "resume", .type = OptionType::text, .programs = 1, .fallback = "auto", .help = "resume", .saved = false},
    {.key = "overwrite", .type = OptionType::flag, .programs = 1, .fallback = "false", .help = "x", .saved = false},
    {.key = "eta_min", .type = OptionType::real, .programs = 2, .fallback = "0", .help = "rate"},
    {.key = "output", .type = OptionType::path, .programs = 8, .help = "file", .letter = 'o'},
    {.key = "verbose", .type = OptionType::flag, .programs = 15, .fallback = "false", .help = "more", .letter = 'v'},
    {.key = "config", .type = OptionType::path, .programs = 7, .help = "file", .command_line_only = true},
    {.key = "set", .type = OptionType::text, .programs = 7, .help = "key", .command_line_only = true},
};

ParseResult parse(const std::vector<std::string>& arguments, const Environment& environment = {}) {
  return read_options(table, Program::pretrain, arguments, environment);
}

std::string report(const std::vector<std::string>& arguments, const Environment& environment = {}) {
  const auto result = parse(arguments, environment);
  REQUIRE_FALSE(result.ok());
  CHECK(result.exit_code() == 2);
  return result.report();
}

std::string write(const TemporaryFolder& folder, const std::string& name, const std::string& text) {
  std::ofstream(folder / name, std::ios::binary) << text;
  return (folder / name).string();
}

}  // namespace

TEST_CASE("cli: values follow a flag or an equals sign, and underscores count as dashes", "[io]") {
  CHECK(parse({"--batch-size", "64"}).options.integer("batch_size") == 64);
  CHECK(parse({"--batch-size=64"}).options.integer("batch_size") == 64);
  CHECK(parse({"--batch_size", "64"}).options.integer("batch_size") == 64);
  CHECK(parse({"--out=a=b"}).options.text("out") == "a=b");
  const auto negative = parse({"--lr", "-0.5"});
  CHECK(negative.ok());
  CHECK(negative.options.real("lr") == -0.5);
  CHECK(parse({"--lr", "-.5"}).options.real("lr") == -0.5);
  CHECK(parse({"--lr", "1"}).options.origin("lr") == "--lr");
  CHECK(parse({}).ok());
}

TEST_CASE("cli: a switch has two forms and takes a word", "[io]") {
  CHECK(parse({"--norm-last-layer"}).options.flag("norm_last_layer"));
  CHECK_FALSE(parse({"--no-norm-last-layer"}).options.flag("norm_last_layer"));
  CHECK_FALSE(parse({"--norm-last-layer=false"}).options.flag("norm_last_layer"));
  CHECK_FALSE(parse({"--norm-last-layer", "off"}).options.flag("norm_last_layer"));
  CHECK(parse({"--no-head"}).options.flag("no_head"));
  CHECK_FALSE(parse({"--no-no-head"}).options.flag("no_head"));
  CHECK(parse({"-v"}).options.flag("verbose"));
  CHECK(report({"--no-norm-last-layer=true"}).starts_with("error: --no-norm-last-layer takes no value\n"));
  CHECK(report({"--no-lr"}).starts_with("error: unknown option --no-lr\n"));
}

TEST_CASE("cli: a letter takes a value where its option does", "[io]") {
  const auto features = [](const std::vector<std::string>& arguments) {
    return read_options(table, Program::features, arguments, {});
  };
  const auto both = features({"-v", "-o", "f.npy"});
  REQUIRE(both.ok());
  CHECK(both.options.text("output") == "f.npy");
  CHECK(both.options.origin("output") == "-o");
  CHECK(both.options.flag("verbose"));
  CHECK(features({"--output", "f.npy"}).options.text("output") == "f.npy");
  for (const auto& without : {std::vector<std::string>{"-o"}, {"-o", "-v"}}) {
    CHECK(features(without).report().starts_with("error: -o needs a value\n"));
  }
  CHECK(report({"-o", "x"}).starts_with("error: unknown option -o\nerror: unexpected argument \"x\"\n"));
}

TEST_CASE("cli: arguments that are no flags are files for the programs that take them", "[io]") {
  const auto features = [](const std::vector<std::string>& arguments) {
    return read_options(table, Program::features, arguments, {});
  };
  const auto some = features({"b.png", "-o", "f.npy", "a.png", "-v", "on", "b.png"});
  REQUIRE(some.ok());
  CHECK(some.files == std::vector<std::string>{"b.png", "a.png", "on", "b.png"});  // as given; -v takes no value
  CHECK(features({"a.png", "--", "-v", "--x"}).files == std::vector<std::string>{"a.png", "-v", "--x"});
  CHECK(features({}).files.empty());
  CHECK(features({"", "-"}).problems.size() == 2);
  CHECK(features({"--none", "a.png"}).report().starts_with("error: unknown option --none\n1 problem"));
  CHECK(report({"a.png"}).starts_with("error: unexpected argument \"a.png\"\n"));
  CHECK(report({"--"}).starts_with("error: unexpected argument \"--\"\n"));
  CHECK(parse({}).files.empty());
}

TEST_CASE("cli: --set takes any key and may be repeated", "[io]") {
  const auto result = parse({"--set", "lr=0.5", "--set=batch_size=3"});
  REQUIRE(result.ok());
  CHECK(result.options.real("lr") == 0.5);
  CHECK(result.options.integer("batch_size") == 3);
  CHECK(result.options.origin("lr") == "--set lr");
  CHECK(report({"--set", "lr"}).starts_with("error: --set lr must be KEY=VALUE\n"));
  CHECK(report({"--set", "=1"}).starts_with("error: --set =1 must be KEY=VALUE\n"));
  CHECK(report({"--set", "lr=1", "--set", "lr=2"}).starts_with("error: --set lr is given twice\n"));
  CHECK(report({"--set", "rl=1"}).starts_with("error: --set rl: unknown key. Did you mean \"lr\"?\n"));
}

TEST_CASE("cli: everything wrong on a command line is said at once", "[io]") {
  CHECK(report({"--bacth-size", "256", "--lr", "x", "--eta-min=1", "rest", "--batch-size", "0", "-x", "--", "--zzz",
                "--out"}) ==
        "error: unknown option --bacth-size. Did you mean --batch-size?\n"
        "error: unexpected argument \"rest\"\n"
        "error: unknown option -x\n"
        "error: unexpected argument \"--\"\n"
        "error: unknown option --zzz\n"
        "error: --out needs a value\n"
        "error: --lr = x must be a number or auto\n"
        "error: --eta-min is read by dino_finetune, not by dino_pretrain\n"
        "error: --batch-size = 0 must be in 1..9999\n"
        "9 problems, nothing was started.");
  CHECK(report({"--lr", "1", "--lr", "1"}).starts_with("error: --lr is given twice\n"));
  CHECK(report({"--lr", "--out", "x"}).starts_with("error: --lr needs a value\n"));
  CHECK(report({"--lr="}).starts_with("error: --lr needs a value\n"));
}

TEST_CASE("cli: ten thousand arguments are no danger", "[io]") {
  CHECK(parse(std::vector<std::string>(10000, "--unknown-thing")).problems.size() == 10000);
}

TEST_CASE("cli: the environment is read by name, and foreign names are warnings", "[io]") {
  const char* const variables[] = {"PATH=/bin",     "DINO_LR=0.25", "DINO_BATCH_SIZ=3", "DINO_ETA_MIN=1",
                                   "DINO_CONFIG=x", "DINO_NOTHING", "DINO_lr=3",        nullptr};
  const auto environment = read_environment(variables);
  CHECK(environment.size() == 5);
  const auto result = parse({}, environment);
  CHECK(result.ok());
  CHECK(result.options.real("lr") == 0.25);
  CHECK(result.options.origin("lr") == "DINO_LR");
  CHECK(result.warnings == std::vector<std::string>{
                               "the environment variable DINO_BATCH_SIZ names no option. Did you mean DINO_BATCH_SIZE?",
                               "the environment variable DINO_CONFIG names no option",
                               "the environment variable DINO_lr names no option. Did you mean DINO_LR?"});
  CHECK(report({}, {{"DINO_LR", "fast"}}).starts_with("error: DINO_LR = fast must be a number or auto\n"));
  CHECK(report({}, {{"DINO_LR", ""}}).starts_with("error: DINO_LR needs a value\n"));
  CHECK(read_environment(nullptr).empty());
}

TEST_CASE("cli: precedence is file, environment, --set, flag", "[io]") {
  const TemporaryFolder folder;
  const auto file = write(folder, "a.json", "{\"group\": {\"batch_size\": 1}}");
  const Environment environment{{"DINO_BATCH_SIZE", "2"}};
  CHECK(parse({"--config", file}).options.integer("batch_size") == 1);
  CHECK(parse({"--config", file}, environment).options.integer("batch_size") == 2);
  CHECK(parse({"--config", file, "--set", "batch_size=3"}, environment).options.integer("batch_size") == 3);
  const auto all = parse({"--batch-size", "4", "--set", "batch_size=3", "--config", file}, environment);
  CHECK(all.options.integer("batch_size") == 4);
  CHECK(all.ok());
}

TEST_CASE("cli: file and command line report together, with places", "[io]") {
  const TemporaryFolder folder;
  const auto file =
      write(folder, "my.json", "{\n  \"bacth_size\": 3,\n  \"lr\": \"x\",\n  \"eta_min\": 0, \"lr\": 1,}");
  const auto text = report({"--config", file, "--batch-size", "x"});
  CHECK(text.find(file + ":4:25  a comma before } is one too many\n") != std::string::npos);
  CHECK(text.find(file + ":2:3   unknown key \"bacth_size\". Did you mean \"batch_size\"?\n") != std::string::npos);
  CHECK(text.find(file + ":3:9   lr = \"x\" must be a number, without quotes\n") != std::string::npos);
  CHECK(text.find(file + ":4:3   \"eta_min\" is read by dino_finetune, not by dino_pretrain\n") != std::string::npos);
  CHECK(text.find(file + ":4:17  \"lr\" is given twice, first at " + file + ":3:3\n") != std::string::npos);
  CHECK(text.find("error: --batch-size = x must be an integer\n") != std::string::npos);
  CHECK(text.ends_with("6 problems, nothing was started."));
  CHECK(report({"--config", "no.json"}) ==
        "no.json  cannot be read: No such file or directory\n1 problem, nothing was started.");
}

TEST_CASE("cli: a saved configuration reads back, and derived values are derived again", "[io]") {
  const TemporaryFolder folder;
  auto first = parse({"--batch-size", "64", "--no-norm-last-layer"});
  first.options.derive("lr", 0.002);
  const auto file = write(folder, "config.json", first.options.to_json());
  const auto again = parse({"--config", file});
  INFO(again.report());
  REQUIRE(again.ok());
  CHECK(again.options.integer("batch_size") == 64);
  CHECK_FALSE(again.options.flag("norm_last_layer"));
  CHECK(again.options.is_word("lr"));
}

TEST_CASE("cli: a saved configuration of another program or a newer version is refused", "[io]") {
  const TemporaryFolder folder;
  const auto newer = write(folder, "a.json", "{\"v\": 2, \"dino\": \"9.0.0\", \"options\": {\"new_key\": 1}}");
  CHECK(report({"--config", newer}) == newer + ":1:7  written by dino 9.0.0, this is " DINO_VERSION
                                               "\n1 problem, nothing was started.");
  const auto other = write(folder, "b.json", "{\"v\": 1, \"program\": \"dino_knn\", \"options\": {\"k\": 1}}");
  CHECK(report({"--config", other}) ==
        other + ":1:21  configuration of dino_knn, not of dino_pretrain\n1 problem, nothing was started.");
}

TEST_CASE("cli: --out of an existing run takes everything from its configuration", "[io]") {
  const TemporaryFolder folder;
  write(folder, "config.json", parse({"--batch-size", "64"}).options.to_json());
  const auto out = folder.path.string();
  CHECK(parse({"--out", out}).options.integer("batch_size") == 64);
  CHECK(parse({"--out", out, "--batch-size", "65"}).options.integer("batch_size") == 65);
  CHECK(parse({"--out", out, "--resume", "never"}).options.integer("batch_size") == 1024);
  CHECK(parse({"--out", out, "--overwrite"}).options.integer("batch_size") == 1024);
  CHECK(parse({"--out", out + "/new"}).options.integer("batch_size") == 1024);
  const auto own = write(folder, "own.json", "{\"$schema\": \"x.json\", \"batch_size\": 7}");
  CHECK(parse({"--out", out, "--config", own}).options.integer("batch_size") == 7);
}
