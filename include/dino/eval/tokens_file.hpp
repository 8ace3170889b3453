// Features of pictures as a file: safetensors with names beside them, or one array.
#pragma once

#include <dino/eval/tokens.hpp>
#include <dino/io/npy.hpp>
#include <dino/io/record.hpp>
#include <dino/io/safetensors.hpp>

#include <filesystem>

namespace dino::inline DINO_ABI {

/// What a file of features says beside them, both JSON.
struct TokensFileInfo {
  std::string model;     // "dino.model": the description of the backbone, model_text
  std::string settings;  // "dino.features": how the features were made
};

namespace detail {

/// ["a.png","b.png"]
inline std::string json_list(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const auto& text : texts) out += (out.size() > 1 ? "," : "") + json_text(text);
  return out + ']';
}

/// features.00000
inline std::string numbered(const std::string& name, i64 i) {
  const auto digits = std::to_string(i);
  return name + '.' + std::string(5 - std::min<size_t>(5, digits.size()), '0') + digits;
}

inline bool one_shape(const std::vector<Shape>& shapes) {
  return std::all_of(shapes.begin(), shapes.end(), [&](const Shape& s) { return s == shapes.front(); });
}

/// The arrays of all pictures as one, name (n,...), or where shapes differ as one per picture, name.00000 ...
inline void add_arrays(std::vector<TensorView>& views, const std::string& name, const std::vector<float>& values,
                       const std::vector<Shape>& shapes) {
  if (one_shape(shapes)) {
    std::vector<i64> extents{static_cast<i64>(shapes.size())};
    extents.insert(extents.end(), shapes.front().begin(), shapes.front().end());
    views.push_back(tensor_view(name, Shape(std::span<const i64>(extents)), values));
    return;
  }
  const float* at = values.data();
  for (size_t i = 0; i < shapes.size(); at += shapes[i++].numel()) {
    const std::span<const float> own(at, static_cast<size_t>(shapes[i].numel()));
    views.push_back(tensor_view(numbered(name, static_cast<i64>(i)), shapes[i], own));
  }
}

inline TensorView text_view(const std::string& name, const std::string& text) {
  return {name, DType::U8, {static_cast<i64>(text.size())}, as_bytes(text), {}};
}

}  // namespace detail

/// Writes the features of at least one picture, whole or not at all.
///
/// *.safetensors, dino.kind = features; tensors, for n pictures:
///     features    (n,layers C), (n,layers,P,C) or (n,layers,T,C), F32; features.00000 ... where sizes differ
///     attention   (n,H,T), F32, if asked for; attention.00000 ... where sizes differ
///     grid        (n,2), I64: patches down and across, for tokens or attention of patches
///     names       U8, JSON: a list of n file names, in the order of the rows
///     labels      (n), I64, and classes, U8, JSON, the names of the labels, if the pictures have them
///
/// *.npy: features alone, and beside it *.npy.json, an object with names, labels, classes, model and features.
/// Returns what was written. Throws Error{usage} for another ending, and for npy when there is more than one array.
inline std::vector<std::filesystem::path> write_tokens(const std::filesystem::path& path, const PictureFeatures& f,
                                                       const TokensFileInfo& info) {
  require(f.size() > 0, "write_tokens: there are no features");
  const auto names = detail::json_list(f.names), classes = detail::json_list(f.classes);
  std::vector<TensorView> views;
  detail::add_arrays(views, "features", f.values, f.shapes);
  if (path.extension() == ".npy") {
    require(views.size() == 1 && !f.request.attention, ErrorKind::usage,
            "{}: an npy file holds one array, these are {}. Write a .safetensors", path.string(),
            views.size() == 1 ? "two, features and attention" : "one for each picture, since sizes differ");
    auto beside = str("{\"v\":1,\"names\":{}", names);
    if (!f.classes.empty()) {
      std::string labels;
      for (const i64 label : f.labels) labels += (labels.empty() ? "" : ",") + std::to_string(label);
      beside += str(",\"labels\":[{}],\"classes\":{}", labels, classes);
    }
    beside += str(",\"model\":{},\"features\":{}}\n", info.model, info.settings);
    const auto other = path.string() + ".json";
    write_npy(path, views[0].dtype, views[0].shape, views[0].bytes);
    write_file_atomic(other, beside);
    return {path, other};
  }
  require(path.extension() == ".safetensors", ErrorKind::usage, "{}: features are written to .safetensors or .npy",
          path.string());
  if (f.request.attention) detail::add_arrays(views, "attention", f.attention, f.attention_shapes);
  if (f.request.attention || !f.request.one_row()) views.push_back(tensor_view("grid", {f.size(), 2}, f.grids));
  views.push_back(detail::text_view("names", names));
  if (!f.classes.empty()) {
    views.push_back(tensor_view("labels", {f.size()}, f.labels));
    views.push_back(detail::text_view("classes", classes));
  }
  write_safetensors(path, views,
                    {{"dino.kind", "features"}, {"dino.model", info.model}, {"dino.features", info.settings}});
  return {path};
}

}  // namespace dino::inline DINO_ABI
