#include "picture.hpp"

#include "sheet.hpp"

#include <dino/io/npy.hpp>
#include <dino/io/palette.hpp>
#include <dino/io/record.hpp>

#include <numeric>

namespace programs {

using dino::i64;
using dino::Image;
using dino::str;

namespace {

/// A range that one bright patch leaves alone. Maps of heads have their own least and greatest value, as in the
/// reference.
dino::ValueRange steady_range(std::span<const float> map) {
  return dino::quantile_range({map.begin(), map.end()}, 0.005);
}

/// The files of one picture, and its sheet.
class Painter {
 public:
  Painter(const Session& session, const Seen& seen, const std::string& name)
      : s_(session), seen_(seen), folder_(session.folder / name), sheet_(titles()) {
    const auto colors = dino::class_colors(static_cast<i64>(s_.plan.heads.size()) + 2);
    colors_.assign(colors.begin(), colors.end());
  }

  void draw() {
    std::filesystem::create_directories(folder_);
    write_picture(folder_ / "img.png", seen_.image);
    for (i64 i = 0; i < seen_.attention.size(); ++i) layer(i);
    if (s_.config.raw) raw();
    if (s_.config.grid) write_picture(folder_ / "sheet.png", sheet_.draw());
  }

 private:
  using Map = std::span<const float>;

  /// A map that is drawn, and what its files are called.
  struct Drawn {
    std::string name;  // head0, mean, rollout
    Map map;
    dino::Colour color;  // of its mask
  };

  std::vector<std::string> titles() const {
    std::vector<std::string> out;
    if (s_.plan.each_head)
      for (const i64 h : s_.plan.heads) out.push_back(str("head {}", h));
    out.push_back("mean");
    if (s_.config.rollout) out.push_back("rollout");
    return out;
  }

  bool one_layer() const { return seen_.attention.size() == 1; }

  void layer(i64 i) {
    const auto maps = s_.maps(seen_.attention, i);
    const auto mean = dino::mean_map(maps);
    const auto rollout = s_.config.rollout ? seen_.attention.rollout_map() : dino::AttentionMaps{};
    std::vector<Drawn> drawn;
    for (i64 k = 0; s_.plan.each_head && k < maps.heads; ++k)
      drawn.push_back(
          {str("head{}", s_.plan.heads[static_cast<size_t>(k)]), maps.map(k), colors_[static_cast<size_t>(k)]});
    drawn.push_back({"mean", mean, colors_[colors_.size() - 2]});
    if (s_.config.rollout && i + 1 == seen_.attention.size())
      drawn.push_back({"rollout", rollout.map(0), colors_.back()});

    const i64 block = seen_.attention.layers[static_cast<size_t>(i)];
    const std::string prefix = one_layer() ? "" : str("block{}-", block);
    maps_row(drawn, prefix, one_layer() ? std::string("maps") : str("block {}", block), i == 0);
    if (s_.config.overlay) overlay_row(drawn, prefix);
    if (s_.config.threshold > 0) mask_row(drawn, prefix);
  }

  /// Of a rollout there is one for all blocks: its files have no number.
  std::filesystem::path file(const std::string& prefix, const std::string& kind, const std::string& name) const {
    return folder_ / str("{}{}{}.png", name == "rollout" ? std::string{} : prefix, kind, name);
  }

  void maps_row(const std::vector<Drawn>& drawn, const std::string& prefix, const std::string& title, bool first) {
    std::vector<Image> row;
    for (const auto& d : drawn) {
      const auto range = d.name == "rollout" ? steady_range(d.map) : dino::value_range(d.map);
      const auto image = dino::map_image(d.map, seen_.at, *s_.plan.colors, range);
      write_picture(file(prefix, "attn-", d.name), image);
      row.push_back(fitted_picture(image, sheet_.cell(), false));
    }
    sheet_.add_row(title, first ? fitted_picture(seen_.image, sheet_.cell()) : Image{}, row);
  }

  void overlay_row(const std::vector<Drawn>& drawn, const std::string& prefix) {
    std::vector<Image> row;
    for (const auto& d : drawn) {
      const auto image = dino::overlay_image(seen_.image, d.map, seen_.at, *s_.plan.colors, steady_range(d.map));
      write_picture(file(prefix, "overlay-", d.name), image);
      row.push_back(fitted_picture(image, sheet_.cell()));
    }
    if (one_layer())
      sheet_.add_row("overlay", color_legend(*s_.plan.colors, fitted_picture(seen_.image, sheet_.cell()).width), row);
  }

  void mask_row(const std::vector<Drawn>& drawn, const std::string& prefix) {
    const auto part = dino::number_text(s_.config.threshold);
    Image first;
    std::vector<Image> row;
    std::vector<dino::ColoredMask> heads;
    for (const auto& d : drawn) {
      const dino::ColoredMask mask{dino::mask_by_mass(d.map, s_.config.threshold), d.color};
      const auto image = dino::mask_image(seen_.image, std::span(&mask, 1), seen_.at);
      write_picture(file(prefix, str("mask_th{}_", part), d.name), image);
      row.push_back(fitted_picture(image, sheet_.cell()));
      if (d.name.starts_with("head")) heads.push_back(mask);
    }
    if (!heads.empty()) {
      keep_strongest(drawn, heads);
      const auto image = dino::mask_image(seen_.image, heads, seen_.at);
      write_picture(file(prefix, str("mask_th{}_", part), "heads"), image);
      first = fitted_picture(image, sheet_.cell());
    }
    const auto percent = dino::number_text(std::round(1000 * s_.config.threshold) / 10);
    sheet_.add_row(str("{} %", percent), std::move(first), row);
  }

  /// Leaves each patch to the head that gives it the largest part of what it gives to all patches.
  static void keep_strongest(const std::vector<Drawn>& drawn, std::vector<dino::ColoredMask>& heads) {
    std::vector<double> totals;
    for (const auto& d : drawn) totals.push_back(std::accumulate(d.map.begin(), d.map.end(), 0.0));
    const auto part = [&](size_t h, size_t p) { return static_cast<double>(drawn[h].map[p]) / totals[h]; };
    for (size_t p = 0; p < drawn[0].map.size(); ++p) {
      size_t best = 0;
      for (size_t h = 1; h < heads.size(); ++h)
        if (heads[h].mask[p] && (!heads[best].mask[p] || part(h, p) > part(best, p))) best = h;
      for (size_t h = 0; h < heads.size(); ++h)
        if (h != best) heads[h].mask[p] = 0;
    }
  }

  void raw() const {
    const auto& a = seen_.attention;
    std::vector<float> values;
    std::vector<dino::u8> masks;
    for (i64 i = 0; i < a.size(); ++i) {
      const auto maps = s_.maps(a, i);
      values.insert(values.end(), maps.values.begin(), maps.values.end());
      for (i64 k = 0; s_.config.threshold > 0 && k < maps.heads; ++k) {
        const auto mask = dino::mask_by_mass(maps.map(k), s_.config.threshold);
        masks.insert(masks.end(), mask.begin(), mask.end());
      }
    }
    const dino::Shape shape{a.size(), static_cast<i64>(s_.plan.heads.size()), a.height, a.width};
    dino::write_npy(folder_ / "attention.npy", shape, values);
    if (!masks.empty()) dino::write_npy(folder_ / "masks.npy", shape, masks);
    if (s_.config.rollout) dino::write_npy(folder_ / "rollout.npy", {a.height, a.width}, a.rollout_map().values);
  }

  const Session& s_;
  const Seen& seen_;
  std::filesystem::path folder_;
  Sheet sheet_;
  std::vector<dino::Colour> colors_;
};

}  // namespace

void draw_picture(const Session& session, const Seen& seen, const std::string& name) {
  Painter(session, seen, name).draw();
}

}  // namespace programs
