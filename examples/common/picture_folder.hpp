// The folder of a program that draws pictures.
#pragma once

#include <dino/io/program_config.hpp>
#include <dino/io/run_dir.hpp>

namespace programs {

/// program: "attention" of runs/attention/<backbone>/version_N.
inline dino::RunRequest picture_request(const std::string& program, const std::string& backbone,
                                        const dino::CommonConfig& common, const dino::PictureFolder& folder) {
  dino::RunRequest r{.program = program, .backbone = backbone, .out = common.out, .trains = false};
  if (folder.experiment_num >= 0) r.version = folder.experiment_num;
  r.overwrite = folder.overwrite;
  return r;
}

}  // namespace programs
