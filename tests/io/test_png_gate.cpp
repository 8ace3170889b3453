#include <dino/io/png_gate.hpp>

#include "support/catch.hpp"

#include <dino/io/image_write.hpp>

using namespace dino;

namespace {

using Bytes = std::vector<u8>;

Image picture(i64 width, i64 height, u32 seed) {
  Image image(width, height);
  for (u8& byte : image.pixels) {
    seed = seed * 1664525u + 1013904223u;
    byte = static_cast<u8>(seed >> 24);
  }
  return image;
}

void put_chunk(Bytes& out, const std::string& type, const Bytes& body) { dino::detail::put_png_chunk(out, type, body); }

Bytes signature() { return {dino::detail::png_signature.begin(), dino::detail::png_signature.end()}; }

Bytes header_body(u32 width, u32 height, u8 depth, u8 color) {
  Bytes body;
  dino::detail::put_be32(body, width);
  dino::detail::put_be32(body, height);
  body.insert(body.end(), {depth, color, 0, 0, 0});
  return body;
}

}  // namespace

TEST_CASE("png gate: an intact file gives its header", "[io]") {
  const auto header = check_png(encode_png(picture(7, 5, 1)), "x");
  CHECK(header.width == 7);
  CHECK(header.height == 5);
  CHECK(header.bit_depth == 8);
  CHECK(header.color_type == 2);
  auto trailing = encode_png(picture(7, 5, 1));
  trailing.insert(trailing.end(), 100, 0xaa);
  CHECK(check_png(trailing, "x").width == 7);
}

TEST_CASE("png gate: every shorter file and every damaged byte is noticed", "[io]") {
  const auto file = encode_png(picture(5, 4, 2));
  for (size_t n = 0; n < file.size(); ++n) CHECK_THROWS_AS(check_png(std::span(file).first(n), "x"), Error);
  for (size_t i = 0; i < file.size(); ++i) {
    for (const u8 flip : {u8{0x01}, u8{0x80}}) {
      auto damaged = file;
      damaged[i] ^= flip;
      CHECK_THROWS_AS(check_png(damaged, "x"), Error);
    }
  }
}

TEST_CASE("png gate: the message names file and fault", "[io]") {
  const auto file = encode_png(picture(5, 4, 3));
  CHECK_THROWS_WITH(check_png(std::span(file).first(file.size() - 12), "cut.png"),
                    "cut.png: truncated PNG: no IEND chunk");
  auto damaged = file;
  damaged[50] ^= 4;
  CHECK_THROWS_WITH(check_png(damaged, "a.png"), "a.png: damaged PNG: wrong checksum in chunk IDAT");
  damaged = file;
  damaged[33] = 0x7f;  // the length of IDAT
  CHECK_THROWS_WITH(check_png(damaged, "a.png"), contains("truncated PNG: chunk IDAT claims"));

  const auto with_header = [](u32 width, u32 height, u8 depth, u8 color) {
    Bytes out = signature();
    put_chunk(out, "IHDR", header_body(width, height, depth, color));
    put_chunk(out, "IDAT", {1});
    put_chunk(out, "IEND", {});
    return out;
  };
  CHECK_THROWS_WITH(check_png(with_header(0, 5, 8, 2), "x"), "x: the picture is 0 x 5 pixels");
  CHECK_THROWS_WITH(check_png(with_header(0xffffffffu, 1, 8, 2), "x"), contains("a side may have 16384"));
  CHECK_THROWS_WITH(check_png(with_header(16000, 16000, 8, 2), "x"), contains("at most 80 million are read"));
  CHECK_THROWS_WITH(check_png(with_header(2, 2, 3, 2), "x"), "x: damaged PNG: colour type 2 with 3 bits");
  CHECK_THROWS_WITH(check_png(with_header(2, 2, 16, 3), "x"), "x: damaged PNG: colour type 3 with 16 bits");
  CHECK(check_png(with_header(2, 2, 16, 6), "x").bit_depth == 16);
}

TEST_CASE("png gate: chunks must come in order, and the data must not begin empty", "[io]") {
  const Bytes header = header_body(2, 2, 8, 2);
  const auto chunks = [](const std::vector<std::pair<std::string, Bytes>>& list) {
    Bytes out = signature();
    for (const auto& [type, body] : list) put_chunk(out, type, body);
    return out;
  };
  CHECK_THROWS_WITH(check_png(chunks({{"IDAT", {1}}, {"IHDR", header}, {"IEND", {}}}), "x"),
                    "x: damaged PNG: chunk IDAT out of order");
  CHECK_THROWS_WITH(check_png(chunks({{"IHDR", header}, {"IHDR", header}, {"IEND", {}}}), "x"),
                    "x: damaged PNG: chunk IHDR out of order");
  CHECK_THROWS_WITH(check_png(chunks({{"IHDR", header}, {"IDAT", {}}, {"IEND", {}}}), "x"),
                    "x: damaged PNG: the first IDAT chunk is empty");
  CHECK_THROWS_WITH(check_png(chunks({{"IHDR", header}, {"IEND", {}}}), "x"), "x: damaged PNG: no IDAT chunk");
  CHECK_THROWS_WITH(check_png(chunks({{"IHDR", {1, 2, 3}}}), "x"), "x: damaged PNG: the header has 3 bytes, not 13");
}
