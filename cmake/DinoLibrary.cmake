# The target dino::dino and what it needs.

# Imported targets are seen in the directory that found them only; a project that adds us needs them too.
function(dino_share target)
  get_target_property(imported ${target} IMPORTED)
  get_target_property(aliased ${target} ALIASED_TARGET)
  if(imported AND NOT aliased)
    set_target_properties(${target} PROPERTIES IMPORTED_GLOBAL TRUE)
  endif()
endfunction()

# dino_required(package target debian): stops with the name of the Debian package where the library is missing.
macro(dino_required package target debian)
  if(NOT TARGET ${target})
    find_package(${package} QUIET)
  endif()
  if(NOT TARGET ${target})
    message(FATAL_ERROR "dino needs ${package}, which was not found. Debian and Ubuntu: apt-get install ${debian}. "
                        "Elsewhere: install it and pass -DCMAKE_PREFIX_PATH=<its prefix>.")
  endif()
  dino_share(${target})
endmacro()

# dino_optional(NAME package target debian purpose): the switch DINO_<NAME> (AUTO, ON, OFF) and the result DINO_HAS_<NAME>.
macro(dino_optional name package target debian purpose)
  set(DINO_${name} AUTO CACHE STRING "${purpose}: AUTO, ON or OFF")  # an option() would turn AUTO into OFF
  set_property(CACHE DINO_${name} PROPERTY STRINGS AUTO ON OFF)
  set(DINO_HAS_${name} 0)
  if(NOT DINO_${name})
    dino_feature("${package}" OFF "-" "switched off: no ${purpose}" "-DDINO_${name}=AUTO")
  else()
    find_package(${package} QUIET MODULE)
    if(TARGET ${target})
      set(DINO_HAS_${name} 1)
      dino_share(${target})
      dino_feature("${package}" ON "${${package}_VERSION}" "${purpose}" "-DDINO_${name}=OFF")
    elseif(DINO_${name} STREQUAL "AUTO")
      dino_feature("${package}" OFF "-" "not found: no ${purpose}" "apt-get install ${debian}")
    else()
      message(FATAL_ERROR "DINO_${name} is ${DINO_${name}}, but ${package} was not found (Debian: ${debian}).")
    endif()
  endif()
endmacro()

dino_required(Threads Threads::Threads libc6-dev)
dino_optional(TURBOJPEG TurboJPEG TurboJPEG::TurboJPEG libturbojpeg0-dev "JPEG")
dino_optional(STB stb stb::stb libstb-dev "PNG and BMP")
dino_optional(YAML YamlCpp yaml-cpp::yaml-cpp libyaml-cpp-dev "YAML configuration files")

# stb_image before 2.28 writes out of bounds when it decodes a damaged JPEG.
set(DINO_STB_JPEG 0)
if(DINO_HAS_STB AND NOT DINO_HAS_TURBOJPEG AND stb_VERSION MATCHES "^[0-9]" AND stb_VERSION VERSION_GREATER_EQUAL 2.28)
  set(DINO_STB_JPEG 1)
  dino_feature("JPEG by stb" ON "${stb_VERSION}" "no TurboJPEG, and stb is new enough" "apt-get install libturbojpeg0-dev")
endif()

add_library(dino INTERFACE)
add_library(dino::dino ALIAS dino)
target_compile_features(dino INTERFACE cxx_std_20)
target_include_directories(dino INTERFACE "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>"
                                          "$<INSTALL_INTERFACE:include>")
# Definitions that change code stand on the target, so that all files of a program agree. No -march, no -O, no warnings.
target_compile_definitions(dino INTERFACE DINO_HAS_TURBOJPEG=${DINO_HAS_TURBOJPEG} DINO_HAS_STB=${DINO_HAS_STB}
                           DINO_HAS_YAML=${DINO_HAS_YAML} DINO_STB_JPEG=${DINO_STB_JPEG})
target_link_libraries(dino INTERFACE Threads::Threads)
if(DINO_HAS_TURBOJPEG)
  target_link_libraries(dino INTERFACE TurboJPEG::TurboJPEG)
endif()
if(DINO_HAS_STB)
  target_link_libraries(dino INTERFACE stb::stb)
endif()
if(DINO_HAS_YAML)
  target_link_libraries(dino INTERFACE yaml-cpp::yaml-cpp)
endif()
