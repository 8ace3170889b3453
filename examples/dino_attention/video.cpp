#include "video.hpp"

#include "ffmpeg.hpp"

#include <dino/io/contact_sheet.hpp>
#include <dino/io/image.hpp>

namespace programs {

using dino::ErrorKind;
using dino::i64;
using dino::Image;
using dino::require;
using dino::str;
namespace fs = std::filesystem;

namespace {

/// Both ends of the scale leave this part of all values of all frames out, so that one bright patch in one frame does
/// not darken the film.
constexpr double tail = 0.005;

/// A folder that goes with its owner.
struct Scratch {
  fs::path path;
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

class Film {
 public:
  Film(const Session& session, const Item& item, const std::function<void(i64, i64)>& show)
      : s_(session), item_(item), show_(show), folder_(session.folder / item.name), ffmpeg_(find_ffmpeg()) {}

  VideoResult make() {
    fs::create_directories(folder_);
    const Scratch scratch{folder_ / ".frames"};
    auto frames = item_.frames;
    if (item_.kind == Item::Kind::video) {
      require(
          ffmpeg_.has_value(), ErrorKind::data,
          "{}: a video needs ffmpeg, which is not on PATH. Install it (apt-get install ffmpeg), or give a folder of "
          "frames and --video",
          item_.path);
      frames = extract_frames(*ffmpeg_, item_.path, s_.config.fps, scratch.path);
    }
    look_at(frames);
    require(!used_.empty(), ErrorKind::data, "{}: none of {} frames could be used", item_.path, frames.size());
    std::vector<float> all;
    for (const auto& map : maps_) all.insert(all.end(), map.begin(), map.end());
    range_ = dino::quantile_range(std::move(all), tail);
    for (size_t i = 0; i < used_.size(); ++i) draw(i);
    films();
    result_.frames = static_cast<i64>(used_.size());
    return std::move(result_);
  }

 private:
  void look_at(const std::vector<std::string>& frames) {
    const i64 count = static_cast<i64>(frames.size());
    for (i64 i = 0; i < count; ++i) {
      const auto& path = frames[static_cast<size_t>(i)];
      try {
        const auto seen = s_.look(dino::load_image(path), path);
        if (used_.empty()) at_ = seen.at;
        require(seen.at.height == at_.height && seen.at.width == at_.width, ErrorKind::data,
                "{}: {} x {} pixels, the first frame has {} x {}. Frames must be of one size", path, seen.image.width,
                seen.image.height, at_.width * at_.patch, at_.height * at_.patch);
        const auto& a = seen.attention;
        maps_.push_back(s_.config.rollout ? a.rollout_map().values : dino::mean_map(s_.maps(a, a.size() - 1)));
        used_.push_back(path);
      } catch (const dino::Error& error) {
        if (error.kind() != ErrorKind::data && error.kind() != ErrorKind::numerical) throw;
        result_.problems.push_back(error.what());
      }
      show_(i + 1, count);
    }
  }

  fs::path frame(const std::string& prefix, size_t i) const {
    const auto digits = std::to_string(i + 1);
    return folder_ / (prefix + std::string(6 - std::min<size_t>(6, digits.size()), '0') + digits + ".png");
  }

  void draw(size_t i) {
    const auto photo = s_.cut(dino::load_image(used_[i]), used_[i]);
    const auto map = dino::map_image(maps_[i], at_, *s_.plan.colors, range_);
    write_picture(frame("attn-", i), map);
    if (!s_.config.overlay && !s_.config.grid) return;
    const auto overlay = dino::overlay_image(photo, maps_[i], at_, *s_.plan.colors, range_);
    if (s_.config.overlay) write_picture(frame("overlay-", i), overlay);
    if (s_.config.grid) write_picture(frame("sheet-", i), dino::contact_sheet({photo, map, overlay}, 3, i64{8}));
  }

  void films() {
    if (!ffmpeg_) {
      result_.notes.push_back(
          str("{}: frames only, no video: ffmpeg is not on PATH (apt-get install ffmpeg)", item_.path));
      return;
    }
    write_video(*ffmpeg_, folder_, "attn-", s_.config.fps, folder_ / "attention.mp4");
    if (s_.config.overlay) write_video(*ffmpeg_, folder_, "overlay-", s_.config.fps, folder_ / "overlay.mp4");
    if (s_.config.grid) write_video(*ffmpeg_, folder_, "sheet-", s_.config.fps, folder_ / "sheet.mp4");
  }

  const Session& s_;
  const Item& item_;
  const std::function<void(i64, i64)>& show_;
  fs::path folder_;
  std::optional<std::string> ffmpeg_;
  std::vector<std::string> used_;
  std::vector<std::vector<float>> maps_;
  dino::PatchLayout at_;
  dino::ValueRange range_;
  VideoResult result_;
};

}  // namespace

VideoResult draw_video(const Session& session, const Item& item, const std::function<void(i64, i64)>& show) {
  return Film(session, item, show).make();
}

}  // namespace programs
