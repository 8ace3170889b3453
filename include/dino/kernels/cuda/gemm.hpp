// Matrix product on CUDA: cuBLASLt behind the row-major entry point. Host code, no nvcc needed.
#pragma once

#include <dino/device/cuda.hpp>
#include <dino/kernels/gemm.hpp>

#include <cublasLt.h>

#include <array>
#include <map>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

inline void check_blas(cublasStatus_t status, std::string_view call) {
  if (status != CUBLAS_STATUS_SUCCESS) [[unlikely]] {
    fail(ErrorKind::resources, "{}: {} ({})", call, cublasLtGetStatusString(status), static_cast<int>(status));
  }
}

template <class T> constexpr cudaDataType_t blas_type() {
  if constexpr (std::is_same_v<T, bf16>) {
    return CUDA_R_16BF;
  } else if constexpr (std::is_same_v<T, f16>) {
    return CUDA_R_16F;
  } else {
    static_assert(std::is_same_v<T, float>, "gemm on CUDA: float and 16-bit numbers only");
    return CUDA_R_32F;
  }
}

/// Sizes and layouts that decide which algorithm runs; pointers enter by their alignment only.
using BlasKey = std::array<i64, 14>;

/// The library's handle, a workspace of its own, and the algorithm of every shape seen. One per context.
class Blas {
 public:
  static constexpr size_t workspace_bytes = size_t{32} << 20;

  explicit Blas(Context<Cuda>& ctx) : ctx_(&ctx), workspace_(ctx.pool().allocate(workspace_bytes)) {
    check_blas(cublasLtCreate(&handle_), "cublasLtCreate");
  }
  ~Blas() {
    ctx_->pool().release(workspace_);
    if (cublasLtDestroy(handle_) != CUBLAS_STATUS_SUCCESS) log_warning("cublasLtDestroy failed");
  }
  Blas(const Blas&) = delete;
  Blas& operator=(const Blas&) = delete;

  static Blas& of(Context<Cuda>& ctx) {
    auto& slot = ctx.blas_slot();
    if (!slot) slot = std::make_shared<Blas>(ctx);
    return *static_cast<Blas*>(slot.get());
  }

  cublasLtHandle_t handle() const { return handle_; }
  void* workspace() const { return workspace_; }
  std::map<BlasKey, cublasLtMatmulAlgo_t>& algorithms() { return algorithms_; }

 private:
  Context<Cuda>* ctx_;
  void* workspace_;
  cublasLtHandle_t handle_ = nullptr;
  std::map<BlasKey, cublasLtMatmulAlgo_t> algorithms_;
};

/// Owns a descriptor of the library.
template <class Handle, auto destroy> class BlasObject {
 public:
  BlasObject() = default;
  ~BlasObject() {
    if (object_) destroy(object_);
  }
  BlasObject(const BlasObject&) = delete;
  BlasObject& operator=(const BlasObject&) = delete;
  Handle* address() { return &object_; }
  operator Handle() const { return object_; }

 private:
  Handle object_ = nullptr;
};
using BlasProduct = BlasObject<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using BlasLayout = BlasObject<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using BlasPreference = BlasObject<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

inline u32 alignment_of(const void* pointer) {
  u32 alignment = 256;
  while (reinterpret_cast<u64>(pointer) % alignment != 0) alignment /= 2;
  return alignment;
}

template <class Value> void set_product(BlasProduct& product, cublasLtMatmulDescAttributes_t which, Value value) {
  check_blas(cublasLtMatmulDescSetAttribute(product, which, &value, sizeof(value)), "cublasLtMatmulDescSetAttribute");
}
template <class Value>
void set_preference(BlasPreference& preference, cublasLtMatmulPreferenceAttributes_t which, Value value) {
  check_blas(cublasLtMatmulPreferenceSetAttribute(preference, which, &value, sizeof(value)),
             "cublasLtMatmulPreferenceSetAttribute");
}

}  // namespace detail

/// The library thinks in columns: it computes C^T = op(B)^T op(A)^T, so that the bias runs along its rows. Sums are
/// float, TF32 is not used, and sums over k that are split are added from a workspace in a fixed order: same bits
/// for the same shape and device.
template <class T, class Out> void launch(Context<Cuda>& ctx, const Gemm<T, Out>& a) {
  using namespace detail;
  if (a.m == 0 || a.n == 0) return;
  static_assert(std::is_same_v<Out, T> || std::is_same_v<Out, float>, "gemm: C is T or float");
  require(a.k > 0, "gemm: an empty sum");
  require(!a.add || !a.residual, "gemm: add and a residual");
  require(!a.bias || std::is_same_v<Out, T>, "gemm: bias and C have different types");
  const Out* const plus = a.residual ? a.residual : a.c;  // what the library adds to the product
  auto& blas = Blas::of(ctx);

  BlasProduct product;
  check_blas(cublasLtMatmulDescCreate(product.address(), CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
  set_product(product, CUBLASLT_MATMUL_DESC_TRANSA, a.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  set_product(product, CUBLASLT_MATMUL_DESC_TRANSB, a.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (a.bias) {
    set_product(product, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    set_product(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<const void*>(a.bias));
  }
  BlasLayout left, right, result;
  const auto layout = [](BlasLayout& to, cudaDataType_t type, i64 rows, i64 cols, i64 stride) {
    check_blas(cublasLtMatrixLayoutCreate(to.address(), type, static_cast<u64>(rows), static_cast<u64>(cols), stride),
               "cublasLtMatrixLayoutCreate");
  };
  layout(left, blas_type<T>(), a.transpose_b ? a.k : a.n, a.transpose_b ? a.n : a.k, a.stride_b);
  layout(right, blas_type<T>(), a.transpose_a ? a.m : a.k, a.transpose_a ? a.k : a.m, a.stride_a);
  layout(result, blas_type<Out>(), a.n, a.m, a.stride_c);

  const BlasKey key{a.m,
                    a.n,
                    a.k,
                    a.stride_c,
                    a.stride_a,
                    a.stride_b,
                    a.transpose_a + 2 * a.transpose_b + 4 * a.add + 8 * (a.bias != nullptr) +
                        16 * (a.residual != nullptr),
                    static_cast<i64>(blas_type<T>()),
                    static_cast<i64>(blas_type<Out>()),
                    alignment_of(a.a),
                    alignment_of(a.b),
                    alignment_of(a.c),
                    alignment_of(a.bias),
                    alignment_of(a.residual)};
  auto known = blas.algorithms().find(key);
  if (known == blas.algorithms().end()) {
    BlasPreference preference;
    check_blas(cublasLtMatmulPreferenceCreate(preference.address()), "cublasLtMatmulPreferenceCreate");
    set_preference(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, u64{Blas::workspace_bytes});
    set_preference(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                   static_cast<u32>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    set_preference(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(a.b));
    set_preference(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(a.a));
    set_preference(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(plus));
    set_preference(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(a.c));
    cublasLtMatmulHeuristicResult_t best{};
    int found = 0;
    const auto status = cublasLtMatmulAlgoGetHeuristic(blas.handle(), product, left, right, result, result, preference,
                                                       1, &best, &found);
    require(status == CUBLAS_STATUS_SUCCESS && found > 0, ErrorKind::resources,
            "gemm ({},{},{}), strides {} {} {}: cuBLASLt has no algorithm: {}", a.m, a.n, a.k, a.stride_c, a.stride_a,
            a.stride_b, cublasLtGetStatusString(status));
    known = blas.algorithms().emplace(key, best.algo).first;
  }
  const float alpha = 1, beta = a.add || a.residual ? 1.0f : 0.0f;
  check_blas(cublasLtMatmul(blas.handle(), product, &alpha, a.b, left, a.a, right, &beta, plus, result, a.c, result,
                            &known->second, blas.workspace(), Blas::workspace_bytes, ctx.stream()),
             str("gemm ({},{},{})", a.m, a.n, a.k));
}

}  // namespace dino::inline DINO_ABI::kernels
