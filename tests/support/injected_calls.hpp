// System calls that fail, stop short or are counted, for a while.
#pragma once

#include <dino/io/file.hpp>

/// Replaces the system calls of files while it lives.
struct Injected {
  explicit Injected(const dino::FileCalls& calls) : old(dino::set_file_calls(calls)) {}
  ~Injected() { dino::set_file_calls(old); }
  dino::FileCalls old;
};
