// k-NN accuracy of frozen features.  dino_knn --weights RUN_DIR --data DIR --features-cache features
#include "../common/options.hpp"
#include "../common/program.hpp"
#include "knn.hpp"

extern char** environ;

int main(int argc, char** argv) {
  return programs::run_program([&] {
    const auto parsed =
        programs::read_options(dino::Program::knn, {argv + 1, argv + argc}, dino::read_environment(environ));
    if (const auto code = programs::answer(parsed)) return *code;
    return programs::knn(dino::resolve_knn(parsed.options));
  });
}
