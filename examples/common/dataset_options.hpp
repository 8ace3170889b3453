// Opening the images that the options of a program name. Compiled once for all programs, with all decoders.
#pragma once

#include <dino/data/open_dataset.hpp>
#include <dino/io/program_config.hpp>

#include <string>
#include <vector>

namespace programs {

dino::DatasetOptions dataset_options(const dino::CommonConfig& c, dino::i64 image_size);

/// dino::open_dataset.
dino::OpenedData open_data(const std::string& path_or_name, const dino::DatasetOptions& options);

/// Pictures named one by one, dino::ImageFiles.
dino::AnyDataset open_files(const std::vector<std::string>& paths, const dino::DatasetOptions& options);

/// The training images and behind them the test images, if there are any.
dino::AnyDataset all_images(const dino::OpenedData& data);

/// n images of a set, drawn by the seed (folders are sorted by class) and kept in their order; all when n is 0. The
/// synthetic images have no order: there it is the first n.
dino::AnyDataset at_most(const dino::AnyDataset& set, dino::i64 n, dino::i64 seed);

}  // namespace programs
