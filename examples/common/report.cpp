#include "report.hpp"

#include <dino/io/report.hpp>

namespace programs {

std::filesystem::path write_run_report(const std::filesystem::path& folder) { return dino::write_report(folder); }

}  // namespace programs
