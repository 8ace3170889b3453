# stb::stb, headers only. Its pkg-config file would add a library that was built with other switches.
find_path(stb_INCLUDE_DIR stb_image.h PATH_SUFFIXES stb)
mark_as_advanced(stb_INCLUDE_DIR)

set(stb_VERSION "unknown")
if(stb_INCLUDE_DIR)
  file(STRINGS "${stb_INCLUDE_DIR}/stb_image.h" stb_line LIMIT_COUNT 1)  # /* stb_image - v2.27 - public domain ...
  if(stb_line MATCHES "v([0-9]+[.][0-9]+)")
    set(stb_VERSION "${CMAKE_MATCH_1}")
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(stb REQUIRED_VARS stb_INCLUDE_DIR)
if(stb_FOUND AND NOT TARGET stb::stb)
  add_library(stb::stb INTERFACE IMPORTED)
  set_target_properties(stb::stb PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${stb_INCLUDE_DIR}")
endif()
