#include <dino/nn/optional_parameter.hpp>

#include "support/catch.hpp"

using namespace dino;
using Host = HostDevice;

TEST_CASE("optional_parameter: absent, it is an undefined tensor that wants no gradient", "[nn]") {
  const nn::OptionalParameter<float, Host> none;
  CHECK(!none);
  CHECK(!none.value().defined());
  CHECK(none.sink().slot == nullptr);
}

TEST_CASE("optional_parameter: present, it is the parameter", "[nn]") {
  HostContext ctx(1);
  ParamStore<float, Host> params(ctx);
  const auto parameter = Scope<float, Host>{params}.param("gamma", {3}, ones_init);
  const nn::OptionalParameter<float, Host> some = parameter;
  params.finalize(0);
  CHECK(some);
  CHECK(some.value().data() == parameter.value().data());
  CHECK(some.sink().slot == parameter.sink().slot);
  CHECK(some.sink().slot != nullptr);
}
