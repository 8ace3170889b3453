#include <dino/io/option_text.hpp>
#include <nlohmann/json.hpp>

#include "support/catch.hpp"

using namespace dino;

namespace {

constexpr OptionRow table[] = {
    {.key = "lr",
     .type = OptionType::real,
     .programs = 1,
     .group = "training",
     .fallback = "auto",
     .range = {.low = 0, .low_open = true},
     .words = "auto",
     .data_sets = {"1e-3", {}, {}},
     .example = "5e-4",
     .help = "rate"},
    {.key = "batch_size",
     .type = OptionType::integer,
     .programs = 3,
     .group = "training",
     .fallback = "1024",
     .range = {.low = 1, .high = 65536},
     .unit = "images",
     .example = "256",
     .help = "global \"batch\""},
    {.key = "norm_last_layer",
     .type = OptionType::flag,
     .programs = 1,
     .group = "head",
     .fallback = "true",
     .help = "norm"},
    {.key = "device",
     .type = OptionType::text,
     .programs = 7,
     .group = "run",
     .fallback = "cpu",
     .words = "cpu|cuda:N",
     .example = "cpu",
     .help = "where"},
    {.key = "blur_prob",
     .type = OptionType::reals,
     .programs = 1,
     .group = "run",
     .fallback = "1,0.1",
     .range = {.low = 0, .high = 1},
     .example = "0",
     .help = "blur"},
    {.key = "save_every",
     .type = OptionType::interval,
     .programs = 1,
     .group = "run",
     .fallback = "20m",
     .example = "1e",
     .help = "checkpoints"},
    {.key = "verbose",
     .type = OptionType::flag,
     .programs = 7,
     .group = "run",
     .fallback = "false",
     .help = "more",
     .letter = 'v'},
    {.key = "config",
     .type = OptionType::path,
     .programs = 7,
     .group = "run",
     .example = "a.json",
     .help = "file",
     .command_line_only = true},
};

}  // namespace

TEST_CASE("option_text: help has groups, defaults, ranges, units and an example for each flag", "[io]") {
  CHECK(help_text(table, Program::pretrain, "head\n") == R"(head

training
  --lr REAL                       rate
                                  default auto (synthetic 1e-3); > 0 or auto; e.g. --lr 5e-4
  --batch-size INT                global "batch"
                                  default 1024; 1..65536; unit: images; e.g. --batch-size 256

head
  --norm-last-layer               norm
                                  default true; e.g. --no-norm-last-layer

run
  --device cpu|cuda:N             where
                                  default cpu; e.g. --device cpu
  --blur-prob REAL-LIST           blur
                                  default 1,0.1; [0, 1]; e.g. --blur-prob 0
  --save-every INTERVAL           checkpoints
                                  default 20m; e.g. --save-every 1e
  -v, --verbose                   more
                                  default false
  --config PATH                   file
                                  e.g. --config a.json
)");
  CHECK(help_text(table, Program::finetune, "").find("--lr") == std::string::npos);
}

TEST_CASE("option_text: the documentation is a table per group, with bars escaped", "[io]") {
  const auto text = markdown_text(table);
  CHECK(text.find("\n## training\n\n| key | programs |") != std::string::npos);
  CHECK(text.find("| `batch_size` | pretrain, finetune | int | 1024 | 1..65536 | images | global \"batch\" | "
                  "`--batch-size 256` |\n") != std::string::npos);
  CHECK(options_detail::cell("a|<b>") == "a\\|&lt;b>");
}

TEST_CASE("option_text: the schema is JSON and says type, bounds, words and default", "[io]") {
  const auto schema = nlohmann::json::parse(schema_text(table, Program::pretrain));
  const auto& keys = schema["$defs"]["keys"]["properties"];
  CHECK(keys["batch_size"]["type"] == "integer");
  CHECK(keys["batch_size"]["minimum"] == 1);
  CHECK(keys["batch_size"]["maximum"] == 65536);
  CHECK(keys["batch_size"]["description"] == "global \"batch\". Default 1024.");
  CHECK(keys["lr"]["anyOf"][0]["exclusiveMinimum"] == 0);
  CHECK(keys["lr"]["anyOf"][1]["const"] == "auto");
  CHECK(keys["norm_last_layer"]["type"] == "boolean");
  CHECK(keys["device"]["anyOf"][0]["const"] == "cpu");
  CHECK(keys["device"]["anyOf"][1]["pattern"] == "^cuda:[0-9]+$");
  CHECK(keys["blur_prob"]["anyOf"][1]["items"]["maximum"] == 1);
  CHECK(keys["save_every"]["type"] == nlohmann::json({"string", "number"}));
  CHECK_FALSE(keys.contains("config"));
  CHECK_FALSE(nlohmann::json::parse(schema_text(table, Program::knn))["$defs"]["keys"]["properties"].contains("lr"));
}
