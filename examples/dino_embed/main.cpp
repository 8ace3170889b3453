// A data set as points of the plane.  dino_embed --weights RUN_DIR --data DIR --method tsne
#include "../common/options.hpp"
#include "../common/program.hpp"
#include "embed.hpp"

extern char** environ;

int main(int argc, char** argv) {
  return programs::run_program([&] {
    const auto parsed =
        programs::read_options(dino::Program::embed, {argv + 1, argv + argc}, dino::read_environment(environ));
    if (const auto code = programs::answer(parsed)) return *code;
    return programs::embed(dino::resolve_embed(parsed.options), {argv, argv + argc}, parsed.options.to_json());
  });
}
