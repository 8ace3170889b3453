// Letters of 5 x 7 pixels, to label a picture without a font library.
#pragma once

#include <dino/base/image.hpp>

#include <algorithm>
#include <array>
#include <string_view>

namespace dino::inline DINO_ABI {

using Colour = std::array<u8, 3>;  // red, green, blue

namespace detail {

/// The printable characters of ASCII from the space on, seven rows each from the top; a row is five bits, the leftmost
/// the highest, as a digit 0-9 a-v.
// clang-format off
inline constexpr std::string_view glyph_rows =
    "00000004444004aaa0000aavavaa4fke5u4op248j3cik8lid4480000"                 // space ! " # $ % & '
    "2488842842224804lel40044v4400000c48000v00000000cc01248g0"                 // ( ) * + , - . /
    "ehjlphe4c4444eeh1248vv2421he26aiv22vgu11he68guhhev124888ehhehheehhf12c"   // 0 to 9
    "0cc0cc00cc0c48248g84200v0v008421248eh12404eh1dlle"                        // : ; < = > ? @
    "ehhvhhhuhhuhhuehgggheuhhhhhuvgguggvvggugggehgnhhfhhhvhhh"                 // A to H
    "e44444e72222ichikokihggggggvhrllhhhhhpljhhehhhhheuhhuggg"                 // I to P
    "ehhhliduhhukihfggee1uv444444hhhhhhehhhhha4hhhlllahha4ahhhha4444v1248gv"   // Q to Z
    "e88888e0g84210e22222e4ah0000000000v8420000"                               // [ \ ] ^ _ `
    "00e1fhfggmphhu00egghe11djhhf00ehvge698s8880fhhf1eggmphhh"                 // a to h
    "40c444e20622icggikokic44444e00qllhh00mphhh00ehhhe00uhugg"                 // i to p
    "00djf1100mpggg00ege1u88s889600hhhjd00hhha400hhlla00ha4ah00hhf1e00v248v"   // q to z
    "244844244444448442448008l200";                                            // { | } ~
// clang-format on

inline constexpr std::string_view unknown_glyph = "vhhhhhv";

inline std::string_view glyph(char c) {
  const auto at = static_cast<size_t>(static_cast<unsigned char>(c)) - 32;
  return c >= 32 && 7 * at + 7 <= glyph_rows.size() ? glyph_rows.substr(7 * at, 7) : unknown_glyph;
}

/// Continuation bytes of UTF-8 have no picture of their own.
inline bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

}  // namespace detail

enum class TextDirection { right, up };

/// Pixels that the text takes along its direction; across it takes 7 scale.
inline i64 bitmap_text_length(std::string_view text, i64 scale = 1) {
  const auto n = std::count_if(text.begin(), text.end(), detail::begins_character);
  return n > 0 ? scale * (6 * static_cast<i64>(n) - 1) : 0;
}

/// Writes the text; (x,y) is the upper left corner of the first letter, for text that runs up its lower left one. What
/// lies outside the picture is left out. Characters beyond ASCII become a box.
inline void draw_text(Image& image, i64 x, i64 y, std::string_view text, Colour colour, i64 scale = 1,
                      TextDirection direction = TextDirection::right) {
  i64 along = 0;
  for (const char c : text) {
    if (!detail::begins_character(c)) continue;
    const auto rows = detail::glyph(c);
    for (i64 i = 0; i < 35 * scale * scale; ++i) {
      const i64 across = i / (5 * scale), right = i % (5 * scale);
      const char digit = rows[static_cast<size_t>(across / scale)];
      const int bits = digit <= '9' ? digit - '0' : digit - 'a' + 10;
      if (!(bits >> (4 - right / scale) & 1)) continue;
      const bool up = direction == TextDirection::up;
      const i64 px = x + (up ? across : along + right), py = up ? y - (along + right) : y + across;
      if (px >= 0 && py >= 0 && px < image.width && py < image.height)
        std::copy(colour.begin(), colour.end(), image.at(px, py));
    }
    along += 6 * scale;
  }
}

/// Fills a rectangle, as far as it lies inside the picture.
inline void fill_rectangle(Image& image, i64 x, i64 y, i64 width, i64 height, Colour colour) {
  for (i64 row = std::max<i64>(y, 0); row < std::min(y + height, image.height); ++row)
    for (i64 col = std::max<i64>(x, 0); col < std::min(x + width, image.width); ++col)
      std::copy(colour.begin(), colour.end(), image.at(col, row));
}

}  // namespace dino::inline DINO_ABI
