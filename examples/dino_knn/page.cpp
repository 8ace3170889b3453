#include "page.hpp"

#include <dino/data/imagenet_classes.hpp>
#include <dino/eval/knn_examples.hpp>
#include <dino/io/image_jpeg_write.hpp>
#include <dino/io/image_write.hpp>
#include <dino/io/neighbours_page.hpp>
#include <dino/io/progress.hpp>

#include <filesystem>
#include <iostream>

namespace programs {

namespace {

using dino::i64;
using dino::str;

constexpr i64 shown_neighbours = 10, thumbnail_side = 64;

std::string percent(double x) { return dino::number_text(std::round(x * 100) / 100); }

/// What was compared with what, and how much of it the page shows.
std::vector<std::string> facts(const dino::KnnConfig& c, const BankAndQueries& sets, const Features& bank,
                               const Features& queries, const dino::KnnScore& score, i64 shown) {
  const i64 all = queries.rows.size(), nearest = std::min(shown_neighbours, bank.rows.size() - c.leave_one_out);
  return {str("Bank: {}, {} images{}. Queries: {}.", sets.bank.title(), dino::format_count(bank.rows.size()),
              c.shots > 0 ? str(", {} of each class", c.shots) : "",
              c.leave_one_out ? std::string("the bank, each without itself")
                              : str("{}, {} images", sets.queries.title(), dino::format_count(all))),
          str("k-NN({}), {} votes: top-1 {} %. Shown: {} of the queries{}, and the {} nearest images of each.", score.k,
              c.votes, percent(score.top1), shown < all ? dino::format_count(shown) : "all",
              shown < all ? ", drawn by the seed" : "", nearest)};
}

/// A thumbnail to make: the picture of a row, and where it belongs.
struct Wanted {
  const dino::AnyDataset* set;
  i64 position;
  dino::ShownImage* to;
};

/// What the network sees of the picture, smaller; nothing when it cannot be read.
std::vector<dino::u8> thumbnail(const Wanted& wanted, i64 image_size) {
  const dino::EvalTransform transform{.size = std::min(thumbnail_side, image_size)};
  try {
    const auto picture = transform.crop_image(wanted.set->get(wanted.position).image);
#if DINO_HAS_TURBOJPEG
    if (picture.width > 40) return dino::encode_jpeg(picture, 85);  // a fifth of the bytes
#endif
    return dino::encode_png(picture);
  } catch (const dino::Error& error) {
    if (error.kind() != dino::ErrorKind::data) throw;
    return {};
  }
}

/// From rows to names, classes and pictures, which are read with all threads.
std::vector<dino::ShownQuery> shown_queries(dino::HostContext& ctx, const BankAndQueries& sets, const Features& bank,
                                            const Features& queries, const std::vector<dino::KnnExample>& examples,
                                            i64 image_size) {
  std::vector<dino::ShownQuery> shown(examples.size());
  std::vector<Wanted> wanted;
  const auto place = [&](const dino::AnyDataset& set, const Features& of, i64 row, dino::ShownImage& to) {
    const i64 position = of.index[static_cast<size_t>(row)];
    to.name = set.name(position);
    to.label = of.rows.labels[static_cast<size_t>(row)];
    wanted.push_back({&set, position, &to});
  };
  for (size_t q = 0; q < shown.size(); ++q) {
    const auto& example = examples[q];
    shown[q].predicted = example.predicted;
    shown[q].confidence = example.confidence;
    place(sets.queries, queries, example.query, shown[q].image);
    shown[q].nearest.resize(example.rows.size());
    for (size_t i = 0; i < example.rows.size(); ++i) {
      shown[q].nearest[i].similarity = static_cast<double>(example.similarity[i]);
      place(sets.bank, bank, example.rows[i], shown[q].nearest[i].image);
    }
  }
  ctx.threads().run(static_cast<i64>(wanted.size()), [&](i64 i) {
    const auto& one = wanted[static_cast<size_t>(i)];
    one.to->file = thumbnail(one, image_size);
  });
  return shown;
}

}  // namespace

void check_page_place(const dino::KnnConfig& c) {
  const std::filesystem::path path(c.show_html), folder = path.has_parent_path() ? path.parent_path() : ".";
  std::error_code error;
  dino::require(std::filesystem::is_directory(folder, error), dino::ErrorKind::resources, "{}: there is no folder {}",
                c.show_html, folder.string());
  dino::require(!std::filesystem::is_directory(path, error), dino::ErrorKind::usage,
                "show_html = {} is a folder, expected the name of a page, such as neighbours.html", c.show_html);
}

void write_page(dino::HostContext& ctx, const dino::KnnConfig& c, const FeatureSource& source,
                const BankAndQueries& sets, const Features& bank, const Features& queries,
                const std::vector<dino::KnnScore>& scores) {
  const auto best =
      std::max_element(scores.begin(), scores.end(), [](const auto& a, const auto& b) { return a.top1 < b.top1; });
  const auto rows = dino::draw_examples(queries.rows.size(), c.show_queries, static_cast<dino::u64>(c.common.seed));
  const auto examples = dino::knn_examples(ctx, queries.rows, bank.rows, rows, shown_neighbours,
                                           {.k = {best->k},
                                            .temperature = c.temperature,
                                            .votes = dino::knn_votes_of(c.votes),
                                            .leave_one_out = c.leave_one_out,
                                            .classes = static_cast<i64>(sets.bank.classes().size())});
  const dino::NeighboursPage page{
      .title = "Nearest images by " + source.name,
      .facts = facts(c, sets, bank, queries, *best, static_cast<i64>(rows.size())),
      .classes = dino::class_titles(sets.bank.classes()),
      .queries = shown_queries(ctx, sets, bank, queries, examples, source.key.transform.size)};
  dino::write_file_atomic(c.show_html, dino::neighbours_page(page));
  if (!c.common.quiet) std::cerr << "wrote   " << c.show_html << '\n';
}

}  // namespace programs
