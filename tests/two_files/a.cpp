// One of two files that include everything: what is not inline in a header fails to link.
#include <dino/dino.hpp>

const char* version_in_a() { return DINO_VERSION; }
