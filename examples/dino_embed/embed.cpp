#include "embed.hpp"

#include "../common/dataset_options.hpp"
#include "../common/picture_folder.hpp"
#include "../common/program.hpp"
#include "pictures.hpp"
#include "source.hpp"

#include <dino/data/imagenet_classes.hpp>
#include <dino/eval/embedding_quality.hpp>
#include <dino/eval/tsne.hpp>
#include <dino/io/progress.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace programs {

using dino::ErrorKind;
using dino::i64;
using dino::require;
using dino::str;

namespace {

struct Images {
  dino::AnyDataset set;
  std::string kind;
  std::vector<std::string> notes;
};

Images open_images(const dino::EmbedConfig& c, i64 image_size) {
  const auto data = open_data(c.common.data, dataset_options(c.common, image_size));
  require(c.split != "test" || data.test, ErrorKind::data,
          "{}: there are no test images with labels. Take --split train, or leave it out", c.common.data);
  const auto& set = data.test && c.split != "train" ? *data.test : data.train;
  return {at_most(set, c.samples, c.common.seed), data.kind, data.notes};
}

/// Coordinates, and what the method says of itself.
struct Plane {
  std::vector<float> points;  // (n,2)
  std::string fact;
  double divergence = std::nan("");
};

/// With this many digits behind the point.
std::string digits(double x, int places) {
  char out[64];
  return {out, std::to_chars(out, out + sizeof out, std::clamp(x, -1e9, 1e9), std::chars_format::fixed, places).ptr};
}

Plane principal_plane(dino::HostContext& host, const dino::FeatureSet& features) {
  const auto pca = dino::principal_components(host, features.values, features.dim, 2);
  const double part = pca.total_variance > 0 ? (pca.variance[0] + pca.variance[1]) / pca.total_variance : 0;
  return {dino::project(host, pca, features.values),
          str("The first two principal components hold {} % of the variance.", digits(100 * part, 1))};
}

Plane tsne_plane(dino::HostContext& host, const dino::EmbedConfig& c, const dino::FeatureSet& features) {
  const bool terminal = dino::standard_error().terminal;
  const auto show = [&](const dino::TsneProgress& p) {
    if (c.common.quiet) return;
    std::cerr << (terminal ? "\r\x1b[K" : "") << "t-SNE   " << p.iteration << " of " << c.iterations << "  KL "
              << digits(p.divergence, 4) << (terminal && p.iteration < c.iterations ? "" : "\n") << std::flush;
  };
  const auto out = dino::tsne(host, features.values, features.dim,
                              {.perplexity = c.perplexity, .iterations = c.iterations, .theta = c.theta}, show);
  return {
      out.points,
      str("t-SNE, perplexity {}, {} iterations, {}: KL divergence {}.", dino::number_text(c.perplexity),
          dino::format_count(out.iterations),
          c.theta == 0 ? std::string("exact") : str("theta {}", dino::number_text(c.theta)), digits(out.divergence, 4)),
      out.divergence};
}

/// NaN where there are too few images, or no labels.
struct Quality {
  double trust = std::nan(""), knn = std::nan("");
};

constexpr i64 trust_neighbours = 5, vote_neighbours = 10;

Quality quality(dino::HostContext& host, const dino::FeatureSet& features, const Plane& plane, bool labelled) {
  Quality q;
  if (features.size() > 2 * trust_neighbours)
    q.trust = dino::trustworthiness(host, features.values, features.dim, plane.points, trust_neighbours);
  if (labelled && features.size() > 1)
    q.knn = dino::plane_knn_accuracy(host, plane.points, features.labels, vote_neighbours);
  return q;
}

std::string text(const Quality& q) {
  std::string out;
  if (std::isfinite(q.trust)) out += str("trustworthiness({}) {}", trust_neighbours, digits(q.trust, 4));
  if (std::isfinite(q.knn))
    out += str("{}k-NN({}) in the plane {} %", out.empty() ? "" : ", ", vote_neighbours, digits(q.knn, 2));
  return out;
}

void print_result(const dino::EmbedConfig& c, const std::filesystem::path& stem, const dino::FeatureSet& features,
                  const Plane& plane, const Quality& q) {
  if (c.common.json) {
    std::cout << dino::to_json(dino::Record("embed")
                                   .set("files", stem.string())
                                   .set("method", c.method)
                                   .set("images", features.size())
                                   .set("skipped", static_cast<i64>(features.skipped.size()))
                                   .set("divergence", plane.divergence)
                                   .set("trustworthiness", q.trust)
                                   .set("knn", q.knn))
              << '\n';
    return;
  }
  std::cout << plane.fact << '\n';
  if (const auto measured = text(q); !measured.empty()) std::cout << measured << '\n';
  std::cout << "wrote   " << stem.string() << ".{csv,png,svg,html}\n";
}

}  // namespace

int embed(const dino::EmbedConfig& c, const std::vector<std::string>& command, const std::string& options) {
  dino::HostContext host(c.common.threads);
  const auto device = dino::choose_device(c.common.device);
  const auto source = open_source(host, device, c);
  const auto images = open_images(c, source.key.transform.size);
  if (!c.common.quiet) {
    std::cerr << banner() << "\ndevice  " << device.why << "\nmodel   " << source.key.backbone << " of " << c.weights
              << '\n';
    if (!source.unused.empty()) std::cerr << "        not used: " << source.unused << '\n';
    std::cerr << "images  " << images.set.describe() << '\n';
    for (const auto& note : images.notes) std::cerr << "        " << note << '\n';
  }
  if (c.common.dry_run) return 0;

  dino::RunDir folder(picture_request("embed", source.key.backbone, c.common, c.folder));
  folder.write_command(command);
  folder.write_environment(dino::environment());
  folder.write_config(options);
  const auto features = unit_features(host, c, source, images.set);
  const auto plane = c.method == "pca" ? principal_plane(host, features) : tsne_plane(host, c, features);
  const bool labelled = images.set.labelled();
  const auto measured = quality(host, features, plane, labelled);
  const auto stem = folder.path() / (images.kind + "-embeddings");
  Embedded e{.title = str("{}: {} of {}", images.kind, c.method == "pca" ? "PCA" : "t-SNE", source.key.backbone),
             .facts = {str("{} images of {}, {} features each.", dino::format_count(features.size()),
                           images.set.title(), features.dim),
                       plane.fact},
             .images = images.set,
             .index = features.index,
             .labels = features.labels,
             .classes = labelled ? dino::class_titles(images.set.classes()) : std::vector<std::string>{},
             .points = plane.points,
             .image_size = source.key.transform.size};
  if (const auto line = text(measured); !line.empty()) e.facts.push_back(line);
  write_pictures(host, e, stem);
  print_result(c, stem, features, plane, measured);
  return 0;
}

}  // namespace programs
