// The options of a program from arguments, environment and configuration file. Compiled once for all programs.
#pragma once

#include <dino/io/cli.hpp>

#include <string>
#include <vector>

namespace programs {

/// dino::parse_options.
dino::ParseResult read_options(dino::Program program, const std::vector<std::string>& arguments,
                               const dino::Environment& environment);

}  // namespace programs
