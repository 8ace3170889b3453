#include <dino/kernels/optimizer.hpp>
#include <dino/tensor/create.hpp>

#include "support/catch.hpp"
#include "support/worst.hpp"

#include <algorithm>
#include <cmath>

using namespace dino;

namespace {
template <class T> using Ranges = std::vector<kernels::UpdateRange<T>>;

constexpr i64 block = kernels::RangeTable<float>::block;
constexpr i64 total = 2 * block + 400;

/// Three tensors with gaps between them; the second one has more than two blocks.
template <class T> Ranges<T> ranges() {
  return {{.offset = 3, .n = 5, .count = 1, .lr = T(0.5), .decay = 0, .adapt = false},
          {.offset = 64, .n = 2 * block + 7, .count = 2, .lr = 1, .decay = T(0.1), .adapt = true},
          {.offset = 2 * block + 128, .n = 64, .count = 100, .lr = T(1.5), .decay = 1, .adapt = true}};
}
constexpr double lr = 0.2, weight_decay = 0.4;

/// A table in the memory of the host.
template <class T> struct Table {
  kernels::PackedRanges<T> packed;
  kernels::RangeTable<T> table;
  explicit Table(const Ranges<T>& list) : packed(list), table(packed.at(packed.words.data())) {}
};

template <class T> struct Buffers {
  HostTensor<T> p, g, m, v, norms;
  explicit Buffers(HostContext& ctx)
      : p(randn<T>(ctx, {total}, RngKey(1, 1))),
        g(randn<T>(ctx, {total}, RngKey(1, 2))),
        m(randn<T>(ctx, {total}, RngKey(1, 3))),
        v(uniform<T>(ctx, {total}, RngKey(1, 4), 0.5, 2)),
        norms(ctx, {3}) {}
};

template <class T> std::vector<T> norms(HostContext& ctx, const T* g, const T* p, const T* clip_norm = nullptr,
                                        T clip = 0, const Ranges<T>& list = ranges<T>()) {
  const Table<T> on(list);
  const HostTensor<T> norm(ctx, {static_cast<i64>(list.size())}), partial(ctx, {5});
  launch(ctx, kernels::RangeNorms<T>{.norm = norm.data(),
                                     .partial = partial.data(),
                                     .g = g,
                                     .p = p,
                                     .ranges = on.table,
                                     .weight_decay = weight_decay,
                                     .clip_norm = clip_norm,
                                     .clip = clip});
  return to_vector(norm);
}

/// sqrt of the sum of f(i)^2 over a range, in long double.
template <class F> double norm_of(const auto& range, F f) {
  long double sum = 0;
  for (i64 i = range.offset; i < range.offset + range.n; ++i) {
    const long double x = f(i);
    sum += x * x;
  }
  return static_cast<double>(std::sqrt(sum));
}

/// Compares every element of x with what f says, or with what it was where no range lies.
template <class F> void check_ranges(const HostTensor<double>& x, const HostTensor<double>& before, F f) {
  std::vector<double> expected = to_vector(before);
  const auto list = ranges<double>();
  const Table<double> on(list);
  for (size_t r = 0; r < list.size(); ++r) {
    for (i64 i = list[r].offset; i < list[r].offset + list[r].n; ++i) {
      expected[static_cast<size_t>(i)] = f(i, list[r], static_cast<i64>(r));
    }
  }
  double worst = 0;
  for (i64 i = 0; i < total; ++i) {
    const double error = std::abs(x[i] - expected[static_cast<size_t>(i)]);
    worst = worse(worst, error);
  }
  CHECK(worst <= 1e-14);
}

double clipped(double norm, double clip) { return clip > 0 ? std::min(1.0, clip / (norm + 1e-6)) : 1.0; }
}  // namespace

TEST_CASE("optimizer: norms of each range", "[kernels]") {
  HostContext ctx(2);
  const Buffers<double> b(ctx);
  const auto of_g = norms<double>(ctx, b.g.data(), nullptr), of_p = norms<double>(ctx, nullptr, b.p.data());
  const auto both = norms<double>(ctx, b.g.data(), b.p.data());
  const auto list = ranges<double>();
  const Table<double> on(list);
  for (size_t r = 0; r < 3; ++r) {
    CHECK(of_g[r] == Approx(norm_of(list[r], [&](i64 i) { return b.g[i]; })).epsilon(1e-13));
    CHECK(of_p[r] == Approx(norm_of(list[r], [&](i64 i) { return b.p[i]; })).epsilon(1e-13));
    CHECK(both[r] == Approx(norm_of(list[r], [&](i64 i) { return b.g[i] + weight_decay * list[r].decay * b.p[i]; })).epsilon(1e-13));
  }
  CHECK(norms<double>(ctx, b.g.data(), nullptr, nullptr, 0, {}).empty());
}

TEST_CASE("optimizer: norms of a step see the clipped gradient", "[kernels]") {
  HostContext ctx(2);
  const Buffers<double> b(ctx);
  const auto before = norms<double>(ctx, b.g.data(), nullptr);
  const double clip = 20;  // below the norm of the second range only
  const auto after = norms<double>(ctx, b.g.data(), b.p.data(), before.data(), clip);
  const auto list = ranges<double>();
  const Table<double> on(list);
  for (size_t r = 0; r < 3; ++r) {
    const double scale = clipped(before[r], clip);
    CHECK((scale < 1) == (r == 1));
    CHECK(after[r] ==
          Approx(norm_of(list[r], [&](i64 i) { return scale * b.g[i] + weight_decay * list[r].decay * b.p[i]; })).epsilon(1e-13));
  }
}

TEST_CASE("optimizer: AdamW, with decay before the step, per-tensor clipping and own step counts", "[kernels]") {
  HostContext ctx(2);
  const double clip = GENERATE(0.0, 3.0);
  const Buffers<double> b(ctx), old(ctx);
  const auto list = ranges<double>();
  const Table<double> on(list);
  const auto norm = norms<double>(ctx, b.g.data(), nullptr);
  const double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  launch(ctx, kernels::AdamW<double>{.p = b.p.data(),
                                     .copy = nullptr,
                                     .m = b.m.data(),
                                     .v = b.v.data(),
                                     .g = b.g.data(),
                                     .ranges = on.table,
                                     .lr = lr,
                                     .weight_decay = weight_decay,
                                     .clip_norm = norm.data(),
                                     .clip = clip,
                                     .beta1 = beta1,
                                     .beta2 = beta2,
                                     .eps = eps});
  const auto g = [&](i64 i, i64 r) { return clipped(norm[static_cast<size_t>(r)], clip) * old.g[i]; };
  const auto m = [&](i64 i, i64 r) { return beta1 * old.m[i] + (1 - beta1) * g(i, r); };
  const auto v = [&](i64 i, i64 r) { return beta2 * old.v[i] + (1 - beta2) * g(i, r) * g(i, r); };
  check_ranges(b.m, old.m, [&](i64 i, const auto&, i64 r) { return m(i, r); });
  check_ranges(b.v, old.v, [&](i64 i, const auto&, i64 r) { return v(i, r); });
  check_ranges(b.p, old.p, [&](i64 i, const auto& range, i64 r) {
    const double decayed = old.p[i] * (1 - lr * range.lr * weight_decay * range.decay);
    const double c1 = 1 - std::pow(beta1, range.count), c2 = 1 - std::pow(beta2, range.count);
    return decayed - lr * range.lr / c1 * m(i, r) / (std::sqrt(v(i, r)) / std::sqrt(c2) + eps);
  });
}

TEST_CASE("optimizer: AdamW without a norm does not clip", "[kernels]") {
  HostContext ctx(1);
  const Buffers<double> a(ctx), b(ctx);
  const auto list = ranges<double>();
  const Table<double> on(list);
  const std::vector<double> large(3, 1e6), small(3, 1e-6);
  const auto step = [&](const Buffers<double>& x, const double* norm, double clip) {
    launch(ctx, kernels::AdamW<double>{.p = x.p.data(),
                                       .copy = nullptr,
                                       .m = x.m.data(),
                                       .v = x.v.data(),
                                       .g = x.g.data(),
                                       .ranges = on.table,
                                       .lr = lr,
                                       .weight_decay = weight_decay,
                                       .clip_norm = norm,
                                       .clip = clip,
                                       .beta1 = 0.9,
                                       .beta2 = 0.999,
                                       .eps = 1e-8});
  };
  step(a, nullptr, 3);
  SECTION("clip 0") { step(b, large.data(), 0); }
  SECTION("a norm below the limit") { step(b, small.data(), 3); }
  CHECK(to_vector(a.p) == to_vector(b.p));
}

TEST_CASE("optimizer: SGD with momentum and weight decay", "[kernels]") {
  HostContext ctx(2);
  const double clip = GENERATE(0.0, 3.0), momentum = 0.9;
  const Buffers<double> b(ctx), old(ctx);
  const auto list = ranges<double>();
  const Table<double> on(list);
  const auto norm = norms<double>(ctx, b.g.data(), nullptr);
  launch(ctx, kernels::Sgd<double>{.p = b.p.data(),
                                   .copy = nullptr,
                                   .buffer = b.m.data(),
                                   .g = b.g.data(),
                                   .ranges = on.table,
                                   .lr = lr,
                                   .weight_decay = weight_decay,
                                   .clip_norm = norm.data(),
                                   .clip = clip,
                                   .momentum = momentum});
  const auto buffer = [&](i64 i, const auto& range, i64 r) {
    return momentum * old.m[i] + clipped(norm[static_cast<size_t>(r)], clip) * old.g[i] + weight_decay * range.decay * old.p[i];
  };
  check_ranges(b.m, old.m, buffer);
  check_ranges(b.p, old.p, [&](i64 i, const auto& range, i64 r) { return old.p[i] - lr * range.lr * buffer(i, range, r); });
}

TEST_CASE("optimizer: LARS scales a step by the ratio of norms, where it adapts", "[kernels]") {
  HostContext ctx(2);
  const Buffers<double> b(ctx), old(ctx);
  const auto list = ranges<double>();
  const Table<double> on(list);
  const auto p_norm = norms<double>(ctx, nullptr, b.p.data()), d_norm = norms<double>(ctx, b.g.data(), b.p.data());
  const double eta = 0.001, momentum = 0.9;
  launch(ctx, kernels::Lars<double>{.p = b.p.data(),
                                    .copy = nullptr,
                                    .buffer = b.m.data(),
                                    .g = b.g.data(),
                                    .ranges = on.table,
                                    .lr = lr,
                                    .weight_decay = weight_decay,
                                    .clip_norm = nullptr,
                                    .p_norm = p_norm.data(),
                                    .d_norm = d_norm.data(),
                                    .clip = 0,
                                    .momentum = momentum,
                                    .eta = eta});
  const auto buffer = [&](i64 i, const auto& range, i64 r) {
    const auto at = static_cast<size_t>(r);
    const double trust = range.adapt ? eta * p_norm[at] / d_norm[at] : 1.0;
    return momentum * old.m[i] + trust * (old.g[i] + weight_decay * range.decay * old.p[i]);
  };
  check_ranges(b.m, old.m, buffer);
  check_ranges(b.p, old.p, [&](i64 i, const auto& range, i64 r) { return old.p[i] - lr * range.lr * buffer(i, range, r); });
}

TEST_CASE("optimizer: LARS takes a ratio of 1 where a norm is zero", "[kernels]") {
  HostContext ctx(1);
  const Table<double> on({{.offset = 0, .n = 2, .count = 1, .lr = 1, .decay = 0, .adapt = true}});
  const auto p = zeros<double>(ctx, {2}), buffer = zeros<double>(ctx, {2}), g = tensor<double>(ctx, {2}, {1, 2});
  const double zero = 0, one = 1;
  const auto step = [&](const double* p_norm, const double* d_norm) {
    launch(ctx, kernels::Lars<double>{.p = p.data(),
                                      .copy = nullptr,
                                      .buffer = buffer.data(),
                                      .g = g.data(),
                                      .ranges = on.table,
                                      .lr = lr,
                                      .weight_decay = weight_decay,
                                      .clip_norm = nullptr,
                                      .p_norm = p_norm,
                                      .d_norm = d_norm,
                                      .clip = 0,
                                      .momentum = 0,
                                      .eta = 0.001});
    return to_vector(buffer);
  };
  CHECK(step(&zero, &one) == std::vector<double>{1, 2});
  CHECK(step(&one, &zero) == std::vector<double>{1, 2});
  CHECK(step(&one, &one) == std::vector<double>{0.001, 0.002});
}

TEST_CASE("optimizer: the average of weights", "[kernels]") {
  HostContext ctx(2);
  const i64 n = 100001;
  const auto p = randn<double>(ctx, {n}, RngKey(1, 1)), old = randn<double>(ctx, {n}, RngKey(1, 2));
  const auto run = [&](double momentum) {
    const auto average = clone(old);
    launch(ctx, kernels::Ema<double>{
                    .average = average.data(), .copy = nullptr, .p = p.data(), .n = n, .momentum = momentum});
    return average;
  };
  const auto average = run(0.996);
  double worst = 0;
  for (i64 i = 0; i < n; ++i) worst = worse(worst, std::abs(average[i] - (0.996 * old[i] + 0.004 * p[i])));
  CHECK(worst <= 1e-15);
  CHECK(to_vector(run(1)) == to_vector(old));
  CHECK(to_vector(run(0)) == to_vector(p));
}

TEST_CASE("optimizer: the model in 16 bits reads rounded masters, which are updated as in float", "[kernels]") {
  HostContext ctx(2);
  const auto list = ranges<float>();
  const Table<float> on(list);
  const Buffers<float> a(ctx), b(ctx);
  const auto copy = tensor(ctx, {total}, std::vector<bf16>(static_cast<size_t>(total), to_bf16(7)));
  const std::vector<float> norm(3, 20);
  const auto step = [&]<class T>(const Buffers<float>& x, T* to, int which) {
    if (which == 0) {
      launch(ctx, kernels::AdamW<T>{.p = x.p.data(),
                                    .copy = to,
                                    .m = x.m.data(),
                                    .v = x.v.data(),
                                    .g = x.g.data(),
                                    .ranges = on.table,
                                    .lr = lr,
                                    .weight_decay = weight_decay,
                                    .clip_norm = norm.data(),
                                    .clip = 3,
                                    .beta1 = 0.9f,
                                    .beta2 = 0.999f,
                                    .eps = 1e-8f});
    } else if (which == 1) {
      launch(ctx, kernels::Sgd<T>{.p = x.p.data(),
                                  .copy = to,
                                  .buffer = x.m.data(),
                                  .g = x.g.data(),
                                  .ranges = on.table,
                                  .lr = lr,
                                  .weight_decay = weight_decay,
                                  .clip_norm = norm.data(),
                                  .clip = 3,
                                  .momentum = 0.9f});
    } else if (which == 2) {
      launch(ctx, kernels::Lars<T>{.p = x.p.data(),
                                   .copy = to,
                                   .buffer = x.m.data(),
                                   .g = x.g.data(),
                                   .ranges = on.table,
                                   .lr = lr,
                                   .weight_decay = weight_decay,
                                   .clip_norm = norm.data(),
                                   .p_norm = norm.data(),
                                   .d_norm = norm.data(),
                                   .clip = 3,
                                   .momentum = 0.9f,
                                   .eta = 0.1f});
    } else {
      launch(ctx, kernels::Ema<T>{.average = x.p.data(), .copy = to, .p = x.g.data(), .n = total, .momentum = 0.9f});
    }
  };
  for (const int which : {0, 1, 2, 3}) {
    INFO("kernel " << which);
    step(a, static_cast<float*>(nullptr), which);
    step(b, copy.data(), which);
    CHECK(to_vector(a.p) == to_vector(b.p));
    std::vector<bool> written(static_cast<size_t>(total), which == 3);
    for (const auto& range : list) std::fill_n(written.begin() + range.offset, range.n, true);
    i64 wrong = 0;
    for (i64 i = 0; i < total; ++i) {
      wrong += copy[i].bits != to_bf16(written[static_cast<size_t>(i)] ? b.p[i] : 7.0f).bits;
    }
    CHECK(wrong == 0);
  }
  const HostTensor<float> out(ctx, {3}), partial(ctx, {5});
  launch(ctx, kernels::RangeNorms<bf16>{.norm = out.data(),
                                        .partial = partial.data(),
                                        .g = b.g.data(),
                                        .p = b.p.data(),
                                        .ranges = on.table,
                                        .weight_decay = weight_decay,
                                        .clip_norm = norm.data(),
                                        .clip = 3});
  CHECK(to_vector(out) == norms<float>(ctx, b.g.data(), b.p.data(), norm.data(), 3));
}

TEST_CASE("optimizer: the same bits for any number of threads", "[kernels]") {
  const auto run = [](i64 threads) {
    HostContext ctx(threads);
    const Buffers<float> b(ctx);
    const auto list = ranges<float>();
    const Table<float> on(list);
    auto out = norms<float>(ctx, b.g.data(), nullptr);
    launch(ctx, kernels::AdamW<float>{.p = b.p.data(),
                                      .copy = nullptr,
                                      .m = b.m.data(),
                                      .v = b.v.data(),
                                      .g = b.g.data(),
                                      .ranges = on.table,
                                      .lr = lr,
                                      .weight_decay = weight_decay,
                                      .clip_norm = out.data(),
                                      .clip = 3,
                                      .beta1 = 0.9f,
                                      .beta2 = 0.999f,
                                      .eps = 1e-8f});
    const auto values = to_vector(b.p);
    out.insert(out.end(), values.begin(), values.end());
    return out;
  };
  const auto one = run(1);
  CHECK(one == run(2));
  CHECK(one == run(7));
}
