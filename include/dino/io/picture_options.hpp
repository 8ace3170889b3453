// Rows of the table of options: attention maps and embeddings.
#pragma once

#include <dino/io/option_words.hpp>

namespace dino::inline DINO_ABI::options_detail {

// clang-format off
inline constexpr OptionRow picture_rows[] = {
    {.key = "size", .type = Type::integer, .programs = attention, .group = "attention", .fallback = "480",
     .range = between(0, 16384), .unit = "pixels", .example = "224",
     .help = "short side of the picture as the network sees it; 0: as it is"},
    {.key = "square", .type = Type::flag, .programs = attention, .group = "attention", .fallback = "false",
     .help = "resize to size x size and change the aspect, as the reference does"},
    {.key = "layers", .type = Type::text, .programs = attention, .group = "attention", .fallback = "last",
     .example = "0..11", .help = "blocks whose attention is drawn: last, all, or numbers from 0 such as 0,3 or 0..11"},
    {.key = "heads", .type = Type::text, .programs = attention, .group = "attention", .fallback = "all",
     .example = "0,3", .help = "heads that are drawn: all, mean (their mean alone), or numbers from 0"},
    {.key = "threshold", .type = Type::real, .programs = attention, .group = "attention", .fallback = "0",
     .range = from_below(0, 1), .example = "0.6",
     .help = "masks of the patches that hold this part of the attention; 0: no masks"},
    {.key = "rollout", .type = Type::flag, .programs = attention, .group = "attention", .fallback = "false",
     .help = "also the attention through all blocks (Abnar and Zuidema 2020)"},
    {.key = "colormap", .type = Type::text, .programs = attention, .group = "attention", .fallback = "viridis",
     .example = "inferno", .help = "colours of the maps"},
    {.key = "overlay", .type = Type::flag, .programs = attention, .group = "attention", .fallback = "true",
     .help = "maps laid smoothly over the picture"},
    {.key = "grid", .type = Type::flag, .programs = attention, .group = "attention", .fallback = "true",
     .help = "one sheet for each picture"},
    {.key = "raw", .type = Type::flag, .programs = attention, .group = "attention", .fallback = "false",
     .help = "the numbers of the maps, .npy"},
    {.key = "pca", .type = Type::flag, .programs = attention, .group = "attention", .fallback = "false",
     .help = "patches coloured by their first three principal components, one basis for all pictures"},
    {.key = "match", .type = Type::flag, .programs = attention, .group = "attention", .fallback = "false",
     .help = "lines between the patches of two pictures that are each other's nearest"},
    {.key = "video", .type = Type::flag, .programs = attention, .group = "attention", .fallback = "false",
     .help = "the pictures of a folder are frames: one scale of colours, and a video where ffmpeg is installed"},
    {.key = "fps", .type = Type::real, .programs = attention, .group = "attention", .fallback = "30",
     .range = above_up_to(0, 1000), .unit = "frames a second", .example = "25", .help = "of the video made of frames"},
    {.key = "split", .type = Type::text, .programs = embed, .group = "embedding", .fallback = "auto",
     .words = "auto|train|test", .example = "train", .help = "which images; auto: test, where the data have them"},
    {.key = "samples", .type = Type::integer, .programs = embed, .group = "embedding", .fallback = "10000",
     .range = at_least(0), .unit = "images", .example = "2000", .help = "images, drawn by --seed; 0: all"},
    {.key = "method", .type = Type::text, .programs = embed, .group = "embedding", .fallback = "tsne",
     .words = "pca|tsne", .example = "pca", .help = "principal components, or t-SNE"},
    {.key = "perplexity", .type = Type::real, .programs = embed, .group = "embedding", .fallback = "30",
     .range = above_up_to(1, 1000), .example = "50", .help = "t-SNE: neighbours that count, about"},
    {.key = "iterations", .type = Type::integer, .programs = embed, .group = "embedding", .fallback = "1000",
     .range = between(250, 100000), .example = "500", .help = "t-SNE: steps of gradient descent"},
    {.key = "theta", .type = Type::real, .programs = embed, .group = "embedding", .fallback = "0.5",
     .range = between(0, 1), .example = "0", .help = "t-SNE: angle of Barnes-Hut; 0: every pair, exact"},
    {.key = "features_cache", .type = Type::path, .programs = embed, .group = "embedding",
     .example = "features/vit-s-16",
     .help = "folder that keeps the features for the next time; none: they are computed each time"},
};
// clang-format on

}  // namespace dino::inline DINO_ABI::options_detail
