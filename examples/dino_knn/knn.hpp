// The part of the program that is compiled apart.
#pragma once

#include <dino/io/program_config.hpp>

namespace programs {

/// Features, their search, and what is made of it; returns the exit code (knn.cpp).
int knn(const dino::KnnConfig& config);

}  // namespace programs
