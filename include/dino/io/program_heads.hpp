// What --help of each program says before its flags.
#pragma once

#include <dino/io/option_table.hpp>

namespace dino::inline DINO_ABI {

/// What the program does, how it is called, and how options are given.
inline std::string program_head(Program program) {
  constexpr std::string_view pretrain =
      "pre-trains a vision transformer on images without labels (DINO)\n"
      "  dino_pretrain --data synthetic\n"
      "  dino_pretrain --config pre-train.yaml --data data/imagenet\n";
  constexpr std::string_view finetune =
      "trains a classifier on a pre-trained backbone\n"
      "  dino_finetune --config finetune.yaml --weights backbone.safetensors\n";
  constexpr std::string_view knn =
      "classifies by the nearest neighbours of frozen features\n"
      "  dino_knn --weights runs/pretrain/vit-s-16/version_0 --dataset cifar-10\n"
      "  dino_knn --baseline pixels --data synthetic\n";
  constexpr std::string_view features =
      "writes what a backbone makes of pictures\n"
      "  dino_features --weights runs/pretrain/vit-s-16/version_0 --data path/to/images -o f.safetensors\n"
      "  dino_features --weights W --tokens patch --no-crop -o f.safetensors cat.jpg dog.jpg\n";
  constexpr std::string_view attention =
      "draws what a backbone looks at\n"
      "  dino_attention --weights runs/pretrain/vit-s-16/version_0 cat.jpg dog.jpg\n"
      "  dino_attention --weights W --threshold 0.6 --pca path/to/images\n"
      "  dino_attention --weights W --match cat.jpg lynx.jpg\n";
  constexpr std::string_view embed =
      "draws the features of a data set as points of a plane\n"
      "  dino_embed --weights runs/pretrain/vit-s-16/version_0 --dataset cifar-10\n";
  const auto text = program == Program::pretrain    ? pretrain
                    : program == Program::finetune  ? finetune
                    : program == Program::knn       ? knn
                    : program == Program::features  ? features
                    : program == Program::attention ? attention
                                                    : embed;
  return str(
      "{} {}\nA flag --batch-size is also a key batch_size of the configuration file and a variable "
      "DINO_BATCH_SIZE.\nStrongest first: flag, --set, environment, file, default of the data set, default.\n",
      program_name(program), text);
}

}  // namespace dino::inline DINO_ABI
