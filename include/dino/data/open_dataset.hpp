// Finds out what a path holds and opens it: the synthetic set, CIFAR, splits, class folders, or plain pictures.
#pragma once

#include <dino/data/cifar.hpp>
#include <dino/data/ground_truth.hpp>
#include <dino/data/image_folder.hpp>
#include <dino/data/image_list.hpp>
#include <dino/data/sampler.hpp>
#include <dino/data/synthetic.hpp>
#include <dino/io/data_path.hpp>

#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace dino::inline DINO_ABI {

struct DatasetOptions {
  std::string kind = "auto";  // or synthetic, cifar-10, cifar-100, imagenet-1k, folder: what the path must hold
  u64 seed = 42;              // of the synthetic images
  i64 image_size = 32;        // of the synthetic images
  i64 synthetic_train = 8000, synthetic_test = 1000;
  JpegWarnings jpeg_warnings = JpegWarnings::skip;
};

struct OpenedData {
  AnyDataset train;
  std::optional<AnyDataset> test;  // only with labels
  std::string kind;                // synthetic, cifar-10, cifar-100, imagenet-1k, folder
  std::string description;         // one line for people
  std::vector<std::string> notes;  // what was left out or differs, for people
};

struct HeldOut {
  AnyDataset train, test;
};

/// Takes round(fraction * size), at least one, of the images away for evaluation; both parts keep their order. Depends
/// on (size, seed, fraction) only. Throws Error{data} when nothing would be left to train on, Error{usage} unless
/// 0 < fraction < 1.
inline HeldOut hold_out(const AnyDataset& dataset, u64 seed, double fraction) {
  require(fraction > 0 && fraction < 1, ErrorKind::usage, "held-out fraction {} is not between 0 and 1", fraction);
  const i64 n = dataset.size();
  const i64 test = std::max<i64>(1, std::llround(fraction * static_cast<double>(n)));
  require(test < n, ErrorKind::data, "{}: {} image{} cannot be divided into training and test", dataset.title(), n,
          n == 1 ? "" : "s");
  auto order = permutation(n, RngKey(seed, stream_of("hold-out")), 0);
  std::sort(order.begin(), order.begin() + test);
  std::sort(order.begin() + test, order.end());
  return {dataset.subset({order.begin() + test, order.end()}), dataset.subset({order.begin(), order.begin() + test})};
}

namespace detail {

inline OpenedData describe_opened(OpenedData data) {
  data.description = data.train.describe();
  if (data.test) data.description += str(", {} test images", with_commas(data.test->size()));
  return data;
}

inline OpenedData open_cifar(CifarSplits splits) {
  const std::string kind = splits.train.kind();
  return describe_opened({std::move(splits.train), std::move(splits.test), kind, "", std::move(splits.notes)});
}

inline bool is_folder(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

/// ImageNet-1k is told by its class folders: 1000 names of n and eight digits.
inline bool is_imagenet(const std::vector<std::string>& classes) {
  return classes.size() == 1000 && std::all_of(classes.begin(), classes.end(), [](const std::string& name) {
           return name.size() == 9 && name[0] == 'n' && name.find_first_not_of("0123456789", 1) == std::string::npos;
         });
}

/// The folders directly below that look like the one that was meant: they hold train/ (and val/ or test/, if wanted).
inline std::string did_you_mean(const std::filesystem::path& path, bool with_splits) {
  std::error_code error;
  std::vector<std::string> better;
  for (std::filesystem::directory_iterator at(path, error), end; !error && at != end; at.increment(error)) {
    if (at->path().filename().string().starts_with('.') || !is_folder(at->path() / "train")) continue;
    const bool splits = is_folder(at->path() / "val") || is_folder(at->path() / "test");
    if (splits || !with_splits) better.push_back(at->path().string());
  }
  return better.empty() ? "" : str(". Did you mean {}?", *std::min_element(better.begin(), better.end()));
}

inline ImageFolder open_folder(const std::filesystem::path& root, const std::string& split,
                               const std::vector<std::string>& classes, FolderScan scan,
                               const DatasetOptions& options) {
  ImageFolder folder(root, split, classes, std::move(scan));
  folder.set_jpeg_warnings(options.jpeg_warnings);
  return folder;
}

/// Test images that lie in no class folders, with the labels of a file.
inline void add_flat_split(OpenedData& data, const std::filesystem::path& root, const std::string& split,
                           const FolderScan& scan, const DatasetOptions& options) {
  auto list = labelled_by_file(root, split, data.train.classes());
  if (!list) {
    const std::string devkit = "ILSVRC2012_validation_ground_truth.txt";
    const bool numbers = first_existing({root / devkit, root / split / devkit}).has_value();
    data.notes.push_back(numbers
                             ? str("{}/ is not used: {} numbers the classes as the devkit's meta.mat does, not as the "
                                   "folders; expected {}.txt with lines NAME WNID",
                                   split, devkit, split)
                             : str("{}/ is not used: its images have no labels, expected {}/<class>/*.jpg, or "
                                   "{}.txt with lines NAME CLASS",
                                   split, split, split));
    return;
  }
  list->set_jpeg_warnings(options.jpeg_warnings);
  const i64 found = static_cast<i64>(scan.images.size());
  if (list->size() != found) {
    data.notes.push_back(
        str("{} names {} images, {}/ holds {}", list->title(), with_commas(list->size()), split, with_commas(found)));
  }
  data.test = std::move(*list);
}

/// A list, and val.txt or test.txt beside a list that is called train.txt.
inline OpenedData open_list(const std::filesystem::path& file, const DatasetOptions& options) {
  const auto open = [&](const std::filesystem::path& path, const std::vector<std::string>& classes) {
    ImageList list(path, classes);
    list.set_jpeg_warnings(options.jpeg_warnings);
    return list;
  };
  OpenedData data{open(file, {}), std::nullopt, "list", "", {}};
  const auto folder = file.parent_path();
  const auto other = first_existing({folder / "val.txt", folder / "test.txt"});
  if (file.filename() == "train.txt" && other && data.train.labelled()) data.test = open(*other, data.train.classes());
  return describe_opened(std::move(data));
}

/// A folder with train/ and perhaps val/ or test/.
inline OpenedData open_splits(const std::filesystem::path& root, const DatasetOptions& options) {
  FolderScan scan = scan_folder(root / "train");
  require(!scan.images.empty(), ErrorKind::data, "no images under {}. Expected train/<class>/*.jpg; found {}{}",
          (root / "train").string(), scan.found(), did_you_mean(root, false));
  const AnyDataset train = open_folder(root, "train", {}, std::move(scan), options);
  OpenedData data{train, std::nullopt, is_imagenet(train.classes()) ? "imagenet-1k" : "folder", "", {}};
  const std::string split = is_folder(root / "val") ? "val" : is_folder(root / "test") ? "test" : "";
  if (split.empty()) return describe_opened(std::move(data));
  FolderScan other = scan_folder(root / split);
  if (!train.labelled()) {
    data.notes.push_back(str("{}/ is not used: train/ has no labels", split));
  } else if (other.images.empty()) {
    data.notes.push_back(str("{}/ is not used: no images, found {}", split, other.found()));
  } else if (!ImageFolder::is_labelled(other, train.classes())) {
    add_flat_split(data, root, split, other, options);
  } else {
    const i64 folders = static_cast<i64>(other.folders.size()), all = static_cast<i64>(train.classes().size());
    data.test = open_folder(root, split, train.classes(), std::move(other), options);
    if (folders < all) data.notes.push_back(str("{}/ has {} of {} classes", split, folders, all));
  }
  return describe_opened(std::move(data));
}

inline OpenedData open_pictures(const std::filesystem::path& path, const DatasetOptions& options) {
  FolderScan scan = scan_folder(path);
  const std::string hint = did_you_mean(path, true);  // training and test images must not be mixed by mistake
  require(hint.empty(), ErrorKind::data, "{} holds neither train/ nor class folders{}", path.string(), hint);
  std::error_code error;
  const bool python = scan.images.empty() && (std::filesystem::exists(path / "data_batch_1", error) ||
                                              std::filesystem::exists(path / "cifar-10-batches-py", error));
  require(!python, ErrorKind::data, "{} holds the Python version of CIFAR-10, the binary one is read. {}",
          path.string(), cifar_source("cifar-10"));
  require(
      !scan.images.empty(), ErrorKind::data,
      "no images under {}. Expected train/<class>/*.jpg, <class>/*.jpg, or pictures without classes (jpg, png, bmp); "
      "found {}",
      path.string(), scan.found());
  const bool deep = scan.folders.size() >= 2 && !ImageFolder::is_labelled(scan, {});
  const AnyDataset train = open_folder(path, "", {}, std::move(scan), options);
  OpenedData data{train, std::nullopt, is_imagenet(train.classes()) ? "imagenet-1k" : "folder", "", {}};
  if (deep) data.notes.push_back("no labels: not every image lies in <class>/<file>");
  return describe_opened(std::move(data));
}

inline std::string data_source(const std::string& name) {
  return name == "imagenet-1k" ? "Get it with tools/get_data.py imagenet-1k" : cifar_source(name);
}

inline void require_folder(const std::string& name, const std::filesystem::path& path) {
  std::error_code error;
  const bool exists = std::filesystem::exists(path, error);
  const bool known = name == "cifar-10" || name == "cifar-100" || name == "imagenet-1k";
  require(exists, ErrorKind::data, "{}: no such folder. {}", path.string(),
          known ? data_source(name)
                : std::string("Expected a folder of images, the binary files of CIFAR, or the word synthetic"));
  const std::string extension = extension_of(path.filename().string());
  if (is_folder(path) || extension == ".txt" || extension == ".lst") return;
  const bool archive = extension == ".gz" || extension == ".tar" || extension == ".tgz" || extension == ".zip";
  fail(ErrorKind::data, "{} is a file, expected a folder, or a list (.txt, .lst). {}", path.string(),
       archive ? "Unpack it first" : "Name the folder that holds the data");
}

/// A list, lists or pictures in folders.
inline OpenedData open_images(const std::filesystem::path& path, const DatasetOptions& options) {
  if (!is_folder(path)) return open_list(path, options);
  const bool lists = !is_folder(path / "train") && first_existing({path / "train.txt"});
  return lists                       ? open_list(path / "train.txt", options)
         : is_folder(path / "train") ? open_splits(path, options)
                                     : open_pictures(path, options);
}

/// CIFAR as pictures in class folders: as many classes, and the kind that was asked for.
inline OpenedData open_as(const std::string& kind, const std::filesystem::path& path, const DatasetOptions& options) {
  OpenedData data = open_images(path, options);
  const size_t classes = kind == "cifar-10" ? 10 : kind == "cifar-100" ? 100 : data.train.classes().size();
  require(data.train.classes().size() == classes, ErrorKind::data,
          "{}: {} classes, {} has {}. Leave --dataset out, or name the folder that holds all classes", path.string(),
          data.train.classes().size(), kind, classes);
  data.kind = kind;
  return data;
}

inline OpenedData open_path(const std::filesystem::path& path, const DatasetOptions& options) {
  const auto ten = find_cifar(path, cifar10_format()), hundred = find_cifar(path, cifar100_format());
  const bool any = options.kind == "auto";
  require(!(ten && hundred && any), ErrorKind::data, "{} holds CIFAR-10 and CIFAR-100: choose one with --dataset",
          path.string());
  if (ten && (any || options.kind == "cifar-10")) return open_cifar(load_cifar(*ten, cifar10_format()));
  if (hundred && (any || options.kind == "cifar-100")) return open_cifar(load_cifar(*hundred, cifar100_format()));
  const bool pictures = !is_folder(path) || is_folder(path / "train");
  if (options.kind == "cifar-10" && !pictures) return open_cifar(load_cifar10(path));  // says what is missing
  if (options.kind == "cifar-100" && !pictures) return open_cifar(load_cifar100(path));
  return any ? open_images(path, options) : open_as(options.kind, path, options);
}

}  // namespace detail

/// Opens "synthetic", a name with data in data/<name> (cifar-10, cifar-100, imagenet-1k), or a path, which may hold:
/// the binary files of CIFAR-10 or CIFAR-100 (or be the folder above them); train/ with val/ or test/;
/// <class>/<picture>; pictures without classes, at any depth; or a list of pictures (.txt, .lst; train.txt with val.txt
/// or test.txt). Throws Error{data} with one line that says what was found and what is expected.
inline OpenedData open_dataset(const std::string& path_or_name, const DatasetOptions& options) {
  if (path_or_name == "synthetic" || options.kind == "synthetic") {
    const auto split = [&](Split which, i64 n) { return Synthetic(options.seed, which, n, options.image_size); };
    return detail::describe_opened({split(Split::train, options.synthetic_train),
                                    AnyDataset(split(Split::test, options.synthetic_test)),
                                    "synthetic",
                                    "",
                                    {}});
  }
  require(!path_or_name.empty(), ErrorKind::data, "no data named. Expected a folder or the word synthetic");
  const auto path = data_path(path_or_name);
  detail::require_folder(path.filename().string(), path);
  return detail::open_path(path, options);
}

}  // namespace dino::inline DINO_ABI
