#include "pretrain.hpp"

#include <dino/io/program_options.hpp>
#include <dino/io/program_rules.hpp>

namespace programs {

dino::ParseResult read_options(const std::vector<std::string>& arguments, const dino::Environment& environment) {
  return dino::parse_options(dino::Program::pretrain, arguments, environment);
}

}  // namespace programs
