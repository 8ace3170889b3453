#include <dino/device/choose.hpp>

#include "support/catch.hpp"

using namespace dino;

TEST_CASE("choose_device: a CPU build computes on the CPU and says why", "[device]") {
  CHECK_FALSE(choose_device("cpu").cuda);
  CHECK(choose_device("cpu").why == "cpu");
  const auto choice = choose_device("auto");
  CHECK_FALSE(choice.cuda);
  CHECK_THAT(choice.why, contains("cpu: this build has no CUDA"));
}

TEST_CASE("choose_device: a device that is not there is an error of resources, with a remedy", "[device]") {
  for (const std::string word : {"cuda", "cuda:0", "cuda:3"}) {
    try {
      choose_device(word);
      FAIL("chosen");
    } catch (const Error& error) {
      CHECK(error.exit_code() == 6);
      CHECK_THAT(error.what(), contains("device = " + word + ": this build has no CUDA"));
      CHECK_THAT(error.what(), contains("Use --device cpu"));
    }
  }
}
