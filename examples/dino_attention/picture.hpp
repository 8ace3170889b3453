// Everything that is drawn of one picture.
#pragma once

#include "session.hpp"

namespace programs {

/// Writes the files of a picture into folder/NAME.
void draw_picture(const Session& session, const Seen& seen, const std::string& name);

}  // namespace programs
