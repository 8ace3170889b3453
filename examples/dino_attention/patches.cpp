#include "patches.hpp"

#include "sheet.hpp"

#include <dino/io/contact_sheet.hpp>
#include <dino/io/file.hpp>
#include <dino/io/npy.hpp>
#include <dino/io/record.hpp>
#include <dino/ssl/micro_batch.hpp>

namespace programs {

using dino::ErrorKind;
using dino::i64;
using dino::Image;
using dino::require;
using dino::str;

namespace {

constexpr i64 cell = 220, columns = 8, most_on_sheet = 64, lines = 40;

}  // namespace

void PatchPictures::add(const Seen& seen, const std::string& name) {
  bytes_ += 4 * static_cast<double>(seen.attention.patches.size());
  // All tokens stand in memory twice more while components are computed, once in double.
  require(4 * bytes_ < dino::available_memory() || list_.empty(), ErrorKind::usage,
          "the patches of {} pictures do not fit in memory together. Give fewer pictures, or a smaller --size",
          list_.size() + 1);
  const auto& a = seen.attention;
  Kept kept{name, s_.config.match ? seen.image : fitted_picture(seen.image, cell), seen.at, a.patches, {}};
  if (s_.config.match && s_.config.threshold > 0)
    kept.mask = dino::mask_by_mass(dino::mean_map(s_.maps(a, a.size() - 1)), s_.config.threshold);
  list_.push_back(std::move(kept));
}

void PatchPictures::draw_colors(dino::HostContext& ctx) const {
  std::vector<dino::PatchGrid> grids;
  for (const auto& p : list_) grids.push_back({p.at.height, p.at.width, p.tokens});
  const auto colors = dino::patch_colors(ctx, grids, s_.network.vit.dim);
  const i64 shown = std::min(static_cast<i64>(list_.size()), most_on_sheet);
  std::vector<Image> sheet;
  for (i64 first = 0; first < shown; first += columns) {
    const i64 end = std::min(shown, first + columns);
    for (i64 i = first; i < end; ++i) sheet.push_back(fitted_picture(list_[static_cast<size_t>(i)].image, cell));
    if (shown > columns) sheet.resize(static_cast<size_t>(2 * first + columns));
    for (i64 i = first; i < end; ++i) {
      const auto image =
          dino::patch_color_image(colors[static_cast<size_t>(i)], list_[static_cast<size_t>(i)].at.patch);
      sheet.push_back(fitted_picture(image, cell));
    }
    if (shown > columns) sheet.resize(static_cast<size_t>(2 * (first + columns)));
  }
  for (size_t i = 0; i < list_.size(); ++i) {
    const auto folder = s_.folder / list_[i].name;
    write_picture(folder / "pca.png", dino::patch_color_image(colors[i], list_[i].at.patch));
    if (s_.config.raw) dino::write_npy(folder / "pca.npy", {list_[i].at.height, list_[i].at.width, 3}, colors[i].rgb);
  }
  if (s_.config.grid)
    write_picture(s_.folder / "pca.png", dino::contact_sheet(sheet, std::min(shown, columns), dino::SheetText{}, 8));
}

void PatchPictures::draw_matches(dino::HostContext& ctx) const {
  require(list_.size() == 2, ErrorKind::data, "--match needs two pictures, {} could be used", list_.size());
  const auto &a = list_[0], &b = list_[1];
  const auto matches = dino::best_buddies(ctx, a.tokens, b.tokens, s_.network.vit.dim, a.mask, b.mask);
  const i64 longest = std::max({a.at.height, a.at.width, b.at.height, b.at.width});
  const double distance = std::max(1.5, static_cast<double>(longest) / 16);
  const auto drawn = dino::spread_matches(matches, a.at.width, b.at.width, lines, distance);
  write_picture(s_.folder / "match.png", dino::match_image(a.image, a.at, b.image, b.at, drawn));
  std::string csv = "x_a,y_a,x_b,y_b,similarity\n";  // middles of the patches, pixels
  const auto middle = [](i64 patch, const dino::PatchLayout& at) {
    const double half = static_cast<double>(at.patch) / 2;
    return str("{},{}", static_cast<double>(patch % at.width * at.patch) + half,
               static_cast<double>(patch / at.width * at.patch) + half);
  };
  for (const auto& m : matches)
    csv +=
        str("{},{},{}\n", middle(m.a, a.at), middle(m.b, b.at), dino::number_text(dino::shortest_double(m.similarity)));
  dino::write_file_atomic(s_.folder / "matches.csv", csv);
}

}  // namespace programs
