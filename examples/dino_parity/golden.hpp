// A golden file: what another implementation computed from which numbers. docs/parity.md describes the format.
#pragma once

#include <dino/io/parse_record.hpp>
#include <dino/io/safetensors.hpp>
#include <dino/tensor/create.hpp>

#include <filesystem>
#include <set>

namespace parity {

using namespace dino;

/// Named tensors and a configuration. All of it must be used: a field or a tensor that a check does not know would
/// otherwise stay unchecked in silence. Throws Error{weights} with the path in front.
class Golden {
 public:
  explicit Golden(const std::filesystem::path& path)
      : path_(path.string()), state_(read_safetensors(path)), config_(read_config()) {
    const i64 format = integer("format");
    check(format == 1, "format {} is not known to this version, which reads format 1", format);
    const auto type = text("dtype");
    check(type == "float64" || type == "float32", "dtype \"{}\": expected float64 or float32", type);
    in_double_ = type == "float64";
  }

  std::string name() const { return std::filesystem::path(path_).stem().string(); }
  const std::string& path() const { return path_; }
  bool in_double() const { return in_double_; }  // how the expected values were computed

  i64 integer(const std::string& key) {
    const double x = real(key);
    check(x == std::floor(x) && std::abs(x) < 1e15, "field {} is {}, expected an integer", key, number_text(x));
    return static_cast<i64>(x);
  }
  double real(const std::string& key) {
    const double x = field(key).number(key);
    check(std::isfinite(x), "field {} is {}, expected a number", key, config_.text(key));
    return x;
  }
  bool flag(const std::string& key) {
    const auto value = text(key);
    check(value == "true" || value == "false", "field {} is {}, expected true or false", key, value);
    return value == "true";
  }
  std::string text(const std::string& key) { return field(key).text(key); }
  bool has_field(const std::string& key) const { return config_.has(key); }

  /// To be called when a check has read its configuration, before it computes.
  void end_of_fields() const {
    for (const auto& [key, value] : config_.fields()) {
      check(fields_.count(key) == 1, "field {} is not known for this kind", key);
    }
  }
  /// To be called when a check is over.
  void end_of_tensors() const {
    for (const auto& [key, data] : state_.tensors) {
      check(tensors_.count(key) == 1, "tensor {} is not known for this kind and configuration", key);
    }
  }

  bool has(const std::string& key) const { return state_.find(key) != nullptr; }
  const TensorData& at(const std::string& key) {
    const auto* data = state_.find(key);
    check(data != nullptr, "there is no tensor {}", key);
    tensors_.insert(key);
    return *data;
  }
  const Shape& shape(const std::string& key) { return at(key).shape; }
  template <class T> std::vector<T> values(const std::string& key) { return at(key).template to<T>(); }
  template <class T> HostTensor<T> tensor(HostContext& ctx, const std::string& key) {
    return dino::tensor(ctx, shape(key), values<T>(key));
  }
  /// Part `index` along the first axis.
  template <class T> HostTensor<T> part(HostContext& ctx, const std::string& key, i64 index) {
    const auto whole = tensor<T>(ctx, key);
    check(whole.shape().rank() >= 2 && index < whole.shape()[0], "tensor {} is {}: it has no part {}", key, whole,
          index);
    const std::span<const i64> extents(whole.shape().begin(), whole.shape().end());
    return whole.slice(index, index + 1).reshape(Shape(extents.subspan(1)));
  }
  /// What follows the prefix in the names that begin with it.
  std::vector<std::string> names_with(const std::string& prefix) const {
    std::vector<std::string> names;
    for (const auto& [key, data] : state_.tensors) {
      if (key.starts_with(prefix)) names.push_back(key.substr(prefix.size()));
    }
    return names;
  }
  /// All tensors, for load_parameters, which checks that all under its prefix are used.
  const StateDict& state(const std::string& prefix) {
    for (const auto& name : names_with(prefix)) tensors_.insert(prefix + name);
    return state_;
  }

  template <class... Args> void check(bool condition, std::string_view pattern, const Args&... args) const {
    if (!condition) fail(ErrorKind::weights, "{}: {}", path_, str(pattern, args...));
  }

 private:
  const Record& field(const std::string& key) {
    check(config_.has(key), "its configuration has no field {}", key);
    fields_.insert(key);
    return config_;
  }
  Record read_config() const {
    const auto text = state_.metadata.find("dino.parity");
    check(text != state_.metadata.end(), "no metadata dino.parity: not a golden file (docs/parity.md)");
    const auto record = parse_record(text->second);
    check(record.has_value(), "metadata dino.parity is not a JSON object: {}", text->second);
    return *record;
  }

  std::string path_;
  StateDict state_;
  Record config_;
  std::set<std::string> fields_, tensors_;
  bool in_double_ = true;
};

}  // namespace parity
