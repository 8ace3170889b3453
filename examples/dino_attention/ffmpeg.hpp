// The program ffmpeg, which turns a video into frames and frames into a video.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace programs {

/// Where ffmpeg is, by PATH; nothing where it is not installed.
std::optional<std::string> find_ffmpeg();

/// Runs a program with these arguments, without a shell and without standard input. Returns nothing when it succeeds,
/// otherwise the last line that it wrote to standard error. scratch: a file for its standard error, removed at the end.
std::optional<std::string> run_quietly(const std::string& program, const std::vector<std::string>& arguments,
                                       const std::filesystem::path& scratch);

/// Frames of a video as folder/000001.png, ..., at a steady rate. Throws Error{data} when ffmpeg cannot read it.
std::vector<std::string> extract_frames(const std::string& ffmpeg, const std::string& video, double fps,
                                        const std::filesystem::path& folder);

/// Makes a video of folder/<prefix>000001.png, ... Throws Error{resources} when ffmpeg cannot.
void write_video(const std::string& ffmpeg, const std::filesystem::path& folder, const std::string& prefix, double fps,
                 const std::filesystem::path& video);

}  // namespace programs
