// Files that are no weights: what they are, told from their first bytes, and what to do about it.
#pragma once

#include <dino/io/file.hpp>

#include <array>
#include <cstring>

namespace dino::inline DINO_ABI {

namespace detail {

using namespace std::string_view_literals;

/// What to do about damage, and about files that hold more than weights.
inline constexpr std::string_view copy_again = "Copy or download the file again";
inline constexpr std::string_view save_alone = "Save the weights alone: torch.save(model.state_dict(), 'out.pth')";

/// A name from a hostile file, for a message: printable, at most 200 bytes.
inline std::string shown(std::string_view name) {
  std::string text(name.substr(0, 200));
  for (char& c : text) c = c == '\n' ? '.' : c >= 0x20 && c < 0x7f ? c : '?';
  return name.size() > 200 ? text + "..." : text;
}

/// Bytes at the start of a file, and the words for it.
struct Magic {
  std::string_view bytes, words;
};
// clang-format off
inline constexpr Magic foreign_magics[] = {
    {"version https://git-lfs.github.com/spec"sv,
     "a pointer of git-lfs, not the file itself. Fetch the file: git lfs pull"},
    {"GGUF"sv, "a GGUF file (llama.cpp), not weights of PyTorch. Use the file that it was converted from"},
    {"\x89HDF\r\n\x1a\n"sv,
     "an HDF5 file (Keras, h5py), not weights of PyTorch. Convert it: read it with h5py, name its tensors as torch hub "
     "does, and save them with safetensors.numpy.save_file"},
    {"\x93NUMPY"sv,
     "an array of numpy (.npy), not named tensors. Save a dictionary: safetensors.numpy.save_file({'name': array}, "
     "'out.safetensors')"},
    {"\x1f\x8b"sv, "compressed by gzip. Unpack it first: gunzip, or tar -xzf where it is an archive"},
    {"BZh"sv, "compressed by bzip2. Unpack it first: bunzip2, or tar -xjf where it is an archive"},
    {"\xfd""7zXZ\0"sv, "compressed by xz. Unpack it first: unxz, or tar -xJf where it is an archive"},
    {"\x28\xb5\x2f\xfd"sv, "compressed by zstd. Unpack it first: unzstd"},
    {"7z\xbc\xaf\x27\x1c"sv, "a 7z archive. Unpack it first: 7z x"},
    {"Rar!\x1a\x07"sv, "a RAR archive. Unpack it first: unrar x"},
    {"PK\7\x8"sv, "the first part of a zip archive in several files. Join the parts: zip -s 0 in.zip --out out.zip"},
    {"PK\5\6"sv, "an empty zip archive. Copy or download the file again"},
    {"\xff\xd8\xff"sv, "a JPEG picture. Pictures go to --data"},
    {"\x89PNG\r\n\x1a\n"sv, "a PNG picture. Pictures go to --data"},
    {"%PDF-"sv, "a PDF document. Download the file of the weights"},
    {"\x7f""ELF"sv, "a program or library. Give a file of weights"},
};
// clang-format on
inline constexpr size_t foreign_start = 512;  // bytes that tell every kind

/// ONNX begins with the fields ir_version (small) and producer_name (printable) of its protocol buffer.
inline bool is_onnx(std::string_view start) {
  if (start.size() < 5 || start[0] != 8 || start[1] < 1 || start[1] > 20 || start[2] != 0x12) return false;
  const auto length = static_cast<size_t>(static_cast<u8>(start[3]));
  const auto name = start.substr(4, length);
  return length >= 1 && length < 64 && name.size() == length &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

/// In small letters and without white space in front.
inline std::string markup_start(std::string_view start) {
  const auto first = start.find_first_not_of(" \t\r\n");
  std::string text(start.substr(std::min(first, start.size())));
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

/// What begins like this and is neither a zip archive nor a safetensors file; empty when nobody knows.
inline std::string foreign_kind(std::string_view start) {
  if (start.empty()) return "empty. Copy or download the file again";
  if (start.size() >= 16 && start.find_first_not_of('\0') == start.npos) {
    return "nothing but zeros, at least where it begins: not downloaded completely. Copy or download the file again";
  }
  for (const auto& magic : foreign_magics) {
    if (start.starts_with(magic.bytes)) return std::string(magic.words);
  }
  if (start.substr(std::min<size_t>(257, start.size())).starts_with("ustar")) {
    return "a tar archive. Unpack it first: tar -xf";
  }
  if (is_onnx(start)) {
    return "an ONNX model, not weights of PyTorch. Use the file that it was exported from, or save its initializers "
           "under "
           "the names of torch hub with safetensors.numpy.save_file";
  }
  const auto text = markup_start(start);
  if (text.starts_with("<!doctype html") || text.starts_with("<html")) {
    return "a web page, not weights: the address was that of a page, or asked for a login. Download the file itself";
  }
  if (text.starts_with("<?xml")) {
    return "an XML text, as servers answer with when they refuse. Look into it, and download the file itself";
  }
  if (text.starts_with("{") || text.starts_with("[")) {
    return "a JSON text, not weights: a configuration, an index of several files, or an answer of a server. Give the "
           "file "
           "that holds the tensors";
  }
  return "";
}

/// True for a length that a header may have and a brace behind it, white space allowed.
inline bool is_safetensors_start(std::string_view start) {
  u64 length = 0;
  if (start.size() < 9) return false;
  std::memcpy(&length, start.data(), 8);
  return length >= 2 && length <= 100'000'000 && std::string_view("{ \t\r\n").find(start[8]) != start.npos;
}

/// A pickle of protocol 2 to 5, with or without the mark that torch.save before 1.6 put in front.
inline std::string pickle_kind(std::string_view start) {
  if (start.starts_with("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"sv)) {
    return "old PyTorch format (before 1.6); load it with torch and save it again: python3 -c \"import torch; "
           "torch.save(torch.load('in.pth', map_location='cpu', weights_only=True), 'out.pth')\"";
  }
  if (start.size() >= 2 && start[0] == '\x80' && start[1] >= 2 && start[1] <= 5) {
    return "a pickle of Python that torch.save did not write, and nothing executes pickles here. If you trust it, load "
           "it in "
           "Python and save the tensors: torch.save({'name': tensor}, 'out.pth')";
  }
  return "";
}

/// The first bytes of a file, as many as there are of foreign_start.
inline std::string file_start(const InputFile& file) {
  std::string start(static_cast<size_t>(std::min<i64>(file.size(), i64{foreign_start})), '\0');
  file.read_at(0, {reinterpret_cast<u8*>(start.data()), start.size()});
  return start;
}

/// Ends with Error{weights} when the file begins like something else than a zip archive.
inline void refuse_other_than_zip(const InputFile& file) {
  const auto start = file_start(file);
  if (start.starts_with("PK\3\4")) return;
  std::string kind = is_safetensors_start(start) ? "a safetensors file. Rename it so that its name ends in .safetensors"
                                                 : pickle_kind(start);
  if (kind.empty()) kind = foreign_kind(start);
  require(kind.empty(), ErrorKind::weights, "{}: {}", file.path(), kind);
  fail(ErrorKind::weights,
       "{}: not a PyTorch file: it does not begin as a zip archive does. Give a file written by torch.save, or a "
       "safetensors file named .safetensors",
       file.path());
}

/// Ends with Error{weights} when the file begins like something else than a safetensors file.
inline void refuse_other_than_safetensors(const InputFile& file) {
  const auto start = file_start(file);
  if (is_safetensors_start(start)) return;
  std::string kind = start.starts_with("PK\3\4") || pickle_kind(start).starts_with("old PyTorch")
                         ? "a PyTorch file or another zip archive. Rename it so that its name ends in .pth"
                         : pickle_kind(start);
  if (kind.empty()) kind = foreign_kind(start);
  require(kind.empty(), ErrorKind::weights, "{}: {}", file.path(), kind);
}

}  // namespace detail

}  // namespace dino::inline DINO_ABI
