# Install rules and the package that find_package(dino) reads. No kernel is compiled: the package holds what makes dino::cuda.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(dino_package_dir "${CMAKE_INSTALL_DATADIR}/cmake/dino")  # share/: nothing here depends on the architecture
install(TARGETS dino EXPORT dinoTargets)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/dino" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.hpp" PATTERN "*.cuh")
install(EXPORT dinoTargets NAMESPACE dino:: DESTINATION "${dino_package_dir}")

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/dinoConfig.cmake.in" "${PROJECT_BINARY_DIR}/dinoConfig.cmake"
                              INSTALL_DESTINATION "${dino_package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/dinoConfigVersion.cmake"
                                 COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/dinoConfig.cmake" "${PROJECT_BINARY_DIR}/dinoConfigVersion.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/FindTurboJPEG.cmake" "${PROJECT_SOURCE_DIR}/cmake/Findstb.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/FindYamlCpp.cmake" "${PROJECT_SOURCE_DIR}/cmake/DinoNvcc.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/DinoKernels.cmake"
        DESTINATION "${dino_package_dir}")
