// CIFAR-10 and CIFAR-100 in their binary form: checked whole when opened, then held in memory as it stands in the
// files.
#pragma once

#include <dino/data/cifar_classes.hpp>
#include <dino/data/dataset.hpp>
#include <dino/io/file.hpp>

#include <filesystem>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace dino::inline DINO_ABI {

namespace detail {

/// One of the two formats. A record is its labels, one byte each and the fine one last, and 3 planes of 32x32 bytes.
struct CifarFormat {
  std::string kind, title, folder;
  std::vector<i64> labels;  // how many values each label byte may have
  std::vector<std::string> train_files;
  std::string test_file, names_file;
  i64 train_images, test_images;  // in each complete file
  std::vector<std::string> names;

  static constexpr i64 pixels = 3 * 32 * 32;
  i64 record() const { return static_cast<i64>(labels.size()) + pixels; }
};

inline CifarFormat cifar10_format() {
  return {"cifar-10",
          "CIFAR-10",
          "cifar-10-batches-bin",
          {10},
          {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
          "test_batch.bin",
          "batches.meta.txt",
          10000,
          10000,
          cifar10_classes()};
}

inline CifarFormat cifar100_format() {
  return {"cifar-100", "CIFAR-100", "cifar-100-binary", {20, 100}, {"train.bin"}, "test.bin", "fine_label_names.txt",
          50000,       10000,       cifar100_classes()};
}

struct CifarFile {
  std::string name;
  i64 records;
  std::vector<u8> bytes;
};

/// Reads and checks one file. Throws Error{data} that names file, record, value and remedy.
inline CifarFile read_cifar_file(const std::filesystem::path& folder, const std::string& name,
                                 const CifarFormat& format) {
  const InputFile input(folder / name, ErrorKind::data);
  const std::string remedy = cifar_source(format.kind);
  require(input.size() > 0, ErrorKind::data, "{}: the file is empty. {}", input.path(), remedy);
  require(input.size() % format.record() == 0, ErrorKind::data,
          "{}: {} bytes, expected a multiple of {}: the file is cut or damaged. {}", input.path(),
          with_commas(input.size()), with_commas(format.record()), remedy);
  constexpr i64 limit = i64{1} << 30;  // six times the largest original file
  require(input.size() <= limit, ErrorKind::data, "{}: {} bytes, at most {} are read", input.path(),
          with_commas(input.size()), with_commas(limit));
  CifarFile file{name, input.size() / format.record(), std::vector<u8>(static_cast<size_t>(input.size()))};
  input.read_at(0, file.bytes);
  for (i64 r = 0; r < file.records; ++r) {
    for (size_t k = 0; k < format.labels.size(); ++k) {
      const i64 label = file.bytes[static_cast<size_t>(r * format.record()) + k];
      require(label < format.labels[k], ErrorKind::data,
              "{} record {}: {}label {}, expected 0..{}. The file is damaged or not {}. {}", input.path(), r,
              k + 1 < format.labels.size() ? "coarse " : "", label, format.labels[k] - 1, format.title, remedy);
    }
  }
  return file;
}

}  // namespace detail

/// One split of CIFAR. get() copies 3 kB; label(i) is the class, for CIFAR-100 the fine one.
class Cifar {
 public:
  Cifar(detail::CifarFormat format, std::vector<detail::CifarFile> files)
      : format_(std::move(format)), files_(std::move(files)) {
    for (const auto& file : files_) size_ += file.records;
  }

  i64 size() const { return size_; }
  i64 label(i64 i) const { return record(i)[format_.labels.size() - 1]; }
  std::string kind() const { return format_.kind; }
  std::string title() const { return format_.title; }
  const std::vector<std::string>& classes() const { return format_.names; }

  std::string name(i64 i) const {
    const auto [file, r] = find(i);
    return str("{} record {}", file->name, r);
  }

  Sample get(i64 i) const {
    const u8* plane = record(i) + format_.labels.size();
    Sample sample{Image(32, 32), label(i), name(i)};
    u8* out = sample.image.pixels.data();
    for (i64 p = 0; p < 1024; ++p) {
      for (i64 c = 0; c < 3; ++c) *out++ = plane[1024 * c + p];
    }
    return sample;
  }

 private:
  std::pair<const detail::CifarFile*, i64> find(i64 i) const {
    require(i >= 0 && i < size_, "cifar: image {} of {}", i, size_);
    const detail::CifarFile* file = files_.data();
    for (; i >= file->records; ++file) i -= file->records;
    return {file, i};
  }

  const u8* record(i64 i) const {
    const auto [file, r] = find(i);
    return file->bytes.data() + r * format_.record();
  }

  detail::CifarFormat format_;
  std::vector<detail::CifarFile> files_;
  i64 size_ = 0;
};

struct CifarSplits {
  AnyDataset train;
  std::optional<AnyDataset> test;
  std::vector<std::string> notes;  // what differs from the original, for people
};

namespace detail {

/// The names in the file beside the data when it holds one per class, else the usual ones.
inline std::vector<std::string> read_cifar_names(const std::filesystem::path& folder, const CifarFormat& format,
                                                 std::vector<std::string>& notes) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(folder / format.names_file, error)) return format.names;
  std::istringstream lines(read_text(folder / format.names_file, i64{1} << 20));
  std::vector<std::string> names;
  for (std::string line; std::getline(lines, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) names.push_back(line);
  }
  if (names.size() == format.names.size()) return names;
  notes.push_back(str("{} holds {} names instead of {}: the usual ones are used", format.names_file, names.size(),
                      format.names.size()));
  return format.names;
}

inline void note_size(const CifarFile& file, i64 expected, std::vector<std::string>& notes) {
  if (file.records == expected) return;
  notes.push_back(
      str("{} holds {} images, the original {}", file.name, with_commas(file.records), with_commas(expected)));
}

/// The folder itself or the one below it that holds a training file of this format.
inline std::optional<std::filesystem::path> find_cifar(const std::filesystem::path& path, const CifarFormat& format) {
  std::error_code error;
  for (const auto& folder : {path, path / format.folder}) {
    for (const std::string& name : format.train_files) {
      if (std::filesystem::is_regular_file(folder / name, error)) return folder;
    }
    if (std::filesystem::is_regular_file(folder / format.test_file, error)) return folder;
  }
  return std::nullopt;
}

inline CifarSplits load_cifar(const std::filesystem::path& folder, CifarFormat format) {
  std::vector<std::string> notes;
  std::error_code error;
  std::vector<CifarFile> train, test;
  for (const std::string& name : format.train_files) {
    if (!std::filesystem::exists(folder / name, error)) continue;
    train.push_back(read_cifar_file(folder, name, format));
    note_size(train.back(), format.train_images, notes);
  }
  require(!train.empty(), ErrorKind::data, "{}: no training images, expected {}. {}", folder.string(),
          format.train_files.size() == 1 ? "train.bin" : "data_batch_1.bin to data_batch_5.bin",
          cifar_source(format.kind));
  if (train.size() < format.train_files.size()) {
    notes.push_back(str("only {} of {} training files are there", train.size(), format.train_files.size()));
  }
  if (std::filesystem::exists(folder / format.test_file, error)) {
    test.push_back(read_cifar_file(folder, format.test_file, format));
    note_size(test.back(), format.test_images, notes);
  } else {
    notes.push_back(str("{} is not there: no test images", format.test_file));
  }
  format.names = read_cifar_names(folder, format, notes);
  CifarSplits splits{Cifar(format, std::move(train)), std::nullopt, std::move(notes)};
  if (!test.empty()) splits.test = Cifar(format, std::move(test));
  return splits;
}

}  // namespace detail

/// Opens cifar-10-batches-bin or the folder above it. Some of the training files suffice, with a note; so does a file
/// with fewer records. Reads everything (30 MB a file) and checks every label. Throws Error{data} that names file,
/// record, value and remedy.
inline CifarSplits load_cifar10(const std::filesystem::path& path) {
  const auto folder = detail::find_cifar(path, detail::cifar10_format());
  require(folder.has_value(), ErrorKind::data,
          "{}: no CIFAR-10 here, expected data_batch_1.bin to data_batch_5.bin. {}", path.string(),
          detail::cifar_source("cifar-10"));
  return detail::load_cifar(*folder, detail::cifar10_format());
}

/// The same for cifar-100-binary: train.bin and test.bin.
inline CifarSplits load_cifar100(const std::filesystem::path& path) {
  const auto folder = detail::find_cifar(path, detail::cifar100_format());
  require(folder.has_value(), ErrorKind::data, "{}: no CIFAR-100 here, expected train.bin and test.bin. {}",
          path.string(), detail::cifar_source("cifar-100"));
  return detail::load_cifar(*folder, detail::cifar100_format());
}

}  // namespace dino::inline DINO_ABI
