// Linear classifiers on features of a backbone, as files keep them: ours, and those released with DINO.
#pragma once

#include <dino/eval/probe_features.hpp>
#include <dino/io/json_cursor.hpp>
#include <dino/io/weights.hpp>

#include <charconv>
#include <optional>

namespace dino::inline DINO_ABI {

/// A linear layer, and what it sees of an image.
struct LinearHead {
  ProbeInput input;
  StateDict tensors;                 // "weight" (classes, input.dim(C)), columns as ProbeInput says; "bias" (classes)
  std::vector<std::string> classes;  // by label; empty where the file does not say

  i64 outputs() const { return tensors.tensors.empty() ? 0 : tensors.at("weight").shape[0]; }
};

/// What somebody knows of a head whose file does not say what it sees.
struct ProbeHint {
  std::optional<i64> blocks;
  std::optional<bool> pooled;
};

/// What a head of so many columns sees: k C columns are the class tokens of the last k blocks. 2 C columns may be one
/// block with pooling as well: that is what ViT-B (768 wide, 12 blocks) is taken to mean, as in eval_linear.py, and no
/// other backbone. A hint decides in every case. Throws Error{weights} when it cannot be.
inline ProbeInput infer_probe_input(i64 columns, const VitConfig& vit, const ProbeHint& hint,
                                    const std::string& where) {
  const i64 width = vit.dim, tokens = columns / width;
  require(columns >= width && columns % width == 0, ErrorKind::weights,
          "{}: linear.weight has {} columns, a token of the backbone {} values: a head of another backbone. Give the "
          "one that was trained on these weights",
          where, columns, width);
  const bool base = width == 768 && vit.depth == 12;
  ProbeInput input;
  input.pooled = hint.pooled ? *hint.pooled : hint.blocks ? tokens == *hint.blocks + 1 : base && tokens == 2;
  input.blocks = hint.blocks ? *hint.blocks : tokens - (input.pooled ? 1 : 0);
  require(input.blocks >= 1 && input.blocks <= vit.depth && input.tokens() == tokens, ErrorKind::weights,
          "{}: linear.weight has {} columns, {} tokens of {} values. They cannot be {} (the backbone has {} blocks). "
          "Give the head that was trained on these weights, or say what it sees: --n-last-blocks, "
          "--avgpool-patchtokens",
          where, columns, tokens, width, input.text(), vit.depth);
  return input;
}

namespace detail {

/// ["cat","dog"].
inline std::string class_names_text(const std::vector<std::string>& names) {
  std::string out = "[";
  for (const auto& name : names) out += (out.size() > 1 ? "," : "") + json_quote(name);
  return out + ']';
}

/// dino.classes of a file; empty without. outputs: of its head.
inline std::vector<std::string> class_names(const Metadata& metadata, i64 outputs, const std::string& where) {
  std::vector<std::string> names;
  const auto text = metadata.find("dino.classes");
  if (text == metadata.end()) return names;
  require(valid_utf8(text->second), ErrorKind::weights, "{}: dino.classes is not UTF-8", where);
  JsonCursor json(text->second, where + ": dino.classes");
  json.array("a list", [&] { names.push_back(json.string("the name of a class")); });
  json.expect_end();
  require(names.empty() || static_cast<i64>(names.size()) == outputs, ErrorKind::weights,
          "{}: {} names of classes for a head of {} outputs", where, names.size(), outputs);
  return names;
}

/// One block with pooling is stored in the order of the released weights: [c0, p0, c1, p1, ...].
inline bool is_stored_interleaved(const ProbeInput& input) { return input == ProbeInput{1, true}; }

inline TensorData interleaved(const TensorData& weight, bool back) {
  return tensor_data(weight.shape, interleave_columns(weight.to<float>(), weight.shape[1] / 2, back));
}

/// What a file says its head sees: dino.blocks, dino.pooling and dino.layout. Nothing without dino.blocks.
inline std::optional<ProbeInput> stored_probe_input(const Metadata& metadata, const std::string& where) {
  const auto text = [&](const char* key) {
    const auto at = metadata.find(key);
    return at == metadata.end() ? std::string() : at->second;
  };
  const auto blocks = text("dino.blocks"), pooling = text("dino.pooling"), layout = text("dino.layout");
  if (!metadata.contains("dino.blocks")) return std::nullopt;
  ProbeInput input{0, pooling == "cls+mean"};
  const auto [end, error] = std::from_chars(blocks.data(), blocks.data() + blocks.size(), input.blocks);
  const bool number = error == std::errc() && end == blocks.data() + blocks.size();
  require(number && input.blocks >= 1 && input.blocks <= 1024 && pooling == input.pooling() &&
              layout == (is_stored_interleaved(input) ? "interleaved" : "concatenated"),
          ErrorKind::weights, "{}: it does not say what its head sees: blocks {}, pooling {}, layout {}", where,
          json_quote(blocks), json_quote(pooling), json_quote(layout));
  return input;
}

/// The tensors of a head as a file has them, under `front`, and what it says about them.
inline StateDict stored_head(const LinearHead& head, const std::string& front) {
  StateDict out;
  const auto& weight = head.tensors.at("weight");
  const bool interleave = is_stored_interleaved(head.input);
  out.add(front + "weight", interleave ? interleaved(weight, false) : weight);
  out.add(front + "bias", head.tensors.at("bias"));
  out.metadata = {{"dino.blocks", std::to_string(head.input.blocks)},
                  {"dino.pooling", head.input.pooling()},
                  {"dino.layout", interleave ? "interleaved" : "concatenated"}};
  return out;
}

}  // namespace detail

/// The linear classifier of a file: linear.weight and linear.bias, whatever stands before these names
/// (state_dict.module. in files of eval_linear.py). What it sees is said by the file, or inferred for this backbone.
/// Throws Error{weights} when there is none, or it does not fit.
inline LinearHead linear_head(const StateDict& file, const VitConfig& vit, const ProbeHint& hint,
                              const std::string& where) {
  std::vector<std::string> fronts;
  for (const auto& [name, tensor] : file.tensors) {
    if (name == "linear.weight" || name.ends_with(".linear.weight")) fronts.push_back(name.substr(0, name.size() - 6));
  }
  require(fronts.size() == 1, ErrorKind::weights,
          "{}: {} of its {} tensors are called linear.weight, expected 1. Give a file of eval_linear.py of DINO, or "
          "export/linear.safetensors of a run",
          where, fronts.size(), file.tensors.size());
  const auto &weight = file.at(fronts[0] + "weight"), *bias = file.find(fronts[0] + "bias");
  require(weight.shape.rank() == 2 && bias && bias->shape == Shape{weight.shape[0]} && detail::is_real(weight.dtype) &&
              detail::is_real(bias->dtype),
          ErrorKind::weights, "{}: linear.weight is {} {}, linear.bias {}; expected (classes,values) and (classes)",
          where, weight.shape, weight.dtype, bias ? str("{} {}", bias->shape, bias->dtype) : "missing");
  LinearHead head;
  const auto stored = detail::stored_probe_input(file.metadata, where);
  const ProbeHint known = stored ? ProbeHint{stored->blocks, stored->pooled} : hint;
  head.input = infer_probe_input(weight.shape[1], vit, known, where);
  const bool agrees = hint.blocks.value_or(head.input.blocks) == head.input.blocks &&
                      hint.pooled.value_or(head.input.pooled) == head.input.pooled;
  require(agrees, ErrorKind::weights,
          "{}: its head sees {}, as the file says. Leave --n-last-blocks and --avgpool-patchtokens out", where,
          head.input.text());
  head.tensors.add("weight", detail::is_stored_interleaved(head.input) ? detail::interleaved(weight, true) : weight);
  head.tensors.add("bias", *bias);
  head.classes = detail::class_names(file.metadata, head.outputs(), where);
  return head;
}

/// The same, of any file that read_weights reads.
inline LinearHead read_linear_head(const std::filesystem::path& path, const VitConfig& vit, const ProbeHint& hint) {
  return linear_head(read_weights(path), vit, hint, path.string());
}

/// Writes the head alone: linear.weight and linear.bias. info: of the backbone that it was trained on.
inline void write_linear_head(const std::filesystem::path& path, const LinearHead& head, const BackboneInfo& info) {
  auto stored = detail::stored_head(head, "linear.");
  stored.metadata["dino.kind"] = "linear";
  stored.metadata["dino.model"] = model_text(info);
  stored.metadata["dino.classes"] = detail::class_names_text(head.classes);
  write_safetensors(path, stored.views(), stored.metadata);
}

}  // namespace dino::inline DINO_ABI
