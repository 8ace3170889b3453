// The smallest program that uses dino.
#include <dino/base/shape.hpp>

#include <iostream>

int main() { std::cout << dino::Shape{1, 384} << '\n'; }
