// The figures of a classifier: from its logits, to the terminal and to files.
#pragma once

#include <dino/eval/classification.hpp>
#include <dino/eval/features.hpp>

#include <filesystem>

namespace programs {

/// Figures of the logits (n, classes) of a labelled set. Throws Error{data} when no image could be read.
dino::ClassificationMetrics metrics_of(const dino::FeatureSet& logits, dino::i64 classes, const std::string& where);

/// "top-1 93.1 %  top-5 99.8 %  loss 0.213": top-5 where there are more than five classes.
std::string metrics_text(const dino::ClassificationMetrics& m);

/// A line per class: its accuracy and number of images.
std::string class_lines(const dino::ClassificationMetrics& m, const std::vector<std::string>& classes);

/// Writes confusion.csv, confusion.png and class_accuracy.csv into the folder, which is made.
void write_metrics(const std::filesystem::path& folder, const dino::ClassificationMetrics& m,
                   const std::vector<std::string>& classes);

}  // namespace programs
