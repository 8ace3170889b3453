// The layout of fragments, which the host executor can only assume: one run of this test on a device pins it.
#if DINO_CUDA == 2
#  include "cuda/mma_check.cuh"
#else
#  include "cuda/mma_check.hpp"
#endif

#include <dino/tensor/create.hpp>

#include "support/catch.hpp"

#include <cmath>

using namespace dino;

TEMPLATE_TEST_CASE("mma: a product of tiles is the plain product, from rows and from columns", "[cuda][tiny]", bf16,
                   f16) {
  Context<Cuda> ctx;
  const bool right_is_rows = GENERATE(false, true);
  const auto values = [](i64 n, u64 stream) {
    std::vector<TestType> list;
    for (i64 i = 0; i < n; ++i) list.push_back(from_acc<TestType>(static_cast<float>(normal(RngKey(9, stream), i))));
    return list;
  };
  const auto a = values(16 * 16, 1), b = values(16 * 8, 2);
  const Tensor<float, Cuda> c(ctx, {16, 8});
  const auto on_device_a = tensor(ctx, {16, 16}, a), on_device_b = tensor(ctx, {16, 8}, b);
  launch(ctx, kernels::MmaCheck<TestType>{
                  .c = c.data(), .a = on_device_a.data(), .b = on_device_b.data(), .right_is_rows = right_is_rows});
  const auto result = to_vector(c);
  for (size_t i = 0; i < 16; ++i) {
    for (size_t j = 0; j < 8; ++j) {
      double expected = 0;
      for (size_t k = 0; k < 16; ++k) {
        const TestType right = right_is_rows ? b[j * 16 + k] : b[k * 8 + j];
        expected += static_cast<double>(to_acc(a[i * 16 + k])) * static_cast<double>(to_acc(right));
      }
      CHECK(std::abs(static_cast<double>(result[i * 8 + j]) - expected) <= 2e-6 * 16);  // products exact, sums in float
    }
  }
}
