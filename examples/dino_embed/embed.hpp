// From images to a folder of pictures.
#pragma once

#include <dino/io/program_config.hpp>

#include <string>
#include <vector>

namespace programs {

/// command: the words of the command line; options: as they are kept in config.json.
int embed(const dino::EmbedConfig& config, const std::vector<std::string>& command, const std::string& options);

}  // namespace programs
