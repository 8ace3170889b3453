# TurboJPEG::TurboJPEG from the header and the library. The package's own config fails hard with Debian's libturbojpeg0-dev
# alone: it checks for files of libjpeg62-turbo-dev, which is not a dependency of that package.
find_path(TurboJPEG_INCLUDE_DIR turbojpeg.h)
find_library(TurboJPEG_LIBRARY turbojpeg)
find_file(TurboJPEG_CONFIG_HEADER jconfig.h HINTS "${TurboJPEG_INCLUDE_DIR}" PATH_SUFFIXES "${CMAKE_LIBRARY_ARCHITECTURE}")
mark_as_advanced(TurboJPEG_INCLUDE_DIR TurboJPEG_LIBRARY TurboJPEG_CONFIG_HEADER)

set(TurboJPEG_VERSION "unknown")  # the header does not tell
if(TurboJPEG_CONFIG_HEADER)
  file(STRINGS "${TurboJPEG_CONFIG_HEADER}" TurboJPEG_line REGEX "#define +LIBJPEG_TURBO_VERSION +[0-9]")
  if(TurboJPEG_line MATCHES "([0-9]+[0-9.]*)")
    set(TurboJPEG_VERSION "${CMAKE_MATCH_1}")
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(TurboJPEG REQUIRED_VARS TurboJPEG_LIBRARY TurboJPEG_INCLUDE_DIR)
if(TurboJPEG_FOUND AND NOT TARGET TurboJPEG::TurboJPEG)
  add_library(TurboJPEG::TurboJPEG UNKNOWN IMPORTED)
  set_target_properties(TurboJPEG::TurboJPEG PROPERTIES IMPORTED_LOCATION "${TurboJPEG_LIBRARY}"
                        INTERFACE_INCLUDE_DIRECTORIES "${TurboJPEG_INCLUDE_DIR}")
endif()
