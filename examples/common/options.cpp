#include "options.hpp"

#include <dino/io/program_options.hpp>
#include <dino/io/program_rules.hpp>

namespace programs {

dino::ParseResult read_options(dino::Program program, const std::vector<std::string>& arguments,
                               const dino::Environment& environment) {
  return dino::parse_options(program, arguments, environment);
}

}  // namespace programs
