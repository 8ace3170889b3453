// One of two files of a program; it has no other content, because the check runs before main.
#include <dino/base/probe.hpp>

int other_file();

int main() { return other_file(); }
