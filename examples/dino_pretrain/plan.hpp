// What a run will do, before it does anything: steps, sizes, memory, disk.
#pragma once

#include "sets.hpp"

#include <dino/data/multicrop.hpp>
#include <dino/ssl/config.hpp>

namespace programs {

struct Plan {
  dino::DinoConfig dino;
  std::vector<dino::CropGroup> groups;
  dino::i64 last_step = 0;  // the end of the run, or --max-steps
  dino::i64 checkpoint_bytes = 0;
  std::vector<std::string> lines;  // for people
};

/// micro_batch: the size of a pass that a checkpoint was made with, 0 when there is none: then the option's, or as much
/// as fits into memory.
Plan make_plan(const dino::PretrainConfig& config, const Sets& sets, const dino::MultiCrop& crops,
               dino::i64 micro_batch);

}  // namespace programs
