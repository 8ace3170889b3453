// The container of PyTorch files: a zip archive of uncompressed records, indexed from its central directory.
#pragma once

#include <dino/io/foreign_file.hpp>
#include <dino/io/png_gate.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dino::inline DINO_ABI {

/// One record: size bytes at begin.
struct ZipEntry {
  std::string_view name;
  i64 header = 0, begin = 0, size = 0;  // bytes; header: where its local header stands
  u32 crc = 0;                          // CRC-32 of the bytes
};

namespace detail {

static_assert(std::endian::native == std::endian::little);

/// A little-endian number of a file. The caller has checked that it lies inside.
template <class T> T read_le(const u8* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}

/// Where the central directory stands, and where what closes the file begins.
struct ZipDirectory {
  u64 begin = 0, size = 0, count = 0, disk = 0;
};

/// No empty name, none with a part "..", a backslash, a NUL or a leading slash.
inline bool valid_record_name(std::string_view name) {
  if (name.empty() || name[0] == '/' || name.find('\\') != name.npos || name.find('\0') != name.npos) return false;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    if (name.substr(begin, end - begin) == "..") return false;
    begin = end + 1;
  }
  return true;
}

}  // namespace detail

/// A zip archive whose records are stored, as torch.save writes it (version 1.6 and later; zip64 too). Everything is
/// checked when it is opened: names, methods, ranges inside the file and without overlap. Throws Error{weights} with
/// the file, what is wrong and what to do. Memory: the central directory and 56 bytes per record.
/// Source: PKWARE APPNOTE 4.3, 4.4, 4.5.3; formats.md 3.1.
class StoredZip {
 public:
  static constexpr u64 max_entries = 1'000'000;

  explicit StoredZip(const std::filesystem::path& path) : file_(path, ErrorKind::weights) {
    detail::refuse_other_than_zip(file_);
    const auto directory = find_directory();
    read_directory(directory);
    locate_records(static_cast<i64>(directory.begin));
  }

  const std::string& path() const { return file_.path(); }
  i64 file_size() const { return file_.size(); }
  /// In the order of their names; the names live as long as the archive.
  std::span<const ZipEntry> entries() const { return entries_; }

  /// Null when there is no such record.
  const ZipEntry* find(std::string_view name) const {
    const auto at =
        std::lower_bound(entries_.begin(), entries_.end(), name,
                         [](const ZipEntry& entry, std::string_view wanted) { return entry.name < wanted; });
    return at == entries_.end() || at->name != name ? nullptr : &*at;
  }

  /// The bytes of a record. Throws Error{weights} when their checksum is wrong.
  std::vector<u8> read(const ZipEntry& entry) const {
    std::vector<u8> bytes(static_cast<size_t>(entry.size));
    file_.read_at(entry.begin, bytes);
    check(detail::png_crc(bytes) == entry.crc, "record {} is damaged (wrong CRC-32). {}", detail::shown(entry.name),
          copy_again);
    return bytes;
  }

 private:
  static constexpr i64 end_size = 22, longest_comment = 65535;
  static constexpr std::string_view copy_again = detail::copy_again, save_alone = detail::save_alone;

  template <class... Args> void check(bool condition, std::string_view pattern, const Args&... args) const {
    require(condition, ErrorKind::weights, "{}: {}", path(), condition ? "" : str(pattern, args...));
  }
  void check_damage(bool condition, std::string_view what) const {
    check(condition, "damaged zip archive: {}. {}", what, copy_again);
  }
  std::vector<u8> bytes_at(u64 offset, u64 size) const {
    std::vector<u8> bytes(size);
    file_.read_at(static_cast<i64>(offset), bytes);
    return bytes;
  }

  detail::ZipDirectory find_directory() const {
    const i64 length = std::min(file_.size(), end_size + longest_comment);
    const auto tail = bytes_at(static_cast<u64>(file_.size() - length), static_cast<u64>(length));
    for (i64 at = length - end_size; at >= 0; --at) {
      const u8* end = tail.data() + at;
      if (detail::read_le<u32>(end) != 0x06054b50 || detail::read_le<u16>(end + 20) != length - at - end_size) continue;
      return directory_of(end, static_cast<u64>(file_.size() - length + at));
    }
    fail(ErrorKind::weights, "{}: the zip archive has no end: cut, or not downloaded completely. {}", path(),
         copy_again);
  }

  /// end: the end record, which stands at `at`. In front of it there may be the record of zip64 and its locator.
  detail::ZipDirectory directory_of(const u8* end, u64 at) const {
    detail::ZipDirectory d{detail::read_le<u32>(end + 16), detail::read_le<u32>(end + 12),
                           detail::read_le<u16>(end + 10), detail::read_le<u16>(end + 4)};
    const bool one_disk = detail::read_le<u16>(end + 4) == detail::read_le<u16>(end + 6) &&
                          detail::read_le<u16>(end + 8) == detail::read_le<u16>(end + 10);
    u64 closing = at;
    if (at >= 20) {
      const auto locator = bytes_at(at - 20, 20);
      if (detail::read_le<u32>(locator.data()) == 0x07064b50) {
        closing = detail::read_le<u64>(locator.data() + 8);
        d = zip64_directory(d, closing, at - 20);
      }
    }
    check(one_disk && d.disk == 0, "the zip archive is spread over several disks. Join the parts");
    check(d.count <= max_entries, "{} records in the zip archive, at most {}. {}", d.count, max_entries, save_alone);
    check_damage(d.size <= closing && d.begin == closing - d.size, "the central directory is not where it should be");
    check_damage(d.size / 46 >= d.count, "the central directory is too short");
    return d;
  }

  /// The numbers of the zip64 record; those of the end record must be the same or all ones.
  detail::ZipDirectory zip64_directory(const detail::ZipDirectory& narrow, u64 begin, u64 end) const {
    check_damage(end >= 56 && begin <= end - 56, "the zip64 record lies outside");
    const auto record = bytes_at(begin, 56);
    const u8* p = record.data();
    check_damage(detail::read_le<u32>(p) == 0x06064b50 && detail::read_le<u64>(p + 4) == end - begin - 12,
                 "the zip64 record is not where it should be");
    check(detail::read_le<u32>(p + 16) == detail::read_le<u32>(p + 20) &&
              detail::read_le<u64>(p + 24) == detail::read_le<u64>(p + 32),
          "the zip archive is spread over several disks. Join the parts");
    const detail::ZipDirectory wide{detail::read_le<u64>(p + 48), detail::read_le<u64>(p + 40),
                                    detail::read_le<u64>(p + 32), detail::read_le<u32>(p + 16)};
    check_damage((narrow.begin == 0xffffffff || narrow.begin == wide.begin) &&
                     (narrow.size == 0xffffffff || narrow.size == wide.size) &&
                     (narrow.count == 0xffff || narrow.count == wide.count),
                 "the end record and its zip64 form differ");
    return wide;
  }

  void read_directory(const detail::ZipDirectory& directory) {
    directory_ = bytes_at(directory.begin, directory.size);
    entries_.reserve(directory.count);
    size_t at = 0;
    for (u64 i = 0; i < directory.count; ++i) at += read_entry(std::span(directory_).subspan(at));
    check_damage(at == directory_.size(), "the central directory has more than its entries");
    std::sort(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    const auto twice = std::adjacent_find(entries_.begin(), entries_.end(),
                                          [](const auto& a, const auto& b) { return a.name == b.name; });
    if (twice != entries_.end())
      check(false, "two records are called {}: not written by torch.save. {}", detail::shown(twice->name), save_alone);
  }

  /// The next entry of the central directory; returns its length.
  size_t read_entry(std::span<const u8> rest) {
    const u8* p = rest.data();
    check_damage(rest.size() >= 46 && detail::read_le<u32>(p) == 0x02014b50, "a directory entry is missing");
    const size_t name = detail::read_le<u16>(p + 28), extra = detail::read_le<u16>(p + 30),
                 length = 46 + name + extra + detail::read_le<u16>(p + 32);
    check_damage(length <= rest.size(), "a directory entry is cut");
    ZipEntry entry{{reinterpret_cast<const char*>(p) + 46, name}};
    const auto flags = detail::read_le<u16>(p + 8), method = detail::read_le<u16>(p + 10);
    check(detail::valid_record_name(entry.name),
          "the record name '{}' is refused: torch.save writes no such name. Get the file from a source you trust",
          detail::shown(entry.name));
    const auto inside = entry.name.substr(entry.name.find('/') + 1);
    check(inside != "constants.pkl" && !inside.starts_with("code/"),
          "a TorchScript program, not weights; save its weights: python3 -c \"import torch; "
          "torch.save(torch.jit.load('in.pt', map_location='cpu').state_dict(), 'out.pth')\"");
    check(
        (flags & 0x2041u) == 0,
        "record {} is encrypted. Unpack the archive with its password and zip it again without compression: zip -0 -r",
        detail::shown(entry.name));
    check(method == 0,
          "record {} is compressed (method {}), which torch.save never does. Unpack the archive and zip "
          "it again without compression: zip -0 -r",
          detail::shown(entry.name), method);
    u64 wide[] = {detail::read_le<u32>(p + 24), detail::read_le<u32>(p + 20), detail::read_le<u32>(p + 42)};
    widen(wide, rest.subspan(46 + name, extra), entry.name);
    const u64 limit = static_cast<u64>(file_.size());
    check(detail::read_le<u16>(p + 34) == 0, "record {} is on another disk. Join the parts", detail::shown(entry.name));
    check(wide[0] == wide[1] && wide[0] <= limit && wide[2] <= limit, "record {} lies outside the file. {}",
          detail::shown(entry.name), copy_again);
    entry.size = static_cast<i64>(wide[0]);
    entry.header = static_cast<i64>(wide[2]);
    entry.crc = detail::read_le<u32>(p + 16);
    entries_.push_back(entry);
    return length;
  }

  /// Size, stored size and offset that are all ones stand in the extra field 1, in this order.
  void widen(std::span<u64, 3> values, std::span<const u8> extra, std::string_view name) const {
    const u8* p = extra.data();
    const u8* const end = p + extra.size();
    while (end - p >= 4 && detail::read_le<u16>(p) != 1) p += std::min<i64>(4 + detail::read_le<u16>(p + 2), end - p);
    i64 left = end - p >= 4 ? std::min<i64>(detail::read_le<u16>(p + 2), end - p - 4) : 0;
    p += left > 0 ? 4 : 0;
    for (u64& value : values) {
      if (value != 0xffffffff) continue;
      check((left -= 8) >= 0, "the zip64 field of record {} is missing. {}", detail::shown(name), copy_again);
      value = detail::read_le<u64>(p);
      p += 8;
    }
  }

  /// Reads the local headers, whose lengths tell where the data begin: they hold no sizes. end: of all records.
  void locate_records(i64 end) {
    const auto by_header = [](const auto& a, const auto& b) { return a.header < b.header; };
    std::sort(entries_.begin(), entries_.end(), by_header);
    i64 previous = 0;
    std::vector<u8> local;
    for (auto& entry : entries_) {
      const auto name = detail::shown(entry.name);
      const i64 fixed = 30 + static_cast<i64>(entry.name.size());
      check(entry.header >= previous && fixed <= end - entry.header, "record {} overlaps what stands beside it. {}",
            name, copy_again);
      local.resize(static_cast<size_t>(fixed));
      file_.read_at(entry.header, local);
      const std::string_view text(reinterpret_cast<const char*>(local.data()), local.size());
      check(detail::read_le<u32>(local.data()) == 0x04034b50 && detail::read_le<u16>(local.data() + 8) == 0 &&
                detail::read_le<u16>(local.data() + 26) == entry.name.size() && text.substr(30) == entry.name,
            "the header of record {} is not where the directory says. {}", name, copy_again);
      const i64 extra = detail::read_le<u16>(local.data() + 28);
      check(extra <= end - entry.header - fixed && entry.size <= end - entry.header - fixed - extra,
            "record {} overlaps what stands beside it. {}", name, copy_again);
      entry.begin = entry.header + fixed + extra;
      previous = entry.begin + entry.size;
    }
    std::sort(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  }

  InputFile file_;
  std::vector<u8> directory_;
  std::vector<ZipEntry> entries_;
};

/// The folder inside the archive that holds everything, "archive/" for instance: what stands in front of data.pkl.
/// Throws Error{weights} when there is none or more than one, and for big-endian files.
inline std::string pth_stem(const StoredZip& zip) {
  constexpr std::string_view suffix = "/data.pkl";
  std::string stem;
  for (const auto& entry : zip.entries()) {
    if (!entry.name.ends_with(suffix)) continue;
    require(stem.empty(), ErrorKind::weights, "{}: two records {}data.pkl and {}: not written by torch.save. {}",
            zip.path(), detail::shown(stem), detail::shown(entry.name), detail::save_alone);
    stem = entry.name.substr(0, entry.name.size() - suffix.size() + 1);
  }
  const bool arrays = std::any_of(zip.entries().begin(), zip.entries().end(),
                                  [](const ZipEntry& entry) { return entry.name.ends_with(".npy"); });
  require(
      !stem.empty() || !arrays, ErrorKind::weights,
      "{}: an archive of numpy arrays (.npz), not weights. Save them with safetensors.numpy.save_file(dict(numpy.load("
      "'in.npz')), 'out.safetensors')",
      zip.path());
  require(!stem.empty(), ErrorKind::weights,
          "{}: a zip archive without data.pkl: not written by torch.save. Give a file of weights", zip.path());
  if (const auto* order = zip.find(stem + "byteorder")) {
    require(order->size == 6 && zip.read(*order) == std::vector<u8>{'l', 'i', 't', 't', 'l', 'e'}, ErrorKind::weights,
            "{}: its numbers are big-endian. Load it with torch and save it again on a little-endian machine",
            zip.path());
  }
  return stem;
}

}  // namespace dino::inline DINO_ABI
