// Pre-trains a vision transformer with DINO.  dino_pretrain --data synthetic
#include "pretrain.hpp"

extern char** environ;

int main(int argc, char** argv) {
  return programs::run_program([&] {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    const auto parsed = dino::parse_options(dino::Program::pretrain, arguments, dino::read_environment(environ));
    for (const auto& warning : parsed.warnings) std::cerr << "warning: " << warning << '\n';
    if (!parsed.ok()) {
      std::cerr << parsed.report();
      return parsed.exit_code();
    }
    if (!parsed.answer.empty()) {
      std::cout << parsed.answer;
      return 0;
    }
    programs::stop_on_signals();
    return programs::Pretrain(parsed.options, std::vector<std::string>(argv, argv + argc)).run();
  });
}
