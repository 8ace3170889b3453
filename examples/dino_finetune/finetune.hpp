// The parts of the program that are compiled apart. Each returns the exit code.
#pragma once

#include <dino/io/finetune_config.hpp>

#include <string>
#include <vector>

namespace programs {

/// Trains backbone and head to the end, to --max-steps, to --time-limit, or to a signal (full.cpp).
int train_full(const dino::Options& options, const std::vector<std::string>& command);

/// Trains a linear classifier on frozen features (linear.cpp).
int train_linear(const dino::Options& options, const std::vector<std::string>& command);

/// Evaluates a trained classifier on the test images (evaluate.cpp).
int evaluate(const dino::FinetuneConfig& config);

/// Classifies images without labels (predict.cpp).
int predict(const dino::FinetuneConfig& config);

}  // namespace programs
