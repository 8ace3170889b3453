#include <dino/data/cifar_classes.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <set>

using namespace dino;

TEST_CASE("cifar classes: ten and a hundred different names, in the order of the labels", "[data]") {
  const auto ten = detail::cifar10_classes(), hundred = detail::cifar100_classes();
  CHECK(ten.size() == 10);
  CHECK(ten[3] == "cat");
  CHECK(ten[9] == "truck");
  CHECK(std::set<std::string>(hundred.begin(), hundred.end()).size() == 100);
  CHECK(std::is_sorted(hundred.begin(), hundred.end()));  // the labels of CIFAR-100 follow the alphabet
  CHECK(hundred[49] == "mountain");
  CHECK(hundred[99] == "worm");
}
