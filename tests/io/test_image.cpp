#include <dino/io/image.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

#include <fstream>
#include <thread>

using namespace dino;

namespace {

using Bytes = std::vector<u8>;

Image picture(i64 width, i64 height, u32 seed, bool smooth = false) {
  Image image(width, height);
  for (i64 y = 0; y < height; ++y) {
    for (i64 x = 0; x < width; ++x) {
      for (i64 c = 0; c < 3; ++c) {
        seed = seed * 1664525u + 1013904223u;
        image.at(x, y)[c] = smooth ? static_cast<u8>((2 * x + 3 * y + 40 * c) % 256) : static_cast<u8>(seed >> 24);
      }
    }
  }
  return image;
}

void put_chunk(Bytes& out, const std::string& type, const Bytes& body) { dino::detail::put_png_chunk(out, type, body); }

/// A PNG with filter 0 rows in stored blocks. rows: height lines of packed samples.
struct PngParts {
  u32 width = 2, height = 2;
  u8 depth = 8, color = 2;
  std::vector<Bytes> rows{};
  Bytes palette{}, transparency{};
};

Bytes stored_zlib(const Bytes& raw) {
  Bytes out = {0x78,
               0x01,
               0x01,
               static_cast<u8>(raw.size()),
               static_cast<u8>(raw.size() >> 8),
               static_cast<u8>(~raw.size()),
               static_cast<u8>(~raw.size() >> 8)};
  out.insert(out.end(), raw.begin(), raw.end());
  dino::detail::put_be32(out, dino::detail::adler32(raw));
  return out;
}

Bytes signature() { return {dino::detail::png_signature.begin(), dino::detail::png_signature.end()}; }

Bytes header_body(u32 width, u32 height, u8 depth, u8 color) {
  Bytes body;
  dino::detail::put_be32(body, width);
  dino::detail::put_be32(body, height);
  body.insert(body.end(), {depth, color, 0, 0, 0});
  return body;
}

[[maybe_unused]] Bytes png(const PngParts& p) {
  Bytes out = signature(), raw;
  put_chunk(out, "IHDR", header_body(p.width, p.height, p.depth, p.color));
  if (!p.palette.empty()) put_chunk(out, "PLTE", p.palette);
  if (!p.transparency.empty()) put_chunk(out, "tRNS", p.transparency);
  for (const auto& row : p.rows) {
    raw.push_back(0);
    raw.insert(raw.end(), row.begin(), row.end());
  }
  put_chunk(out, "IDAT", stored_zlib(raw));
  put_chunk(out, "IEND", {});
  return out;
}

[[maybe_unused]] Bytes decoded(const Bytes& file) { return decode_image(file, "x.png").pixels; }

}  // namespace

TEST_CASE("image: what is no picture is refused with a reason", "[io]") {
  const std::string text = "Hello, world! This is no picture";
  const Bytes bytes(text.begin(), text.end());
  CHECK_THROWS_WITH(decode_image(bytes, "x.jpg"), "x.jpg: not an image (starts with \"Hello, world! Th\")");
  CHECK_THROWS_WITH(decode_image(Bytes{0, 1, 'a'}, "b"), "b: not an image (starts with \"\\x00\\x01a\")");
  CHECK_THROWS_WITH(decode_image(Bytes{}, "e.png"), "e.png: the file is empty");
  CHECK_THROWS_WITH(decode_image(Bytes{'G', 'I', 'F', '8', '9', 'a'}, "g.gif"),
                    "g.gif: GIF is not supported; JPEG, PNG and BMP are");
  CHECK_THROWS_WITH(decode_image(Bytes{'I', 'I', '*', 0}, "t"), contains("TIFF is not supported"));
  try {
    decode_image(bytes, "x.jpg");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::data);
  }
}

TEST_CASE("image: files that are missing, folders or too large are named", "[io]") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(load_image(folder / "none.png"), contains("none.png: no such file"));
  CHECK_THROWS_WITH(load_image(folder.path), contains(": not a file"));
  std::ofstream(folder / "empty.png").flush();
  CHECK_THROWS_WITH(load_image(folder / "empty.png"), contains("empty.png: the file is empty"));
  std::ofstream(folder / "large.png").flush();
  std::filesystem::resize_file(folder / "large.png", (64u << 20) + 1);
  CHECK_THROWS_WITH(load_image(folder / "large.png"), contains("67108865 bytes, a picture file may have 67108864"));
}

TEST_CASE("write_png: impossible pictures are refused", "[io]") {
  CHECK_THROWS_WITH(encode_png(Image()), contains("encode_png: 0 x 0 pixels"));
  auto image = picture(3, 3, 1);
  image.pixels.pop_back();
  CHECK_THROWS_WITH(encode_png(image), contains("encode_png: 26 bytes for 3 x 3"));
  CHECK_THROWS_WITH(write_png("/no/such/folder/x.png", picture(1, 1, 1)), "/no/such/folder/x.png: cannot be written");
}

#if DINO_HAS_STB

TEST_CASE("png: what is written is read back", "[io]") {
  const TemporaryFolder folder;
  Image flat(300, 200);  // matches of the greatest length
  std::fill(flat.pixels.begin(), flat.pixels.end(), u8{9});
  for (const Image& image : {picture(1, 1, 1), picture(67, 31, 2), picture(251, 190, 3, true), flat}) {
    write_png(folder / "x.png", image);
    CHECK(load_image(folder / "x.png") == image);
  }
  CHECK(encode_png(flat).size() < 3000);
  CHECK(encode_png(picture(251, 190, 3, true)).size() < 251 * 190);
}

TEST_CASE("png: gray and palettes of every depth become RGB", "[io]") {
  CHECK(decoded(png({.width = 2, .height = 2, .depth = 8, .color = 0, .rows = {{0, 77}, {128, 255}}})) ==
        Bytes{0, 0, 0, 77, 77, 77, 128, 128, 128, 255, 255, 255});
  CHECK(decoded(png({.width = 3, .height = 1, .depth = 1, .color = 0, .rows = {{0b10100000}}})) ==
        Bytes{255, 255, 255, 0, 0, 0, 255, 255, 255});
  CHECK(decoded(png({.width = 2, .height = 1, .depth = 2, .color = 0, .rows = {{0b01100000}}})) ==
        Bytes{85, 85, 85, 170, 170, 170});
  CHECK(decoded(png({.width = 2, .height = 1, .depth = 4, .color = 0, .rows = {{0x3f}}})) ==
        Bytes{51, 51, 51, 255, 255, 255});
  const Bytes palette = {1, 2, 3, 40, 50, 60, 7, 8, 9};
  const Bytes expected = {7, 8, 9, 40, 50, 60};
  for (const auto& [depth, row] : {std::pair<u8, Bytes>{2, {0b10010000}}, {4, {0x21}}, {8, {2, 1}}}) {
    const PngParts opaque{.width = 2, .height = 1, .depth = depth, .color = 3, .rows = {row}, .palette = palette};
    CHECK(decoded(png(opaque)) == expected);
    auto transparent = opaque;
    transparent.transparency = {0, 10, 20};
    CHECK(decoded(png(transparent)) == expected);
  }
}

TEST_CASE("png: alpha is dropped, and of 16 bits the upper 8 stay", "[io]") {
  CHECK(decoded(png({.width = 1, .height = 2, .depth = 8, .color = 4, .rows = {{77, 0}, {9, 255}}})) ==
        Bytes{77, 77, 77, 9, 9, 9});
  CHECK(decoded(png({.width = 2, .height = 1, .depth = 8, .color = 6, .rows = {{1, 2, 3, 0, 4, 5, 6, 128}}})) ==
        Bytes{1, 2, 3, 4, 5, 6});
  CHECK(decoded(png({.width = 2, .height = 1, .depth = 16, .color = 0, .rows = {{0x12, 0xff, 0xfe, 0x80}}})) ==
        Bytes{0x12, 0x12, 0x12, 0xfe, 0xfe, 0xfe});
  CHECK(decoded(png({.width = 1, .height = 1, .depth = 16, .color = 2, .rows = {{1, 255, 2, 255, 3, 255}}})) ==
        Bytes{1, 2, 3});
  CHECK(decoded(png({.width = 1, .height = 1, .depth = 16, .color = 6, .rows = {{1, 0, 2, 0, 3, 0, 9, 9}}})) ==
        Bytes{1, 2, 3});
  CHECK(decoded(png({.width = 1, .height = 1, .depth = 16, .color = 4, .rows = {{5, 0, 9, 9}}})) == Bytes{5, 5, 5});
}

TEST_CASE("png: data that ends early or never is an error", "[io]") {
  CHECK_THROWS_WITH(decoded(png({.width = 2, .height = 3, .depth = 8, .color = 0, .rows = {{0, 77}}})),
                    contains("x.png: cannot be decoded"));
  // A picture of one pixel whose data inflates to 24 MB.
  Bytes out = signature(), body = {0x78, 0x01};
  put_chunk(out, "IHDR", header_body(1, 1, 8, 2));
  dino::detail::deflate_fixed(Bytes(24u << 20, 0), body);
  put_chunk(out, "IDAT", body);
  put_chunk(out, "IEND", {});
  CHECK_THROWS_WITH(decoded(out), contains("decoding needs more memory than an intact file of this size would"));
  CHECK(decode_image(encode_png(picture(3, 3, 1)), "next") == picture(3, 3, 1));
}

TEST_CASE("bmp: 24 bits, bottom row first", "[io]") {
  Bytes file(54, 0);
  file[0] = 'B', file[1] = 'M', file[10] = 54, file[14] = 40, file[18] = 1, file[22] = 2, file[26] = 1, file[28] = 24;
  file.insert(file.end(), {3, 2, 1, 0, 6, 5, 4, 0});  // blue first, rows padded to four bytes
  CHECK(decode_image(file, "x.bmp").pixels == Bytes{4, 5, 6, 1, 2, 3});
  for (const size_t n : {2u, 20u, 53u, 60u}) {
    CHECK_THROWS_WITH(decode_image(std::span(file).first(n), "x.bmp"), contains("x.bmp: truncated BMP"));
  }
  file[21] = 1;  // 16,777,217 wide
  CHECK_THROWS_WITH(decode_image(file, "x.bmp"), contains("a side may have 16384"));
}

#endif

TEST_CASE("cmyk: converts as Pillow does", "[io]") {
  const Bytes ink = {10, 20, 30, 40, 0, 0, 0, 0, 255, 255, 255, 255};
  CHECK(dino::detail::cmyk_to_rgb(ink, 3, 1, false).pixels == Bytes{207, 198, 190, 255, 255, 255, 0, 0, 0});
  const Bytes inverted = {245, 235, 225, 215};
  CHECK(dino::detail::cmyk_to_rgb(inverted, 1, 1, true).pixels == Bytes{207, 198, 190});
}

#if DINO_HAS_TURBOJPEG

namespace {

Bytes jpeg(const u8* pixels, int width, int height, int format, int sampling, int quality = 95, int flags = 0) {
  tjhandle handle = tjInitCompress();
  unsigned char* out = nullptr;
  unsigned long size = 0;
  REQUIRE(tjCompress2(handle, pixels, width, 0, height, format, &out, &size, sampling, quality, flags) == 0);
  Bytes bytes(out, out + size);
  tjFree(out);
  tjDestroy(handle);
  return bytes;
}

Bytes jpeg(const Image& image, int sampling = TJSAMP_420, int flags = 0) {
  const int width = static_cast<int>(image.width), height = static_cast<int>(image.height);
  return jpeg(image.pixels.data(), width, height, TJPF_RGB, sampling, 95, flags);
}

/// The offset of the first marker of this kind.
size_t marker(const Bytes& file, u8 kind) {
  for (size_t i = 0; i + 1 < file.size(); ++i) {
    if (file[i] == 0xff && file[i + 1] == kind) return i;
  }
  FAIL("no marker " << static_cast<int>(kind));
  return 0;
}

int largest_difference(const Image& a, const Image& b) {
  REQUIRE(a.pixels.size() == b.pixels.size());
  int most = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) most = std::max(most, std::abs(a.pixels[i] - b.pixels[i]));
  return most;
}

Bytes without_end(const Bytes& file, size_t count) {
  return {file.begin(), file.end() - static_cast<std::ptrdiff_t>(count)};
}

}  // namespace

TEST_CASE("jpeg: colour, gray and progressive files decode", "[io]") {
  Image image(37, 21);
  for (i64 y = 0; y < 21; ++y) {
    for (i64 x = 0; x < 37; ++x) {
      image.at(x, y)[0] = static_cast<u8>(5 * x);
      image.at(x, y)[1] = static_cast<u8>(9 * y);
      image.at(x, y)[2] = 90;
    }
  }
  CHECK(largest_difference(decode_image(jpeg(image, TJSAMP_444), "x"), image) <= 6);
  CHECK(largest_difference(decode_image(jpeg(image, TJSAMP_444, TJFLAG_PROGRESSIVE), "x"), image) <= 6);
  const auto gray = decode_image(jpeg(image, TJSAMP_GRAY), "x");
  REQUIRE(gray.width == 37);
  bool equal = true;
  for (size_t i = 0; i < gray.pixels.size(); i += 3) {
    equal = equal && gray.pixels[i] == gray.pixels[i + 1] && gray.pixels[i] == gray.pixels[i + 2];
  }
  CHECK(equal);
}

TEST_CASE("jpeg: CMYK with Adobe's marker is inverted", "[io]") {
  Bytes ink;
  for (int i = 0; i < 256; ++i) ink.insert(ink.end(), {245, 235, 225, 215});
  const auto file = jpeg(ink.data(), 16, 16, TJPF_CMYK, TJSAMP_444, 100);
  CHECK(dino::detail::has_adobe_marker(file));
  const auto image = decode_image(file, "cmyk.jpg");
  REQUIRE(image.width == 16);
  CHECK(std::abs(image.pixels[0] - 207) <= 3);
  CHECK(std::abs(image.pixels[1] - 198) <= 3);
  CHECK(std::abs(image.pixels[2] - 190) <= 3);
  CHECK_FALSE(dino::detail::has_adobe_marker(jpeg(picture(8, 8, 1))));
}

TEST_CASE("jpeg: a cut file is an error, and usable on request", "[io]") {
  const auto image = picture(64, 64, 5, true);
  const auto file = jpeg(image);
  const auto half = without_end(file, file.size() / 2);
  CHECK_THROWS_WITH(decode_image(half, "half.jpg"), contains("half.jpg: damaged JPEG: Premature end of JPEG file"));
  CHECK_THROWS_WITH(decode_image(without_end(file, 2), "x.jpg"), contains("x.jpg: damaged JPEG"));
  CHECK_THROWS_WITH(decode_image(without_end(file, file.size() - 3), "x.jpg"), contains("x.jpg: damaged JPEG"));
  const auto used = decode_image(half, "half.jpg", JpegWarnings::use);
  CHECK(used.image.width == 64);
  CHECK(used.warning == "Premature end of JPEG file");
  CHECK(decode_image(file, "x.jpg", JpegWarnings::skip).warning.empty());
}

TEST_CASE("jpeg: after a broken file an intact one decodes", "[io]") {
  const auto good = jpeg(picture(40, 40, 6, true));
  const auto expected = decode_image(good, "good");
  auto broken = good;
  std::fill_n(broken.begin() + static_cast<std::ptrdiff_t>(marker(good, 0xc4)) + 5, 16, u8{0xff});  // Huffman table
  CHECK_THROWS_WITH(decode_image(broken, "broken.jpg"), contains("broken.jpg: damaged JPEG: Bogus Huffman table"));
  for (int i = 0; i < 3; ++i) CHECK(decode_image(good, "good") == expected);
}

TEST_CASE("jpeg: stray bytes in front of a marker are remarked and forgiven", "[io]") {
  auto file = jpeg(picture(40, 40, 7, true));
  const auto expected = decode_image(file, "x");
  const auto at = static_cast<std::ptrdiff_t>(marker(file, 0xc4));
  file.insert(file.begin() + at, {0, 1, 2});
  const auto got = decode_image(file, "x", JpegWarnings::skip);
  CHECK(got.image == expected);
  CHECK_THAT(got.warning, contains("extraneous bytes"));
  file.resize(file.size() - 2);  // behind a harmless warning a cut must not pass
  CHECK_THROWS_AS(decode_image(file, "x"), Error);
}

TEST_CASE("jpeg: the header is checked before pixels are allocated", "[io]") {
  auto file = jpeg(picture(16, 16, 8));
  const size_t frame = marker(file, 0xc0);
  for (const size_t i : {5u, 6u, 7u, 8u}) file[frame + i] = 0xfe;  // 65278 x 65278
  CHECK_THROWS_WITH(decode_image(file, "big.jpg"),
                    "big.jpg: the picture is 65278 x 65278 pixels, at most 80 million are read");
}

TEST_CASE("jpeg: no damaged byte does more than raise an error", "[io]") {
  const auto file = jpeg(picture(24, 24, 9, true));
  i64 refused = 0;
  for (size_t i = 2; i < file.size(); ++i) {
    auto damaged = file;
    damaged[i] ^= 0x55;
    try {
      const auto image = decode_image(damaged, "x");
      CHECK(image.pixels.size() == static_cast<size_t>(3 * image.width * image.height));
    } catch (const Error& error) {
      ++refused;
      CHECK(error.kind() == ErrorKind::data);
    }
  }
  CHECK(refused > 100);
}

TEST_CASE("jpeg: threads decode at the same time", "[io]") {
  const auto file = jpeg(picture(80, 60, 10, true));
  const auto expected = decode_image(file, "x");
  std::vector<int> equal(4);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) equal[t] += decode_image(file, "x") == expected ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(equal == std::vector<int>(4, 20));
}

#else

TEST_CASE("jpeg: a build without a decoder says so", "[io]") {
  CHECK_THROWS_WITH(decode_image(Bytes{0xff, 0xd8, 0xff, 0xe0}, "x.jpg"), contains("this build reads no JPEG"));
}

#endif
