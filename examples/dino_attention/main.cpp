// What a backbone looks at, as pictures.  dino_attention --weights RUN_DIR cat.jpg dog.jpg --threshold 0.6
#include "../common/options.hpp"
#include "../common/program.hpp"
#include "attention.hpp"

extern char** environ;

int main(int argc, char** argv) {
  return programs::run_program([&] {
    const auto parsed =
        programs::read_options(dino::Program::attention, {argv + 1, argv + argc}, dino::read_environment(environ));
    if (const auto code = programs::answer(parsed)) return *code;
    return programs::attention(dino::resolve_attention(parsed.options, parsed.files), {argv, argv + argc},
                               parsed.options.to_json());
  });
}
