// The parts of the program that are compiled apart.
#pragma once

#include <dino/io/cli.hpp>

#include <filesystem>

namespace programs {

/// The options of this program from arguments, environment and configuration file (options.cpp).
dino::ParseResult read_options(const std::vector<std::string>& arguments, const dino::Environment& environment);

/// Trains to the end, to --max-steps, to --time-limit, or to a signal; returns the exit code (pretrain.cpp).
int pretrain(const dino::Options& options, const std::vector<std::string>& command);

/// Writes report.html of a run folder and returns its path (report.cpp).
std::filesystem::path write_run_report(const std::filesystem::path& folder);

}  // namespace programs
