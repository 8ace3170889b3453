// Trains a classifier on a pre-trained backbone, or uses one.  dino_finetune --data DIR --weights RUN_DIR --mode full
#include "../common/options.hpp"
#include "../common/program.hpp"
#include "finetune.hpp"

#include <dino/io/finetune_config.hpp>

extern char** environ;

int main(int argc, char** argv) {
  return programs::run_program([&] {
    const auto parsed =
        programs::read_options(dino::Program::finetune, {argv + 1, argv + argc}, dino::read_environment(environ));
    if (const auto code = programs::answer(parsed)) return *code;
    const auto config = dino::resolve_finetune(parsed.options);
    const std::vector<std::string> command(argv, argv + argc);
    if (!config.predict.empty()) return programs::predict(config);
    if (config.eval_only) return programs::evaluate(config);
    return config.mode == "linear" ? programs::train_linear(parsed.options, command)
                                   : programs::train_full(parsed.options, command);
  });
}
