#include <dino/io/foreign_file.hpp>

#include "support/catch.hpp"
#include "support/pth_files.hpp"
#include "support/temporary_folder.hpp"

using namespace dino;
using namespace std::string_literals;

namespace {

std::string refusal(const std::string& bytes, void (*refuse)(const InputFile&)) {
  const TemporaryFolder folder;
  write_file_atomic(folder / "f", bytes);
  try {
    refuse(InputFile(folder / "f", ErrorKind::weights));
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::weights);
    CHECK_THAT(error.what(), contains("/f: "));
    return error.what();
  }
  return "";
}
std::string as_zip(const std::string& bytes) { return refusal(bytes, detail::refuse_other_than_zip); }
std::string as_safetensors(const std::string& bytes) { return refusal(bytes, detail::refuse_other_than_safetensors); }

}  // namespace

TEST_CASE("foreign_file: the files that are meant pass", "[io]") {
  CHECK(as_zip(pth::small_file()).empty());
  for (const auto& header : {"{}"s, " {}"s, "\n{}"s, "{\"t\":1}"s}) {
    CHECK(as_safetensors(pth::le<u64>(header.size()) + header).empty());
  }
  CHECK(as_safetensors(pth::le<u64>(1000) + "{").empty());  // cut: the reader of headers says so
  // Lengths of headers whose bytes are those of other formats: 0x8b1f is gzip, 0x464c457f ELF, 0x5a42 no more than
  // bzip2.
  for (const u64 length : {u64{0x8b1f}, u64{0x28b1f}, u64{0x685a42}}) {
    CHECK(as_safetensors(pth::le(length) + "{" + std::string(100, ' ')).empty());
  }
  for (const auto& unknown : {"1234567"s, "some text that nobody knows"s, "\0"s, std::string(15, '\0')}) {
    CHECK(as_safetensors(unknown).empty());
    CHECK_THAT(as_zip(unknown), contains("not a PyTorch file") && contains("Give a file written by torch.save"));
  }
}

TEST_CASE("foreign_file: every kind is named in both readers, with what to do", "[io]") {
  const std::string rest(600, 'x');
  const auto expect = [&](const std::string& bytes, const std::string& words) {
    CHECK_THAT(as_zip(bytes), contains(words));
    CHECK_THAT(as_safetensors(bytes), contains(words));
  };
  for (const auto& magic : detail::foreign_magics) expect(std::string(magic.bytes) + rest, std::string(magic.words));
  expect("", "/f: empty. Copy or download the file again");
  expect(std::string(16, '\0'), "nothing but zeros");
  expect(std::string(257, 'n') + "ustar" + rest, "a tar archive");
  expect("<html>", "a web page");
  expect(" \r\n\t<!DocType HTML" + rest, "a web page");
  expect("<?xml version=", "an XML text");
  expect("{\"error\": 404}", "a JSON text");
  expect(" [1, 2, 3, 4]", "a JSON text");
  expect("\x80\4\x95"s + rest, "a pickle of Python");
  expect("\x80\2}q\0."s, "a pickle of Python");
}

TEST_CASE("foreign_file: ONNX is told by its first two fields", "[io]") {
  const auto model = "\x08\x08\x12\x07pytorch\x1a\x05"s;
  CHECK(detail::is_onnx(model));
  CHECK_FALSE(detail::is_onnx(model.substr(0, 10)));
  CHECK_FALSE(detail::is_onnx("\x08\x08\x12\x00"s + "pytorch"));
  CHECK_FALSE(detail::is_onnx("\x08\x08\x12\x07pyt\x1brch"s));
  CHECK_FALSE(detail::is_onnx("\x08\x08\x1a\x07pytorch"s));
  CHECK_FALSE(detail::is_onnx("\x08\x40\x12\x07pytorch"s));
  CHECK_FALSE(detail::is_onnx("\x08\x01\x12\xf0pytorch"s));
}

TEST_CASE("foreign_file: weights under the name of the other format", "[io]") {
  const auto old = pth::unhex("80028a0a6cfc9c46f9206aa850192e80024de9032e");
  CHECK_THAT(as_zip(pth::le<u64>(2) + "{}"), contains("a safetensors file. Rename it"));
  CHECK_THAT(as_safetensors(pth::small_file()), contains("a PyTorch file") && contains("ends in .pth"));
  CHECK_THAT(as_safetensors(old), contains("a PyTorch file") && contains("ends in .pth"));
  CHECK_THAT(as_zip(old), contains("old PyTorch format") && contains("torch.save(torch.load('in.pth'"));
}

TEST_CASE("foreign_file: names from files cannot write to the terminal", "[io]") {
  CHECK(detail::shown("a\x1b[2J\x7f\xff") == "a?[2J??");
  CHECK(detail::shown("torch\nFloatStorage") == "torch.FloatStorage");
  CHECK(detail::shown(std::string(201, 'a')) == std::string(200, 'a') + "...");
}
