// The other of the two files.
#include <dino/dino.hpp>

#include <cstdio>
#include <string>

const char* version_in_a();

int main() {
  std::printf("dino %s\n", version_in_a());
  return std::string(version_in_a()) == DINO_VERSION ? 0 : 1;
}
