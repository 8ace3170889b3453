// Catch2 2.13 or 3: only what both have.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#  include <catch2/catch_all.hpp>
using Catch::Approx;
/// Matches a string that holds this text.
inline auto contains(const std::string& text) { return Catch::Matchers::ContainsSubstring(text); }
#else
#  include <catch2/catch.hpp>
/// Matches a string that holds this text.
inline auto contains(const std::string& text) { return Catch::Matchers::Contains(text); }
#endif
