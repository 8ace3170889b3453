#include <dino/io/safetensors.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace dino;
using Catch::Matchers::Contains;

namespace {

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

/// SHA-256 of FIPS 180-4: the golden file is known by its digest.
std::string sha256(std::string_view message) {
  const auto root_bits = [](long double root) {
    return static_cast<u32>((root - static_cast<u64>(root)) * 4294967296.0L);
  };
  u32 k[64], h[8];
  for (u32 n = 2, count = 0; count < 64; ++n) {
    bool prime = true;
    for (u32 d = 2; d * d <= n; ++d) prime = prime && n % d != 0;
    if (!prime) continue;
    if (count < 8) h[count] = root_bits(std::sqrt(static_cast<long double>(n)));
    k[count++] = root_bits(std::cbrt(static_cast<long double>(n)));
  }
  std::string text(message);
  text += '\x80';
  while (text.size() % 64 != 56) text += '\0';
  for (int shift = 56; shift >= 0; shift -= 8) text += static_cast<char>((message.size() * 8) >> shift);
  const auto rotate = [](u32 x, u32 n) { return (x >> n) | (x << (32 - n)); };
  for (size_t block = 0; block < text.size(); block += 64) {
    u32 w[64], v[8];
    for (size_t i = 0; i < 16; ++i) {
      w[i] = 0;
      for (size_t b = 0; b < 4; ++b) w[i] = (w[i] << 8) | static_cast<u8>(text[block + 4 * i + b]);
    }
    for (size_t i = 16; i < 64; ++i) {
      w[i] = w[i - 16] + w[i - 7] + (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ (w[i - 15] >> 3)) +
             (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ (w[i - 2] >> 10));
    }
    std::copy(h, h + 8, v);
    for (size_t i = 0; i < 64; ++i) {
      const u32 t1 = v[7] + (rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)) + ((v[4] & v[5]) ^ (~v[4] & v[6])) +
                     k[i] + w[i];
      const u32 t2 =
          (rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)) + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
      for (size_t j = 7; j > 0; --j) v[j] = v[j - 1];
      v[4] += t1;
      v[0] = t1 + t2;
    }
    for (size_t i = 0; i < 8; ++i) h[i] += v[i];
  }
  std::string digest;
  for (const u32 word : h) digest += detail::hex8(word);
  return digest;
}

void put(const std::filesystem::path& path, std::string_view bytes) { write_file_atomic(path, bytes); }

/// A file with this header and so many bytes of data.
std::string file_of(std::string_view header, size_t data) {
  const u64 length = header.size();
  std::string bytes(reinterpret_cast<const char*>(&length), 8);
  return bytes.append(header).append(data, '\0');
}

StateDict some_tensors() {
  StateDict dict;
  std::vector<float> big(3000);
  for (size_t i = 0; i < big.size(); ++i) big[i] = static_cast<float>(i) * 0.37f;
  dict.add("blocks.0.weight", tensor_data(Shape{30, 100}, big));
  dict.add("blocks.1.weight", tensor_data(Shape{3000}, big));
  dict.add("labels", tensor_data(Shape{3}, std::vector<i64>{5, -1, 7}));
  dict.add("mask", tensor_data(Shape{5}, std::array{true, false, true, true, false}));
  dict.add("half", tensor_data(Shape{2}, std::array{to_bf16(1), to_bf16(2)}));
  dict.add("scalar", tensor_data(Shape{}, std::vector<double>{0.25}));
  dict.add("empty", tensor_data(Shape{0, 7}, std::vector<float>{}));
  dict.metadata["dino.kind"] = "weights";
  dict.metadata["note"] = "quotes \" and \\, line\nend, caf\xc3\xa9";
  return dict;
}

void check_equal(const StateDict& a, const StateDict& b) {
  REQUIRE(a.tensors.size() == b.tensors.size());
  for (const auto& [name, tensor] : a.tensors) {
    CHECK(b.at(name).dtype == tensor.dtype);
    CHECK(b.at(name).shape == tensor.shape);
    CHECK(b.at(name).bytes == tensor.bytes);
  }
}

}  // namespace

TEST_CASE("safetensors: the golden file of the format is read", "[io][golden]") {
  const TemporaryFolder folder;
  put(folder / "t.safetensors",
      from_hex(
          "38000000000000007b2274223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f6666736574"
          "73223a5b302c385d7d7d20200000803f00000040"));
  const auto dict = read_safetensors(folder / "t.safetensors");
  REQUIRE(dict.tensors.size() == 1);
  CHECK(dict.metadata.empty());
  CHECK(dict.at("t").shape == Shape{2});
  CHECK(dict.at("t").to<float>() == std::vector<float>{1, 2});
}

TEST_CASE("safetensors: the bytes of a written file are known", "[io][golden]") {
  REQUIRE(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::vector<float> values{1, 2};
  const std::vector<TensorView> tensors{tensor_view("t", Shape{2}, values)};
  const auto layout = layout_safetensors(tensors, {});
  CHECK(layout.file_size == 200);
  CHECK_THAT(layout.head, Contains(R"({"__metadata__":{"dino.crc32c":"{\"t\":\"28c0c9b1\"}","format":"pt"},)"
                                   R"("t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})"));
  const TemporaryFolder folder;
  AtomicFile file(folder / "t.safetensors");
  const auto stamp = write_safetensors(file, layout, tensors);
  file.commit();
  const auto bytes = read_text(folder / "t.safetensors", 1000);
  CHECK(sha256(bytes) == "36352abc9d97510714ad240af52bd214c3f76573af58b5d353eec69fa9699afa");
  CHECK(stamp == FileStamp{200, crc32c(as_bytes(bytes))});
}

TEST_CASE("safetensors: tensors and metadata come back", "[io]") {
  const TemporaryFolder folder;
  const auto dict = some_tensors();
  const auto stamp = write_safetensors(folder / "w.safetensors", dict);
  const auto back = read_safetensors(folder / "w.safetensors");
  check_equal(dict, back);
  CHECK(back.metadata.at("note") == dict.metadata.at("note"));
  CHECK(back.metadata.at("dino.kind") == "weights");
  CHECK(back.metadata.at("format") == "pt");
  CHECK(back.metadata.at("dino.version") == DINO_VERSION);
  CHECK(verify_safetensors(folder / "w.safetensors") == stamp);
  CHECK(write_safetensors(folder / "again.safetensors", back) == stamp);
}

TEST_CASE("safetensors: data begin at a multiple of 64 and wide types come first", "[io]") {
  const TemporaryFolder folder;
  write_safetensors(folder / "w.safetensors", some_tensors());
  const auto header = read_safetensors_header(folder / "w.safetensors");
  CHECK(header.data_begin % 64 == 0);
  std::vector<std::string> names;
  for (const auto& t : header.tensors) {
    names.push_back(t.name);
    CHECK(t.begin % dtype_size(t.dtype) == 0);
  }
  CHECK(names ==
        std::vector<std::string>{"labels", "scalar", "empty", "blocks.0.weight", "blocks.1.weight", "half", "mask"});
}

TEST_CASE("safetensors: what could not be read back is not written", "[io]") {
  const std::vector<float> values{1, 2};
  const auto refuse = [&](std::vector<TensorView> tensors, const std::string& why) {
    CHECK_THROWS_WITH(layout_safetensors(tensors, {}), Contains(why));
  };
  refuse({tensor_view("a\n", Shape{2}, values)}, "not a name for a tensor");
  refuse({tensor_view("__metadata__", Shape{2}, values)}, "not a name for a tensor");
  refuse({tensor_view(std::string(513, 'a'), Shape{2}, values)}, "not a name for a tensor");
  refuse({tensor_view("\xff", Shape{2}, values)}, "not a name for a tensor");
  refuse({tensor_view("a", Shape{2}, values), tensor_view("a", Shape{2}, values)}, "there are two tensors a");
  auto wrong = tensor_view("a", Shape{2}, values);
  wrong.shape = Shape{3};
  refuse({wrong}, "tensor a (3) of F32 has 8 bytes");
  CHECK_THROWS_WITH(layout_safetensors({}, {{"a", "\xff"}}), Contains("metadata a is not UTF-8"));
}

TEST_CASE("safetensors: a flipped bit in any page of the data names the tensor", "[io][fault][F11]") {
  const TemporaryFolder folder;
  write_safetensors(folder / "w.safetensors", some_tensors());
  const auto header = read_safetensors_header(folder / "w.safetensors");
  const auto good = read_text(folder / "w.safetensors", 1 << 20);
  for (size_t at = static_cast<size_t>(header.data_begin); at < good.size(); at += 4096) {
    auto bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << (at / 4096 % 8)));
    put(folder / "bad.safetensors", bytes);
    const auto offset = static_cast<i64>(at) - header.data_begin;
    const auto hit = std::find_if(header.tensors.begin(), header.tensors.end(),
                                  [&](const auto& t) { return t.begin <= offset && offset < t.end; });
    const auto message = "bad.safetensors: data of " + hit->name + " is damaged (crc32c ";
    CHECK_THROWS_WITH(read_safetensors(folder / "bad.safetensors"), Contains(message));
    CHECK_THROWS_WITH(verify_safetensors(folder / "bad.safetensors"), Contains(message));
  }
}

TEST_CASE("safetensors: a flipped bit in the header never crashes", "[io]") {
  const TemporaryFolder folder;
  const std::vector<float> values{1, 2};
  write_safetensors(folder / "w.safetensors", std::vector{tensor_view("t", Shape{2}, values)}, {});
  const auto good = read_text(folder / "w.safetensors", 1000);
  const auto header_end = read_safetensors_header(folder / "w.safetensors").data_begin;
  i64 refused = 0;
  for (i64 bit = 0; bit < 8 * header_end; ++bit) {
    auto bytes = good;
    bytes[static_cast<size_t>(bit / 8)] = static_cast<char>(bytes[static_cast<size_t>(bit / 8)] ^ (1 << (bit % 8)));
    put(folder / "bad.safetensors", bytes);
    try {
      const auto dict = read_safetensors(folder / "bad.safetensors");
      CHECK(dict.tensors.size() == 1);  // the flip hit the metadata or a name
    } catch (const Error& error) {
      ++refused;
      CHECK(error.kind() == ErrorKind::weights);
    }
  }
  CHECK(refused > 4 * header_end);
}

TEST_CASE("safetensors: a file cut at any length, or with a byte more, is refused", "[io][fault][F10]") {
  const TemporaryFolder folder;
  const std::vector<float> values{1, 2};
  write_safetensors(folder / "w.safetensors", std::vector{tensor_view("t", Shape{2}, values)}, {});
  const auto good = read_text(folder / "w.safetensors", 1000);
  for (size_t length = 0; length < good.size(); ++length) {
    put(folder / "cut.safetensors", std::string_view(good).substr(0, length));
    CHECK_THROWS_AS(read_safetensors(folder / "cut.safetensors"), Error);
  }
  put(folder / "long.safetensors", good + '\0');
  CHECK_THROWS_WITH(read_safetensors(folder / "long.safetensors"), Contains("need 8 bytes, the file has 9"));
}

TEST_CASE("safetensors: lengths of the header are checked before anything is allocated", "[io][fault][F10]") {
  const TemporaryFolder folder;
  const auto path = folder / "w.safetensors";
  const auto refuse = [&](u64 length, size_t rest, const std::string& why) {
    std::string bytes(reinterpret_cast<const char*>(&length), 8);
    put(path, bytes.append(rest, ' '));
    CHECK_THROWS_WITH(read_safetensors(path), Contains(why));
  };
  refuse(0, 0, "expected an opening brace");
  refuse(1, 0, "header length 1 exceeds the file (8 bytes)");
  refuse(u64{1} << 63, 100, "header length 9223372036854775808 exceeds the file (108 bytes): not a safetensors file");
  refuse((u64{1} << 63) - 1, 1'199'992, "header length 9223372036854775807 exceeds the file (1.2 MB)");
  refuse(~u64{0}, 0, "header length 18446744073709551615 exceeds the file");
  put(path, "1234567");
  CHECK_THROWS_WITH(read_safetensors(path), Contains("7 bytes are too few"));
  put(path, file_of("{}" + std::string(100, ' '), 0));
  CHECK(read_safetensors(path).tensors.empty());
  CHECK_THROWS_WITH(read_safetensors(path, {.header = 101}), Contains("header length 102 exceeds the limit of 101"));
}

TEST_CASE("safetensors: checksums must name every tensor once", "[io]") {
  const TemporaryFolder folder;
  const auto path = folder / "w.safetensors";
  const auto refuse = [&](const std::string& sums, const std::string& why) {
    put(path, file_of(R"({"__metadata__":{"dino.crc32c":)" + detail::json_quote(sums) +
                          R"(},"t":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
                      2));
    CHECK_THROWS_WITH(read_safetensors(path), Contains(why));
  };
  refuse("{}", "tensor t has no checksum");
  refuse(R"({"t":"00000000","u":"00000000"})", "no tensor is called u");
  refuse(R"({"t":"00000000","t":"00000000"})", "duplicate key t");
  refuse(R"({"t":"0000000g"})", "8 hex digits");
  refuse(R"({"t":"000000000"})", "8 hex digits");
  refuse(R"({"t":"00000000"})", "data of t is damaged (crc32c f16177d2, expected 00000000)");
  refuse(R"({"t":1})", "expected a checksum");
  refuse(R"({"t":"f16177d2"}x)", "expected nothing more");
}

TEST_CASE("safetensors: a missing file, a folder and a pipe are refused", "[io]") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(read_safetensors(folder / "none"), Contains("none: no such file or directory"));
  CHECK_THROWS_WITH(read_safetensors(folder.path), Contains("it is a folder"));
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK_THROWS_WITH(read_safetensors(folder / "pipe"), Contains("not a regular file"));
}
