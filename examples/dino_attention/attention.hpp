// The whole program, behind its options.
#pragma once

#include <dino/io/program_config.hpp>

#include <string>
#include <vector>

namespace programs {

/// Draws everything that the options ask for. command and options: what is noted beside the pictures. Returns the exit
/// code: 0 when at least one picture or video was drawn.
int attention(const dino::AttentionConfig& config, const std::vector<std::string>& command, const std::string& options);

}  // namespace programs
