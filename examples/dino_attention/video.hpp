// Frames: the same maps with one scale of colours, and a video of them.
#pragma once

#include "session.hpp"

namespace programs {

struct VideoResult {
  dino::i64 frames = 0;
  std::vector<std::string> problems, notes;  // frames that could not be used; what was not written
};

/// Draws the frames of a folder, or of a video by ffmpeg, into folder/NAME. Throws Error{data} when there is no frame
/// that can be used, or no ffmpeg for a video. show: gets the frames done and their number.
VideoResult draw_video(const Session& session, const Item& item, const std::function<void(dino::i64, dino::i64)>& show);

}  // namespace programs
