// The page of a run. Compiled once for all programs.
#pragma once

#include <filesystem>

namespace programs {

/// Writes report.html of a run folder and returns its path.
std::filesystem::path write_run_report(const std::filesystem::path& folder);

}  // namespace programs
