// What a comparison found: largest errors, and how large they may be.
#pragma once

#include "golden.hpp"

#include <dino/nn/dino_head.hpp>

#include <span>

namespace parity {

/// The larger number; a NaN is larger than all others, and stays.
inline double larger(double a, double b) { return b > a || std::isnan(b) ? b : a; }

/// How far one tensor is from what was expected: max |a - b|, and max |b|.
struct Difference {
  double absolute = 0, largest = 0;

  template <class T> void add(T got, double expected) {
    absolute = larger(absolute, std::abs(static_cast<double>(got) - expected));
    largest = std::max(largest, std::abs(expected));
  }
  double relative() const { return largest == 0 ? absolute : absolute / largest; }
};

/// Tolerances of relative errors; docs/numerics.md has the reasons.
struct Tolerance {
  double in_double = 0, in_float = 0;
};

/// One line of the report: the largest errors over the tensors that were compared under this name.
struct Item {
  std::string file, kind, type, what;
  double tolerance = 0;
  double absolute = 0, relative = 0;
  std::string worst;  // the tensor with the largest relative error, if there are several

  bool ok() const { return relative <= tolerance; }
  void add(double abs_error, double rel_error, const std::string& tensor) {
    absolute = larger(absolute, abs_error);
    if (larger(relative, rel_error) == relative || std::isnan(relative)) return;
    relative = rel_error;
    worst = tensor;
  }
};

/// The items of one file in one number type.
class Items {
 public:
  Items(const Golden& file, std::string kind, bool in_double)
      : file_(file.name()), kind_(std::move(kind)), in_double_(in_double) {}

  /// The item of that name; it appears in the report in the order of first use.
  Item& item(const std::string& what, const Tolerance& tolerance) {
    for (auto& x : list_) {
      if (x.what == what) return x;
    }
    Item x;
    x.file = file_;
    x.kind = kind_;
    x.type = in_double_ ? "double" : "float";
    x.what = what;
    x.tolerance = in_double_ ? tolerance.in_double : tolerance.in_float;
    list_.push_back(x);
    return list_.back();
  }
  void add(const std::string& what, const Tolerance& tolerance, const Difference& d, const std::string& tensor = "") {
    item(what, tolerance).add(d.absolute, d.relative(), tensor);
  }
  const std::vector<Item>& list() const { return list_; }

 private:
  std::string file_, kind_;
  bool in_double_;
  std::vector<Item> list_;
};

/// The difference between values and a stored tensor of as many values.
template <class T> Difference compare(Golden& file, std::span<const T> got, const std::string& expected) {
  const auto values = file.values<double>(expected);
  file.check(values.size() == got.size(), "tensor {} is {}, dino computes {} values", expected, file.shape(expected),
             got.size());
  Difference d;
  for (size_t i = 0; i < values.size(); ++i) d.add(got[i], values[i]);
  return d;
}
template <class T> Difference compare(Golden& file, const HostTensor<T>& got, const std::string& expected) {
  file.check(got.shape() == file.shape(expected), "tensor {} is {}, dino computes {}", expected, file.shape(expected),
             got);
  const auto values = to_vector(got);
  return compare(file, std::span<const T>(values), expected);
}

/// True for the bias of query, key and value. The key's third has no effect on attention: softmax does not see what is
/// added to all scores of a row. So its gradient is zero in theory, and roundings in practice.
inline bool has_key_bias(const std::string& name) { return name.ends_with("attn.qkv.bias"); }

/// True for the biases that batch norm takes away again when it subtracts the mean: without effect, too.
inline bool before_batch_norm(const std::string& name, const DinoHeadConfig& head) {
  for (i64 i = 0; head.use_bn && i + 1 < head.layers; ++i) {
    if (name.ends_with(str("mlp.{}.bias", 3 * i))) return true;
  }
  return false;
}

/// Query and value thirds against the file, and apart from them what lies in the key's third.
struct SplitBias {
  Difference query_value, key;
  double key_largest = 0, query_largest = 0;  // of the values computed, and of those expected
};
template <class T> SplitBias split_bias(const std::vector<T>& got, const std::vector<double>& expected) {
  SplitBias s;
  const size_t third = got.size() / 3;
  for (size_t i = 0; i < got.size(); ++i) {
    if (i >= third && i < 2 * third) {
      s.key.add(got[i], expected[i]);
      s.key_largest = larger(s.key_largest, std::abs(static_cast<double>(got[i])));
    } else {
      s.query_value.add(got[i], expected[i]);
      if (i < third) s.query_largest = std::max(s.query_largest, std::abs(expected[i]));
    }
  }
  return s;
}

/// All that the files of a kind promise, checked in double (if the file was computed so) and in float.
using Check = std::vector<Item> (*)(Golden&, HostContext&);
std::vector<Item> check_vit(Golden& file, HostContext& ctx);
std::vector<Item> check_head(Golden& file, HostContext& ctx);
std::vector<Item> check_loss(Golden& file, HostContext& ctx);
std::vector<Item> check_optimizer(Golden& file, HostContext& ctx);
std::vector<Item> check_ema(Golden& file, HostContext& ctx);
std::vector<Item> check_knn(Golden& file, HostContext& ctx);
std::vector<Item> check_trajectory(Golden& file, HostContext& ctx);
std::vector<Item> check_photo(Golden& file, HostContext& ctx);
std::vector<Item> check_features(Golden& file, HostContext& ctx);

/// Checks one file by its kind. Throws Error{weights} when it is broken, or says what this version does not know.
std::vector<Item> check_file(const std::filesystem::path& path, HostContext& ctx);

/// The golden files of a folder in the order of their names, or the file itself. Throws Error{weights} when there are
/// none.
std::vector<std::filesystem::path> golden_files(const std::filesystem::path& path);

/// Calls run(T{}, items) for double, if the file was computed in it, and for float, and joins what they found.
template <class Run> std::vector<Item> in_both_types(Golden& file, const std::string& kind, const Run& run) {
  std::vector<Item> all;
  const auto append = [&](auto zero) {
    Items items(file, kind, sizeof(zero) == 8);
    run(zero, items);
    all.insert(all.end(), items.list().begin(), items.list().end());
  };
  if (file.in_double()) append(0.0);
  append(0.0f);
  file.end_of_tensors();
  return all;
}

/// Calls run(items) for float alone.
template <class Run> std::vector<Item> in_float(Golden& file, const std::string& kind, const Run& run) {
  file.check(!file.in_double(), "dtype is float64, files of this kind are float32");
  return in_both_types(file, kind, [&](auto, Items& items) { run(items); });
}

}  // namespace parity
