#include <dino/data/imagenet_classes.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <set>

using namespace dino;

TEST_CASE("imagenet classes: a thousand synsets, in the order of their labels", "[data]") {
  const auto& classes = imagenet_classes();
  REQUIRE(classes.size() == 1000);
  CHECK(classes.begin()->first == "n01440764");  // label 0
  CHECK(classes.rbegin()->first == "n15075141");  // label 999
  std::set<std::string> words;
  for (const auto& [wnid, word] : classes) {
    CAPTURE(wnid);
    CHECK(wnid.size() == 9);
    CHECK(std::all_of(wnid.begin() + 1, wnid.end(), [](char c) { return c >= '0' && c <= '9'; }));
    CHECK_FALSE(word.empty());
    CHECK(word.find_first_of(";,\"0123456789") == std::string::npos);
    words.insert(word);
  }
  CHECK(words.size() == 998);  // crane, the bird and the machine; maillot, the tights and the bathing suit
}

TEST_CASE("imagenet classes: labels that papers name", "[data]") {
  const auto at = [](i64 label) { return std::next(imagenet_classes().begin(), label)->second; };
  CHECK(at(1) == "goldfish");
  CHECK(at(207) == "golden retriever");
  CHECK(at(285) == "Egyptian cat");
  CHECK(at(954) == "banana");
}

TEST_CASE("imagenet classes: titles for people; other names stay as they are", "[data]") {
  CHECK(class_titles({"cat", "n01443537", "n99999999"}) ==
        std::vector<std::string>{"cat", "goldfish (n01443537)", "n99999999"});
  CHECK(class_titles({}).empty());
}
