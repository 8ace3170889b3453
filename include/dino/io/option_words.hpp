// Words in which the rows of the table of options are written: ranges and programs.
#pragma once

#include <dino/io/option_text.hpp>

namespace dino::inline DINO_ABI::options_detail {

constexpr OptionRange between(double low, double high) { return {low, high, false, false}; }
constexpr OptionRange above_up_to(double low, double high) { return {low, high, true, false}; }  // (low, high]
constexpr OptionRange from_below(double low, double high) { return {low, high, false, true}; }   // [low, high)
constexpr OptionRange at_least(double low) { return {.low = low}; }
constexpr OptionRange above(double low) { return {.low = low, .low_open = true}; }

using Type = OptionType;
inline constexpr unsigned pretrain = static_cast<unsigned>(Program::pretrain);
inline constexpr unsigned finetune = static_cast<unsigned>(Program::finetune);
inline constexpr unsigned knn = static_cast<unsigned>(Program::knn);
inline constexpr unsigned features = static_cast<unsigned>(Program::features);
inline constexpr unsigned attention = static_cast<unsigned>(Program::attention);
inline constexpr unsigned embed = static_cast<unsigned>(Program::embed);
inline constexpr unsigned runs = pretrain | finetune | knn;
inline constexpr unsigned pictures = attention | embed;
inline constexpr unsigned every = runs | features | pictures;

}  // namespace dino::inline DINO_ABI::options_detail
