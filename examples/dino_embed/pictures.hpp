// What becomes of an embedding: PNG, SVG, CSV and a page.
#pragma once

#include <dino/data/dataset.hpp>
#include <dino/device/choose.hpp>
#include <dino/tensor/copy.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace programs {

/// Images and where they lie.
struct Embedded {
  std::string title;               // of all pictures
  std::vector<std::string> facts;  // a line each
  dino::AnyDataset images;
  std::vector<dino::i64> index;      // (n): positions among the images
  std::vector<dino::i64> labels;     // (n); -1: none
  std::vector<std::string> classes;  // by label; empty: one colour
  std::vector<float> points;         // (n,2)
  dino::i64 image_size;              // what the network sees
};

/// Writes stem.csv, .png, .svg and .html. Throws Error{resources}.
void write_pictures(dino::HostContext& host, const Embedded& e, const std::filesystem::path& stem);

}  // namespace programs
