#include <dino/io/npy.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace dino;
using Catch::Matchers::Contains;

namespace {

/// A file with this header, of the given version, and these data.
std::string file_of(std::string header, const std::string& data, int version = 1) {
  header += '\n';
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(version);
  bytes += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) bytes += static_cast<char>((header.size() >> (8 * i)) & 0xff);
  return bytes + header + data;
}

std::string dict(const std::string& type, const std::string& shape, const std::string& fortran = "False") {
  return "{'descr': '" + type + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }";
}

struct Case {
  TemporaryFolder folder;
  std::filesystem::path path = folder / "a.npy";

  TensorData read(const std::string& bytes) const {
    write_file_atomic(path, bytes);
    return read_npy(path);
  }
  void refuse(const std::string& bytes, const std::string& why) const {
    CHECK_THROWS_WITH(read(bytes), Contains("a.npy: ") && Contains(why));
  }
};

}  // namespace

TEST_CASE("npy: the bytes of a written file are those of NumPy", "[io][golden]") {
  const Case c;
  write_npy(c.path, Shape{3}, std::vector<float>{1, 2, 3});
  auto golden = std::string("\x93NUMPY\x01\x00\x76\x00", 10) + dict("<f4", "(3,)");
  CHECK(golden.size() == 67);
  golden.append(127 - golden.size(), ' ');
  golden += '\n';
  golden += std::string("\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40", 12);
  CHECK(golden.size() == 140);
  CHECK(read_text(c.path, 1000) == golden);
}

TEST_CASE("npy: arrays of every type and rank come back", "[io]") {
  const Case c;
  const auto check = [&](const TensorData& tensor) {
    write_npy(c.path, tensor);
    const auto back = read_npy(c.path);
    CHECK(back.dtype == tensor.dtype);
    CHECK(back.shape == tensor.shape);
    CHECK(back.bytes == tensor.bytes);
    CHECK((std::filesystem::file_size(c.path) - tensor.bytes.size()) % 64 == 0);
  };
  check(tensor_data(Shape{2, 3}, std::vector<double>{1, 2, 3, 4, 5, 6}));
  check(tensor_data(Shape{1, 3, 1}, std::vector<i64>{1, -2, 3}));
  check(tensor_data(Shape{}, std::vector<float>{7}));
  check(tensor_data(Shape{0, 5}, std::vector<i32>{}));
  check(tensor_data(Shape{1, 1, 1, 1, 1, 5}, std::vector<u8>{1, 2, 3, 4, 255}));
  check(tensor_data(Shape{2}, std::array{true, false}));
  check(tensor_data(Shape{1}, std::array{to_f16(1.5f)}));
  CHECK_THROWS_WITH(write_npy(c.path, tensor_data(Shape{1}, std::array{to_bf16(1)})), Contains("no type for BF16"));
  CHECK_THROWS_WITH(write_npy(c.path, Shape{2}, std::vector<float>{1}), Contains("1 values for shape (2)"));
}

TEST_CASE("npy: versions 1 to 3, key order, quotes and white space are read", "[io]") {
  const Case c;
  for (const int version : {1, 2, 3}) CHECK(c.read(file_of(dict("|u1", "(2,)"), "ab", version)).to<u8>()[1] == 'b');
  const auto tensor = c.read(file_of("{\"shape\" : ( 1,2 ) ,'fortran_order':False,\"descr\":'|u1'}   ", "ab"));
  CHECK(tensor.shape == Shape{1, 2});
  CHECK(c.read(file_of(dict("|u1", "()"), "a")).shape.rank() == 0);
}

TEST_CASE("npy: signed bytes become I32", "[io]") {
  const Case c;
  const auto tensor = c.read(file_of(dict("|i1", "(5,)"), "\x01\xff\x7f\x80\x05"));
  CHECK(tensor.dtype == DType::I32);
  CHECK(tensor.to<i32>() == std::vector<i32>{1, -1, 127, -128, 5});
}

TEST_CASE("npy: Fortran order is turned into C order", "[io]") {
  const Case c;
  CHECK(c.read(file_of(dict("|u1", "(2, 3)", "True"), "adbecf")).to<u8>() ==
        std::vector<u8>{'a', 'b', 'c', 'd', 'e', 'f'});
  std::string values(2 * 3 * 4, '\0');  // a[i][j][k] = 12 i + 4 j + k stands at i + 2 j + 6 k
  for (int i = 0; i < 24; ++i)
    values[static_cast<size_t>(i / 12 + 2 * (i / 4 % 3) + 6 * (i % 4))] = static_cast<char>(i);
  const auto tensor = c.read(file_of(dict("|i1", "(2, 3, 4)", "True"), values));
  for (int i = 0; i < 24; ++i) CHECK(tensor.to<i32>()[static_cast<size_t>(i)] == i);
  CHECK(c.read(file_of(dict("|u1", "(3,)", "True"), "abc")).to<u8>()[1] == 'b');
}

TEST_CASE("npy: types that cannot be read are refused by name", "[io][fault][F10]") {
  const Case c;
  c.refuse(file_of(dict("|O", "(1,)"), "12345678"), "Python objects (pickle), which are never read");
  c.refuse(file_of(dict(">f4", "(1,)"), "1234"), ">f4 is big-endian");
  c.refuse(file_of(dict("<c8", "(1,)"), "12345678"), "type <c8 cannot be read");
  c.refuse(file_of("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "1234"), "structured types");
}

TEST_CASE("npy: bad headers are refused", "[io][fault][F10]") {
  const Case c;
  c.refuse("", "not an npy file");
  c.refuse("\x93NUMPX\x01", "not an npy file");
  c.refuse(file_of(dict("|u1", "(1,)"), "a", 4), "npy version 4.0 is unknown");
  c.refuse(std::string("\x93NUMPY\x01\x00\xff\xff", 10), "npy header of 65535 bytes exceeds the file (10 bytes)");
  c.refuse(std::string("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12), "npy header of 4294967295 bytes exceeds");
  c.refuse(file_of(dict("|u1", "(1,)") + std::string(70000, ' '), "a", 2), "or the limit");
  c.refuse(std::string("\x93NUMPY\x01\x00\x00\x00", 10), "expected {");
  c.refuse(file_of("{'descr': '|u1', 'shape': (1,)}", "a"), "there is no fortran_order");
  c.refuse(file_of("{'descr': '|u1', 'descr': '|u1'}", "a"), "duplicate key descr");
  c.refuse(file_of("{'type': '|u1'}", "a"), "unknown key type");
  c.refuse(file_of("{'descr", "a"), "ends inside a string");
  c.refuse(file_of(dict("|u1", "(1,)", "Maybe"), "a"), "neither True nor False");
  c.refuse(file_of(dict("|u1", "(1,)") + "x", "a"), "something follows");
  c.refuse(file_of(dict("|u1", "(1)"), "a"), "expected (n,)");
  c.refuse(file_of(dict("|u1", "(-1,)"), "a"), "expected an extent");
  c.refuse(file_of(dict("|u1", "(1.0,)"), "a"), "expected");
  c.refuse(file_of(dict("|u1", "(99999999999999999999,)"), "a"), "expected an extent");
}

TEST_CASE("npy: ranks and sizes are checked against limits and the file", "[io][fault][F10]") {
  const Case c;
  c.refuse(file_of(dict("|u1", "(1,1,1,1,1,1,1)"), "a"), "7 dimensions, at most 6 are supported");
  c.refuse(file_of(dict("|u1", "(1,1,1,1,1,1,1,1,1)"), "a"), "more than 8 dimensions");
  c.refuse(file_of(dict("<f4", "(4294967296, 4294967296)"), "a"), "the size of (4294967296,4294967296) overflows");
  c.refuse(file_of(dict("<f4", "(1000000000000,)"), "a"), "(1000000000000) needs 4000000000000 bytes, the file has 1");
  c.refuse(file_of(dict("<f4", "(1,)"), "12345"), "(1) needs 4 bytes, the file has 5");
}

TEST_CASE("npy: a file cut at any length is refused", "[io][fault][F10]") {
  const Case c;
  write_npy(c.path, Shape{3}, std::vector<float>{1, 2, 3});
  const auto good = read_text(c.path, 1000);
  for (size_t length = 0; length < good.size(); ++length) {
    write_file_atomic(c.path, std::string_view(good).substr(0, length));
    CHECK_THROWS_AS(read_npy(c.path), Error);
  }
}
