#include <dino/io/safetensors_map.hpp>

#include "support/catch.hpp"
#include "support/injected_calls.hpp"
#include "support/temporary_folder.hpp"

#include <optional>

using namespace dino;
using Catch::Matchers::Contains;

namespace {

/// Where the last file was mapped; empty when that mapping is gone.
std::span<const u8> mapping;

const FileCalls observed = [] {
  FileCalls calls;
  calls.map = [](int fd, size_t size) {
    void* const at = FileCalls{}.map(fd, size);
    mapping = {static_cast<const u8*>(at), size};
    return at;
  };
  calls.unmap = [](void* at, size_t size) {
    if (at == mapping.data()) mapping = {};
    return FileCalls{}.unmap(at, size);
  };
  return calls;
}();

bool inside_mapping(std::span<const u8> bytes) {
  return bytes.data() >= mapping.data() && bytes.data() + bytes.size() <= mapping.data() + mapping.size();
}

/// A file with this header and the bytes 1, 2, 3, ... behind it.
std::string file_of(std::string_view header, size_t data) {
  const u64 length = header.size();
  std::string bytes(reinterpret_cast<const char*>(&length), 8);
  bytes += header;
  for (size_t i = 1; i <= data; ++i) bytes += static_cast<char>(i);
  return bytes;
}

StateDict some_tensors() {
  StateDict dict;
  std::vector<float> big(3000);
  for (size_t i = 0; i < big.size(); ++i) big[i] = static_cast<float>(i) * 0.37f;
  dict.add("blocks.0.weight", tensor_data(Shape{30, 100}, big));
  dict.add("labels", tensor_data(Shape{3}, std::vector<i64>{5, -1, 7}));
  dict.add("mask", tensor_data(Shape{5}, std::array{true, false, true, true, false}));
  dict.add("half", tensor_data(Shape{2}, std::array{to_bf16(1), to_bf16(2)}));
  dict.add("scalar", tensor_data(Shape{}, std::vector<double>{0.25}));
  dict.add("empty", tensor_data(Shape{0, 7}, std::vector<float>{}));
  dict.metadata["note"] = "some";
  return dict;
}

void check_equal(const SafetensorsMap& map, const StateDict& dict) {
  REQUIRE(map.tensors.size() == dict.tensors.size());
  for (const auto& [name, tensor] : dict.tensors) {
    const auto& view = map.at(name);
    CHECK(view.dtype == tensor.dtype);
    CHECK(view.shape == tensor.shape);
    CHECK(std::ranges::equal(view.bytes, tensor.bytes));
  }
  CHECK(map.metadata == dict.metadata);
}

std::string refusal(const std::filesystem::path& path, bool mapped) {
  try {
    if (mapped) {
      map_safetensors(path);
    } else {
      read_safetensors(path);
    }
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::weights);
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("safetensors_map: every tensor lies in the mapping, with the bits that reading gives", "[io]") {
  const TemporaryFolder folder;
  write_safetensors(folder / "w.safetensors", some_tensors());
  const Injected injected(observed);
  const auto map = map_safetensors(folder / "w.safetensors");
  check_equal(map, read_safetensors(folder / "w.safetensors"));
  REQUIRE(mapping.size() == std::filesystem::file_size(folder / "w.safetensors"));
  for (const auto& t : map.tensors) {
    INFO(t.name);
    CHECK(inside_mapping(t.bytes));
  }
  const auto numbers = numbers_of<float>(map.at("blocks.0.weight"));
  CHECK(numbers.size() == 3000);
  CHECK(numbers[2999] == 2999 * 0.37f);
  CHECK(numbers_of<i64>(map.at("labels"))[1] == -1);
  CHECK(numbers_of<double>(map.at("scalar"))[0] == 0.25);
  CHECK(to_float(numbers_of<bf16>(map.at("half"))[1]) == 2);
  CHECK(numbers_of<float>(map.at("empty")).empty());
}

TEST_CASE("safetensors_map: a tensor outlives the map and the file", "[io]") {
  const TemporaryFolder folder;
  write_safetensors(folder / "w.safetensors", some_tensors());
  const Injected injected(observed);
  std::optional<TensorView> kept;
  {
    const auto map = map_safetensors(folder / "w.safetensors");
    kept = map.at("labels");
  }
  std::filesystem::remove(folder / "w.safetensors");
  CHECK_FALSE(mapping.empty());
  CHECK(numbers_of<i64>(*kept)[2] == 7);
  kept.reset();
  CHECK(mapping.empty());
}

TEST_CASE("safetensors_map: a file is written from another one's mapping, also over it", "[io]") {
  const TemporaryFolder folder;
  const auto stamp = write_safetensors(folder / "w.safetensors", some_tensors());
  const auto map = map_safetensors(folder / "w.safetensors");
  CHECK(write_safetensors(folder / "w.safetensors", map.tensors, map.metadata) == stamp);
  CHECK(verify_safetensors(folder / "w.safetensors") == stamp);
}

TEST_CASE("safetensors_map: tensors that are not aligned are copied, the others are not", "[io]") {
  const TemporaryFolder folder;
  const auto path = folder / "w.safetensors";
  const std::string header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                             R"("b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]},)"
                             R"("c":{"dtype":"I32","shape":[],"data_offsets":[5,9]},)"
                             R"("d":{"dtype":"BOOL","shape":[3],"data_offsets":[9,12]},)"
                             R"("e":{"dtype":"I64","shape":[2],"data_offsets":[12,28]},)"
                             R"("f":{"dtype":"F64","shape":[0],"data_offsets":[28,28]}})";
  const Injected injected(observed);
  for (size_t shift = 0; shift < 8; ++shift) {
    write_file_atomic(path, file_of(header + std::string(shift, ' '), 28));
    const auto map = map_safetensors(path);
    check_equal(map, read_safetensors(path));
    size_t copied = 0;
    for (const auto& t : map.tensors) {
      INFO(t.name << ", data shifted by " << shift);
      const auto begin =
          8 + header.size() + shift +
          std::map<std::string, size_t>{{"a", 0}, {"b", 1}, {"c", 5}, {"d", 9}, {"e", 12}, {"f", 28}}.at(t.name);
      const bool aligned = begin % static_cast<size_t>(dtype_size(t.dtype)) == 0;
      if (t.name != "f") CHECK(inside_mapping(t.bytes) == aligned);
      copied += !aligned;
    }
    CHECK(copied >= 2);  // b and e never agree: 1 of 4 and 12 of 8
    CHECK(numbers_of<i32>(map.at("c"))[0] == 0x09080706);
    CHECK(numbers_of<i64>(map.at("e"))[1] == 0x1c1b1a1918171615);
  }
}

TEST_CASE("safetensors_map: numbers are viewed as what they are, where they are aligned", "[io]") {
  const TemporaryFolder folder;
  write_safetensors(folder / "w.safetensors", some_tensors());
  const auto map = map_safetensors(folder / "w.safetensors");
  CHECK_THROWS_WITH(numbers_of<i64>(map.at("scalar")),
                    Contains("tensor scalar of type F64 and shape () cannot be viewed as I64"));
  CHECK_THROWS_WITH(numbers_of<float>(map.at("half")), Contains("cannot be viewed as F32"));
  auto shifted = map.at("blocks.0.weight");
  shifted.bytes = shifted.bytes.subspan(2, 8);
  CHECK_THROWS_WITH(numbers_of<float>(shifted), Contains("does not begin at a multiple of 4 bytes"));
  CHECK(map.find("none") == nullptr);
  CHECK_THROWS_WITH(map.at("none"), Contains("there is no tensor none among the 6"));
}

TEST_CASE("safetensors_map: files without tensors", "[io]") {
  const TemporaryFolder folder;
  write_file_atomic(folder / "none", file_of("{}", 0));
  CHECK(map_safetensors(folder / "none").tensors.empty());
  write_file_atomic(folder / "empty", file_of(R"({"t":{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]}})", 0));
  CHECK(map_safetensors(folder / "empty").at("t").shape == Shape{0, 3});
  CHECK(numbers_of<float>(map_safetensors(folder / "empty").at("t")).empty());
}

TEST_CASE("safetensors_map: what reading refuses is refused in the same words, before it is mapped",
          "[io][fault][F10][F11]") {
  const TemporaryFolder folder;
  const auto path = folder / "w.safetensors";
  StateDict dict;
  dict.add("t", tensor_data(Shape{2}, std::vector<float>{1, 2}));
  write_safetensors(path, dict);
  const auto good = read_text(path, 1000);
  const auto refused_alike = [&](const std::string& bytes) {
    write_file_atomic(path, bytes);
    const auto expected = refusal(path, false);
    CHECK(refusal(path, true) == expected);
    return !expected.empty();
  };
  CHECK_FALSE(refused_alike(good));
  for (size_t length = 0; length < good.size(); ++length) CHECK(refused_alike(good.substr(0, length)));
  CHECK(refused_alike(good + '\0'));
  size_t refused = 0;
  for (size_t at = 0; at < good.size(); ++at) {
    auto bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    refused += refused_alike(bytes);
  }
  CHECK(refused > good.size() / 2);
  CHECK(refused_alike(file_of(R"({"t":{"dtype":"I8","shape":[8],"data_offsets":[0,8]}})", 8)));
  FileCalls calls;
  calls.map = [](int, size_t) -> void* { throw std::runtime_error("mapped too early"); };
  const Injected injected(calls);
  write_file_atomic(path, good.substr(0, good.size() - 1));
  CHECK_THROWS_AS(map_safetensors(path), Error);
}

TEST_CASE("safetensors_map: where files cannot be mapped they are read", "[io][fault]") {
  const TemporaryFolder folder;
  write_safetensors(folder / "w.safetensors", some_tensors());
  FileCalls calls;
  calls.map = [](int, size_t) -> void* { return errno = ENODEV, MAP_FAILED; };
  const Injected injected(calls);
  const auto map = map_safetensors(folder / "w.safetensors");
  check_equal(map, read_safetensors(folder / "w.safetensors"));
  CHECK(numbers_of<i64>(map.at("labels"))[0] == 5);
}
