// Pre-trains a vision transformer with DINO.  dino_pretrain --data synthetic
#include "../common/options.hpp"
#include "../common/program.hpp"
#include "pretrain.hpp"

extern char** environ;

int main(int argc, char** argv) {
  return programs::run_program([&] {
    const auto parsed =
        programs::read_options(dino::Program::pretrain, {argv + 1, argv + argc}, dino::read_environment(environ));
    if (const auto code = programs::answer(parsed)) return *code;
    return programs::pretrain(parsed.options, {argv, argv + argc});
  });
}
