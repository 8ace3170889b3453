// Tokens of the last blocks as features, of pictures of any size.
#pragma once

#include <dino/data/dataset.hpp>
#include <dino/data/whole_transform.hpp>
#include <dino/eval/bad_images.hpp>
#include <dino/nn/vit.hpp>
#include <dino/tensor/create.hpp>

#include <functional>
#include <map>

namespace dino::inline DINO_ABI {

enum class TokenChoice { cls, patch, mean, all };  // mean: of the patch tokens

/// The choice of a word: cls, patch, mean, all. Throws Error{usage} for any other.
inline TokenChoice token_choice(std::string_view word) {
  constexpr std::array<std::string_view, 4> words{"cls", "patch", "mean", "all"};
  const auto at = std::find(words.begin(), words.end(), word);
  require(at != words.end(), ErrorKind::usage, "tokens = {} must be one of cls, patch, mean, all", word);
  return static_cast<TokenChoice>(at - words.begin());
}

struct TokenRequest {
  TokenChoice tokens = TokenChoice::cls;
  i64 layers = 1;  // the last blocks
  bool attention = false;

  bool one_row() const { return tokens == TokenChoice::cls || tokens == TokenChoice::mean; }
};

/// The shape of the features of a picture: (layers C) for cls and mean, (layers,P,C) for
/// patch, (layers,special + P,C) for all; P patches, `special` tokens before them. Throws Error{usage} when there are
/// fewer blocks than layers.
inline Shape token_shape(const VitConfig& vit, const TokenRequest& request, i64 special, i64 patches) {
  require(request.layers >= 1 && request.layers <= vit.depth, ErrorKind::usage,
          "layers = {} must be in 1..{}: the backbone has {} blocks", request.layers, vit.depth, vit.depth);
  if (request.one_row()) return {request.layers * vit.dim};
  return {request.layers, patches + (request.tokens == TokenChoice::all ? special : 0), vit.dim};
}

/// What a network makes of pictures of one size, on the host, picture after picture.
struct TokenFeatures {
  Shape shape;                   // of one picture, token_shape
  std::vector<float> values;     // class token, registers, patches row by row
  Shape attention_shape;         // of one picture: (H,T)
  std::vector<float> attention;  // empty unless asked for
};

namespace detail {

/// The rows of one layer to their places: picture b begins at out + b * stride.
inline void place_tokens(const std::vector<float>& rows, const Segment& s, TokenChoice tokens, i64 dim, float* out,
                         i64 stride) {
  const bool class_only = tokens == TokenChoice::cls;  // then there is no other row
  const i64 skip = class_only || tokens == TokenChoice::all ? 0 : s.special(), count = class_only ? 1 : s.tokens;
  for (i64 b = 0; b < s.images; ++b, out += stride) {
    const float* const first = rows.data() + (b * count + skip) * dim;
    if (tokens != TokenChoice::mean) {
      std::copy_n(first, (count - skip) * dim, out);
      continue;
    }
    for (i64 c = 0; c < dim; ++c) {
      double total = 0;
      for (i64 p = 0; p < count - skip; ++p) total += static_cast<double>(first[p * dim + c]);
      out[c] = static_cast<float>(total / static_cast<double>(count - skip));
    }
  }
}

template <class T, class D> std::vector<float> to_floats(const Tensor<T, D>& x) {
  std::vector<float> out;
  out.reserve(static_cast<size_t>(x.numel()));
  for (const T v : to_vector(x)) out.push_back(static_cast<float>(to_acc(v)));
  return out;
}

}  // namespace detail

/// The tokens of the last blocks, each after the final norm, in the order of the blocks; and with request.attention
/// what the class token looks at in the last block, a distribution over all T tokens of the picture. images: (B,3,H,W),
/// prepared; H and W are multiples of the patch. One pass. Throws as token_shape. Source: vision_transformer.py,
/// get_intermediate_layers and get_last_selfattention.
template <class T, class D> TokenFeatures token_features(const nn::VisionTransformer<T, D>& vit,
                                                         const Tensor<T, D>& images, const TokenRequest& request) {
  const i64 depth = vit.config.depth, dim = vit.dim(), layers = request.layers;
  const std::vector groups{images};
  const auto segments = vit.layout(groups);
  const auto& s = segments[0];
  TokenFeatures out;
  out.shape = token_shape(vit.config, request, s.special(), s.grid_h * s.grid_w);
  out.values.resize(static_cast<size_t>(s.images * out.shape.numel()));
  const i64 width = out.shape.numel() / layers;
  vit.walk(groups, segments, [&](i64 block, const Tensor<T, D>& x) {  // x has passed `block` blocks
    if (request.attention && block == depth - 1) {
      const auto map = vit.last_attention(x, segments);  // (B,H,T)
      out.attention_shape = {map.shape()[1], map.shape()[2]};
      out.attention = detail::to_floats(map);
    }
    const i64 layer = block - 1 - (depth - layers);
    if (layer < 0) return;
    const auto tokens = vit.norm(request.tokens == TokenChoice::cls ? class_rows(x, segments) : x);
    detail::place_tokens(detail::to_floats(tokens), s, request.tokens, dim, out.values.data() + layer * width,
                         out.shape.numel());
  });
  return out;
}

/// Features of the readable pictures of a data set, in its order.
struct PictureFeatures {
  TokenRequest request;
  std::vector<std::string> names, classes;  // classes by label; empty: unlabelled
  std::vector<i64> labels;                  // (n)
  std::vector<Shape> shapes, attention_shapes;
  std::vector<i64> grids;                // (n,2): patches down, patches across
  std::vector<float> values, attention;  // of all pictures, one after the other
  std::vector<std::string> skipped;      // pictures that could not be used: name and reason

  i64 size() const { return static_cast<i64>(names.size()); }
};

struct ExtractOptions {
  i64 batch = 64;                       // pictures that pass the network together
  i64 batch_pixels = 64 * 50176;        // and their pixels; a picture with more passes alone
  double max_bad_fraction = 0.001;      // of the data set; 10 pictures are always allowed
  i64 max_shapes = 50000;               // pictures of the set where their features may differ in shape
  std::function<void(i64)> on_batch{};  // gets the number of pictures done
};

/// Makes pixels of a picture; throws Error{data} that begins with the name when it cannot.
using PreparePicture = std::function<PreparedPicture(const Image&, const std::string& name)>;

namespace detail {

/// Goes through a data set in passes: decodes, groups by size, and appends in the order of the data set.
template <class T, class D> class TokenExtraction {
 public:
  TokenExtraction(Context<D>& ctx, HostContext& host, const nn::VisionTransformer<T, D>& vit, const AnyDataset& set,
                  const PreparePicture& prepare, const TokenRequest& request, const ExtractOptions& options)
      : ctx_(ctx),
        host_(host),
        vit_(vit),
        set_(set),
        prepare_(prepare),
        options_(options),
        bad_(set.size(), options.max_bad_fraction) {
    out_.request = request;
    out_.classes = set.classes();
  }

  /// What passes together grows from one picture, as the sizes allow that have been seen.
  PictureFeatures run() {
    i64 count = 1;
    for (i64 first = 0; first < set_.size(); first += count, count = next_count(count)) {
      count = std::min(count, set_.size() - first);
      load(first, count);
      pass();
      append(first);
      if (options_.on_batch) options_.on_batch(first + count);
    }
    return std::move(out_);
  }

 private:
  struct Picture {
    PreparedPicture pixels;
    std::string error;
    const TokenFeatures* features = nullptr;
    i64 place = 0;  // among the pictures of its size
  };

  i64 next_count(i64 count) const {
    i64 largest = 1;
    for (const auto& p : pictures_) largest = std::max(largest, p.pixels.height * p.pixels.width);
    return std::clamp<i64>(options_.batch_pixels / largest, 1, std::min(options_.batch, 2 * count));
  }

  void load(i64 first, i64 count) {
    pictures_.assign(static_cast<size_t>(count), {});
    host_.threads().run(count, [&](i64 i) {
      auto& picture = pictures_[static_cast<size_t>(i)];
      try {
        const auto sample = set_.get(first + i);
        picture.pixels = prepare_(sample.image, sample.name);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::data) throw;
        picture.error = error.what();
      }
    });
  }

  void pass() {
    std::map<std::pair<i64, i64>, std::vector<Picture*>> sizes;
    for (auto& p : pictures_)
      if (p.error.empty()) sizes[{p.pixels.height, p.pixels.width}].push_back(&p);
    results_.clear();
    results_.reserve(sizes.size());
    for (const auto& [size, group] : sizes) {
      std::vector<T> values;
      for (const auto* p : group)
        for (const float x : p->pixels.values) values.push_back(from_acc<T>(static_cast<acc_t<T>>(x)));
      const auto images = tensor(ctx_, {static_cast<i64>(group.size()), 3, size.first, size.second}, values);
      results_.push_back(token_features(vit_, images, out_.request));
      for (size_t i = 0; i < group.size(); ++i) {
        group[i]->features = &results_.back();
        group[i]->place = static_cast<i64>(i);
      }
    }
  }

  void append(i64 first) {
    const auto part = [](const std::vector<float>& from, const Shape& shape, i64 place, std::vector<float>& to) {
      const float* const begin = from.data() + place * shape.numel();
      to.insert(to.end(), begin, begin + shape.numel());
    };
    for (i64 i = 0; i < static_cast<i64>(pictures_.size()); ++i) {
      const auto& p = pictures_[static_cast<size_t>(i)];
      if (!p.error.empty()) {
        skip(p.error);
        continue;
      }
      const auto& f = *p.features;
      out_.names.push_back(set_.name(first + i));
      if (set_.labelled()) out_.labels.push_back(set_.label(first + i));
      out_.grids.insert(out_.grids.end(),
                        {p.pixels.height / vit_.config.patch_size, p.pixels.width / vit_.config.patch_size});
      out_.shapes.push_back(f.shape);
      if (out_.size() == 1 && out_.request.one_row())  // no more copies while it grows
        out_.values.reserve(static_cast<size_t>(set_.size() * f.shape.numel()));
      part(f.values, f.shape, p.place, out_.values);
      if (out_.request.attention) {
        out_.attention_shapes.push_back(f.attention_shape);
        part(f.attention, f.attention_shape, p.place, out_.attention);
      }
      check_shape(f);
    }
  }

  void check_shape(const TokenFeatures& f) const {
    const bool same = f.shape == out_.shapes.front() &&
                      (!out_.request.attention || f.attention_shape == out_.attention_shapes.front());
    require(same || set_.size() <= options_.max_shapes, ErrorKind::usage,
            "{} gives {} x {} patches, {} gave {} x {}: pictures of different sizes do not make one array{}",
            out_.names.back(), out_.grids.end()[-2], out_.grids.back(), out_.names.front(), out_.grids[0],
            out_.grids[1],
            options_.max_shapes > 1 ? str(", and {} arrays are at most {}", set_.size(), options_.max_shapes)
                                    : ". Take cls or mean, or a file of several arrays (.safetensors)");
  }

  void skip(const std::string& reason) {
    out_.skipped.push_back(reason);
    bad_.add(reason);
  }

  Context<D>& ctx_;
  HostContext& host_;
  const nn::VisionTransformer<T, D>& vit_;
  const AnyDataset& set_;
  const PreparePicture& prepare_;
  const ExtractOptions& options_;
  BadImages bad_;
  std::vector<Picture> pictures_;
  std::vector<TokenFeatures> results_;  // by size
  PictureFeatures out_;
};

}  // namespace detail

/// token_features of every picture of a data set. Pictures that cannot be read or prepared are left out and listed.
/// Throws Error{data} when there are more of them than options allow, Error{usage} when shapes differ and the set is
/// larger than max_shapes (1: never). Neither batch nor threads change a value.
template <class T, class D>
PictureFeatures extract_tokens(Context<D>& ctx, HostContext& host, const nn::VisionTransformer<T, D>& vit,
                               const AnyDataset& set, const PreparePicture& prepare, const TokenRequest& request,
                               const ExtractOptions& options = {}) {
  return detail::TokenExtraction<T, D>(ctx, host, vit, set, prepare, request, options).run();
}

}  // namespace dino::inline DINO_ABI
