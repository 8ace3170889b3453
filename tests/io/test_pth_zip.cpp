#include <dino/io/crc32c.hpp>
#include <dino/io/pth_zip.hpp>

#include "support/catch.hpp"
#include "support/pth_files.hpp"
#include "support/temporary_folder.hpp"

using namespace dino;

namespace {

const std::vector<pth::Record> three{{"a/data.pkl", "."}, {"a/data/10", "tenth"}, {"a/data/2", ""}};

/// Opens the bytes as a file, and with `use` set looks for its folder and reads all records.
std::string refusal(const std::string& bytes, bool use = false) {
  TemporaryFolder folder;
  write_file_atomic(folder / "x.pth", bytes);
  try {
    const StoredZip zip(folder / "x.pth");
    if (use) {
      pth_stem(zip);
      for (const auto& entry : zip.entries()) zip.read(entry);
    }
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::weights);
    CHECK_THAT(error.what(), contains("x.pth: "));
    return error.what();
  }
  return "";
}

std::string text_of(const StoredZip& zip, std::string_view name) {
  const auto* entry = zip.find(name);
  REQUIRE(entry != nullptr);
  const auto bytes = zip.read(*entry);
  return {bytes.begin(), bytes.end()};
}

/// `bytes` with other ones from `at` on.
std::string patched(std::string bytes, size_t at, const std::string& other) {
  REQUIRE(at + other.size() <= bytes.size());
  return bytes.replace(at, other.size(), other);
}

/// Where the n-th entry of the central directory begins (from 0).
size_t entry_at(const std::string& bytes, int n) {
  size_t at = bytes.find("PK\1\2");
  while (n-- > 0) at = bytes.find("PK\1\2", at + 1);
  return at;
}

/// Position of the end record, from the end: there is no comment.
size_t end_at(const std::string& bytes) { return bytes.size() - 22; }

}  // namespace

TEST_CASE("pth_zip: a file of torch 1.13, byte for byte", "[io]") {
  const auto bytes = pth::golden();
  CHECK(bytes.size() == 729);
  CHECK(crc32c(as_bytes(bytes)) == 0x1b00221c);  // of the file with the sha256 in pth_files.hpp
  TemporaryFolder folder;
  write_file_atomic(folder / "renamed.pth", bytes);
  const StoredZip zip(folder / "renamed.pth");
  CHECK(pth_stem(zip) == "t/");
  REQUIRE(zip.entries().size() == 3);
  const auto facts = [&](std::string_view name, i64 header, i64 begin, i64 size, u32 crc) {
    const auto* entry = zip.find(name);
    REQUIRE(entry != nullptr);
    CHECK(entry->header == header);
    CHECK(entry->begin == begin);
    CHECK(entry->size == size);
    CHECK(entry->crc == crc);
    CHECK(zip.read(*entry).size() == static_cast<size_t>(size));
  };
  facts("t/data.pkl", 0, 64, 165, 0xf9cbe754);
  facts("t/data/0", 245, 320, 8, 0x2e3fa576);
  facts("t/version", 344, 448, 2, 0x55679ed1);
}

TEST_CASE("pth_zip: records are found by name, with and without zip64", "[io]") {
  for (const auto& style : {pth::ZipStyle{}, pth::ZipStyle{.zip64 = false}, pth::ZipStyle{.wide_entries = true},
                            pth::ZipStyle{.comment = "PK\5\6, a comment"}}) {
    TemporaryFolder folder;
    write_file_atomic(folder / "x.pth", pth::zip(three, style));
    const StoredZip zip(folder / "x.pth");
    CHECK(text_of(zip, "a/data/10") == "tenth");
    CHECK(text_of(zip, "a/data/2").empty());
    CHECK(zip.find("a/data/1") == nullptr);
    CHECK(zip.find("") == nullptr);
    CHECK(pth_stem(zip) == "a/");
  }
}

TEST_CASE("pth_zip: a file cut anywhere is refused", "[io][fault][F9]") {
  const auto bytes = pth::golden();
  for (size_t n = 0; n < bytes.size(); ++n) {
    const auto text = refusal(bytes.substr(0, n));
    CHECK_THAT(text, contains(n == 0 ? "empty" : n < 4 ? "not a PyTorch file" : "the zip archive has no end: cut"));
  }
  CHECK_THAT(refusal(bytes + "x"), contains("the zip archive has no end"));
  CHECK(refusal(bytes, true).empty());
}

TEST_CASE("pth_zip: a changed byte is an error or changes nothing that is read", "[io][fault][F10]") {
  const auto bytes = pth::zip(three);
  int errors = 0;
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (const int bit : {0, 3, 7}) {
      TemporaryFolder folder;
      const auto other = static_cast<char>(bytes[at] ^ (1 << bit));
      write_file_atomic(folder / "x.pth", patched(bytes, at, std::string(1, other)));
      try {
        const StoredZip zip(folder / "x.pth");
        bool same = zip.entries().size() == three.size();
        for (const auto& [name, content] : three) same = same && text_of(zip, name) == content;
        if (!same) FAIL_CHECK("bit " << bit << " of byte " << at << " changes what is read");
      } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::weights);
        ++errors;
      }
    }
  }
  CHECK(errors > 600);  // of 3 per byte: the rest are padding, descriptors and fields that nobody needs
  const auto tenth = bytes.find("tenth");
  CHECK_THAT(refusal(patched(bytes, tenth, "Tenth"), true), contains("record a/data/10 is damaged (wrong CRC-32)"));
}

TEST_CASE("pth_zip: other files get a message that says what to do", "[io]") {
  CHECK_THAT(refusal(""), contains("empty. Copy or download the file again"));
  CHECK_THAT(refusal("<!DOCTYPE html>"), contains("a web page, not weights"));
  CHECK_THAT(refusal("some text"), contains("not a PyTorch file") && contains("Give a file written by torch.save"));
  const auto legacy = pth::unhex("80028a0a6cfc9c46f9206aa850192e8002") + std::string(100, 'x');
  CHECK_THAT(refusal(legacy), contains("old PyTorch format") && contains("torch.save(torch.load('in.pth'"));
  for (const char* name : {"a/code/__torch__.py", "a/constants.pkl"}) {
    CHECK_THAT(
        refusal(pth::zip({{"a/data.pkl", "."}, {name, "x"}})),
        contains("a TorchScript program") && contains("torch.jit.load('in.pt', map_location='cpu').state_dict()"));
  }
  CHECK_THAT(refusal(pth::zip({{"a/version", "3\n"}}), true), contains("a zip archive without data.pkl"));
  CHECK_THAT(refusal(pth::zip({{"data.pkl", "."}}), true), contains("a zip archive without data.pkl"));
  CHECK_THAT(refusal(pth::zip({{"t.npy", "x"}}), true), contains("an archive of numpy arrays (.npz)"));
  CHECK_THAT(refusal(pth::zip({}), true), contains("not a PyTorch file"));
  CHECK_THAT(refusal(pth::zip({{"a/data.pkl", "."}, {"b/data.pkl", "."}}), true), contains("two records"));
}

TEST_CASE("pth_zip: big-endian files are refused", "[io]") {
  CHECK(refusal(pth::zip({{"a/data.pkl", "."}, {"a/byteorder", "little"}}), true).empty());
  CHECK_THAT(refusal(pth::zip({{"a/data.pkl", "."}, {"a/byteorder", "big"}}), true), contains("big-endian"));
}

TEST_CASE("pth_zip: names that are paths to elsewhere, and names given twice, are refused", "[io][fault]") {
  using namespace std::string_literals;
  for (const auto& name : {"../a"s, "a/../b"s, "a/.."s, ".."s, "/a"s, "a\\b"s, "a\0b"s, ""s}) {
    CHECK_THAT(refusal(pth::zip({{name, "x"}})), contains("is refused"));
  }
  CHECK(refusal(pth::zip({{"a..b/data.pkl", "x"}, {"a..b/...", "x"}})).empty());
  CHECK_THAT(refusal(pth::zip({{"a/x", "1"}, {"a/y", ""}, {"a/x", "2"}})), contains("two records are called a/x"));
}

TEST_CASE("pth_zip: compressed, encrypted and divided archives are refused", "[io][fault]") {
  const auto bytes = pth::zip(three);
  const auto entry = entry_at(bytes, 1), end = end_at(bytes);
  CHECK_THAT(refusal(patched(bytes, entry + 10, pth::le<u16>(8))),
             contains("record a/data/10 is compressed (method 8)"));
  for (const int flag : {0x0001, 0x0040, 0x2000}) {
    CHECK_THAT(refusal(patched(bytes, entry + 8, pth::le(static_cast<u16>(flag)))), contains("is encrypted"));
  }
  CHECK_THAT(refusal(patched(bytes, entry + 34, pth::le<u16>(1))), contains("on another disk"));
  CHECK_THAT(refusal(patched(bytes, end + 4, pth::le<u16>(1))), contains("several disks"));
  CHECK_THAT(refusal(patched(bytes, end + 8, pth::le<u16>(1))), contains("several disks"));
  CHECK_THAT(refusal(patched(bytes, end - 20 - 56 + 16, pth::le<u32>(1))), contains("several disks"));
}

TEST_CASE("pth_zip: offsets and sizes must fit the file and one another", "[io][fault]") {
  const auto bytes = pth::zip(three), narrow = pth::zip(three, {.zip64 = false});
  const auto entry = entry_at(bytes, 1), end = end_at(bytes), wide = end - 76;
  const auto first_header = pth::le<u32>(0);
  CHECK_THAT(refusal(patched(bytes, entry + 42, first_header)), contains("overlaps"));
  CHECK_THAT(refusal(patched(bytes, entry + 42, pth::le<u32>(5000))), contains("lies outside the file"));
  CHECK_THAT(refusal(patched(bytes, entry_at(bytes, 0) + 42, pth::le<u32>(1))), contains("is not where the directory"));
  CHECK_THAT(refusal(patched(bytes, entry + 42, pth::le<u32>(0xffffffff))), contains("zip64 field of record"));
  const auto sizes = [](u32 size) { return pth::le(size) + pth::le(size); };
  CHECK_THAT(refusal(patched(bytes, entry + 20, pth::le<u32>(4))), contains("lies outside the file"));
  CHECK_THAT(refusal(patched(bytes, entry + 20, sizes(0x7fffffff))), contains("lies outside the file"));
  CHECK_THAT(refusal(patched(bytes, entry + 20, sizes(200))), contains("overlaps"));
  CHECK_THAT(refusal(patched(bytes, entry_at(bytes, 2) + 20, sizes(60))), contains("overlaps"));
  CHECK_THAT(refusal(patched(narrow, end_at(narrow) + 16, pth::le<u32>(7))), contains("the central directory"));
  CHECK_THAT(refusal(patched(narrow, end_at(narrow) + 12, pth::le<u32>(0xfffffff0))),
             contains("the central directory"));
  const auto long_name = pth::zip({{"a/" + std::string(100, 'x'), ""}}, {.zip64 = false});
  CHECK_THAT(refusal(patched(long_name, end_at(long_name) + 8, pth::le<u32>(0x00020002))),
             contains("a directory entry is missing"));
  CHECK_THAT(refusal(patched(narrow, entry_at(narrow, 2) + 28, pth::le<u16>(0xffff))), contains("entry is cut"));
  CHECK_THAT(refusal(patched(narrow, end_at(narrow) + 8, pth::le<u32>(0x00020002))), contains("more than its entries"));
  CHECK_THAT(refusal(patched(narrow, end_at(narrow) + 8, pth::le<u32>(0xfff0fff0))), contains("too short"));
  CHECK_THAT(refusal(patched(bytes, wide + 48, pth::le(~u64{0}))), contains("zip64 form differ"));
  CHECK_THAT(refusal(patched(bytes, wide + 24, pth::le(u64{1} << 40) + pth::le(u64{1} << 40))),
             contains("zip64 form differ"));
  const auto sentinels = patched(bytes, end + 8, std::string(12, '\xff'));  // only zip64 knows
  CHECK(refusal(sentinels, true).empty());
  CHECK_THAT(refusal(patched(sentinels, wide + 24, pth::le(u64{1} << 40) + pth::le(u64{1} << 40))),
             contains("1099511627776 records in the zip archive, at most 1000000"));
  CHECK_THAT(refusal(patched(sentinels, wide + 40, pth::le(~u64{0}))), contains("the central directory"));
  CHECK_THAT(refusal(patched(bytes, end - 20 + 8, pth::le(~u64{0}))), contains("zip64 record lies outside"));
  CHECK_THAT(refusal(patched(bytes, end - 20 + 8, pth::le(u64{3}))), contains("not where it should be"));
}

TEST_CASE("pth_zip: the zip64 fields of entries are checked like the narrow ones", "[io][fault]") {
  const auto bytes = pth::zip(three, {.wide_entries = true});
  const auto field = entry_at(bytes, 1) + 46 + three[1].name.size() + 7 + 4;
  CHECK_THAT(refusal(patched(bytes, field, pth::le(~u64{0}) + pth::le(~u64{0}))), contains("lies outside the file"));
  CHECK_THAT(refusal(patched(bytes, field + 16, pth::le(~u64{0}))), contains("lies outside the file"));
  CHECK_THAT(refusal(patched(bytes, field - 2, pth::le<u16>(16))), contains("zip64 field of record"));
  CHECK(refusal(patched(bytes, field - 2, pth::le<u16>(60000)), true).empty());  // read no further than it can be
}
