// The parts of the program that are compiled apart.
#pragma once

#include <dino/io/options.hpp>

#include <string>
#include <vector>

namespace programs {

/// Trains to the end, to --max-steps, to --time-limit, or to a signal; returns the exit code (pretrain.cpp).
int pretrain(const dino::Options& options, const std::vector<std::string>& command);

}  // namespace programs
