#include "attention.hpp"

#include "../common/picture_folder.hpp"
#include "../common/program.hpp"
#include "patches.hpp"
#include "picture.hpp"
#include "video.hpp"

#include <dino/io/progress.hpp>

namespace programs {

using dino::ErrorKind;
using dino::i64;
using dino::require;
using dino::str;

namespace {

/// Draws one thing after the other; what cannot be drawn is named and left out.
class Exhibition {
 public:
  Exhibition(dino::HostContext& host, const Session& session)
      : host_(host), s_(session), patches_(session), terminal_(dino::standard_error().terminal) {}

  void draw(const std::vector<Item>& items) {
    for (size_t i = 0; i < items.size(); ++i) {
      show(str("{} of {}", i + 1, items.size()));
      guarded([&] { draw(items[i]); });
    }
    if (patches_.size() > 0 && s_.config.pca) guarded([&] { patches_.draw_colors(host_); });
    show("");
    if (s_.config.match) patches_.draw_matches(host_);  // asked for, and nothing else takes its place
  }

  void problem(const std::string& text) {
    show("");
    ++skipped_;
    std::cerr << "  ! " << text << "; skipped\n";
  }
  void note(const std::string& text) {
    show("");
    if (!s_.config.common.quiet) std::cerr << "  " << text << '\n';
  }

  i64 pictures() const { return pictures_; }
  i64 frames() const { return frames_; }
  i64 skipped() const { return skipped_; }

 private:
  template <class F> void guarded(F f) {
    try {
      f();
    } catch (const dino::Error& error) {
      if (error.kind() != ErrorKind::data && error.kind() != ErrorKind::numerical) throw;
      problem(error.what());
    }
  }

  void draw(const Item& item) {
    if (item.kind == Item::Kind::picture) {
      const auto seen = s_.look(item.load(), item.path);
      draw_picture(s_, seen, item.name);
      if (s_.plan.request.patches) patches_.add(seen, item.name);
      ++pictures_;
      return;
    }
    const auto result =
        draw_video(s_, item, [&](i64 done, i64 of) { show(str("{}: frame {} of {}", item.path, done, of)); });
    for (const auto& text : result.problems) problem(text);
    for (const auto& text : result.notes) note(text);
    frames_ += result.frames;
  }

  /// A line that the next one replaces.
  void show(const std::string& text) {
    if (!terminal_ || s_.config.common.quiet) return;
    std::cerr << "\r\x1b[K" << text << std::flush;
  }

  dino::HostContext& host_;
  const Session& s_;
  PatchPictures patches_;
  bool terminal_;
  i64 pictures_ = 0, frames_ = 0, skipped_ = 0;
};

void print_result(const dino::AttentionConfig& c, const std::filesystem::path& folder, const Exhibition& shown) {
  if (c.common.json) {
    std::cout << dino::to_json(dino::Record("attention")
                                   .set("folder", folder.string())
                                   .set("images", shown.pictures())
                                   .set("frames", shown.frames())
                                   .set("skipped", shown.skipped()))
              << '\n';
    return;
  }
  std::cout << "drew " << dino::format_count(shown.pictures()) << (shown.pictures() == 1 ? " image" : " images");
  if (shown.frames() > 0) std::cout << ", " << dino::format_count(shown.frames()) << " frames";
  std::cout << ", " << dino::format_count(shown.skipped()) << " skipped\nwrote   " << folder.string() << '\n';
}

void print_plan(const dino::AttentionConfig& c, const Network& network, const Plan& plan, const std::string& device,
                const Items& items) {
  const auto& vit = network.vit;
  std::cerr << banner() << "\ndevice  " << device << "\nmodel   " << network.name << " of " << c.weights << ", "
            << vit.depth << " blocks, " << vit.heads << " heads\n";
  if (!network.unused.empty()) std::cerr << "        not used: " << network.unused << '\n';
  std::cerr << "draws   " << dino::format_count(static_cast<i64>(items.list.size()))
            << (items.list.size() == 1 ? " thing, " : " things, ") << plan.request.layers.size() << " of " << vit.depth
            << " blocks, "
            << (plan.each_head ? str("{} heads and their mean", plan.heads.size()) : "the mean of the heads") << '\n';
}

[[noreturn]] void refuse(const dino::AttentionConfig& c, const Items& items) {
  std::string text;
  for (const auto& problem : items.problems) text += (text.empty() ? "" : "; ") + problem;
  dino::fail(ErrorKind::data, "{}", text.empty() ? c.common.data + ": no images" : text);
}

}  // namespace

int attention(const dino::AttentionConfig& c, const std::vector<std::string>& command, const std::string& options) {
  dino::HostContext host(c.common.threads);
  const auto device = dino::choose_device(c.common.device);
  const auto network = open_network(host, device, c);
  auto plan = make_plan(c, network.vit);
  const auto items = find_items(c);
  if (!c.common.quiet) print_plan(c, network, plan, device.why, items);
  if (items.list.empty()) refuse(c, items);
  if (c.common.dry_run) return 0;

  dino::RunDir folder(picture_request("attention", network.name, c.common, c.folder));
  folder.write_command(command);
  folder.write_environment(dino::environment());
  folder.write_config(options);
  Session session{c, network, std::move(plan), folder.path()};
  Exhibition exhibition(host, session);
  for (const auto& text : items.problems) exhibition.problem(text);
  for (const auto& text : items.notes) exhibition.note(text);
  exhibition.draw(items.list);
  require(exhibition.pictures() + exhibition.frames() > 0, ErrorKind::data, "no image could be used");
  print_result(c, folder.path(), exhibition);
  return 0;
}

}  // namespace programs
