// The program behind its command line.
#include "pretrain.hpp"

#include "../common/program.hpp"
#include "../common/settings.hpp"
#include "run.hpp"

namespace programs {

int pretrain(const dino::Options& options, const std::vector<std::string>& command) {
  const auto config = dino::resolve_pretrain(options);
  if (config.common.dry_run) {
    const auto sets = open_sets(config);
    const auto plan = make_plan(config, sets, dino::MultiCrop(crop_settings(config), 0), 0);
    for (const auto& line : plan.lines) std::cout << line << '\n';
    return 0;
  }
  stop_on_signals();
  return Pretrain(options, command).run();
}

}  // namespace programs
