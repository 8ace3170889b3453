// The second file; compiled with the same flags as the first one, or with others.
#include <dino/base/probe.hpp>

int other_file();
int other_file() { return 0; }
