// Speed of the k-NN search beside that of a matrix product in the same process.
//     bench_knn                               50,000 x 10,000 at dimension 384, in memory
//     bench_knn --scale FOLDER [--queries N] [--dim C]
//                                             a bank of 1,280,000 x C in a cache of features in FOLDER, made once: 2 GB
// Prints seconds, those of the processor, the rate of the scores' 2 Q N C operations, its per cent of the best product
// measured before and after, and the largest memory of the process. Both rates are also compared by processor time: on
// a machine that others use, the two products get unequal shares of it.
#include "peaks.hpp"

#include <dino/eval/feature_cache.hpp>
#include <dino/eval/knn.hpp>
#include <dino/kernels/gemm.hpp>
#include <dino/tensor/create.hpp>

#include <sys/resource.h>
#include <time.h>

#include <cstdio>
#include <string>

namespace dino::bench {

constexpr i64 classes = 1000;

/// Seconds on the wall and of the processor, all threads together.
struct Duration {
  double wall = 0, cpu = 0;
};

template <class F> Duration duration_of(const F& f) {
  const auto cpu = [] {
    struct timespec t {};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  const auto start = std::chrono::steady_clock::now();
  const double before = cpu();
  f();
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), cpu() - before};
}

/// Operations per second.
struct Rate {
  double wall = 0, cpu = 0;
};
Rate rate_of(double work, const Duration& d) { return {work / d.wall, work / d.cpu}; }
Rate best(const Rate& a, const Rate& b) { return {std::max(a.wall, b.wall), std::max(a.cpu, b.cpu)}; }

/// Rows on a sphere around the centre of their class: what the network of a trained model gives, roughly.
FeatureSet random_rows(i64 first, i64 rows, i64 dim, u64 seed) {
  FeatureSet set{.dim = dim, .values = {}, .labels = {}, .index = {}, .skipped = {}};
  set.values.resize(static_cast<size_t>(rows * dim));
  const RngKey centres(seed, 0), noise(seed, 1);
  for (i64 r = 0; r < rows; ++r) {
    const i64 label = (first + r) * 7919 % classes;
    for (i64 c = 0; c < dim; c += 4) {
      const auto near = centres.block(static_cast<u64>(label * dim + c)),
                 own = noise.block(static_cast<u64>((first + r) * dim + c));
      for (int i = 0; i < 4; ++i)
        set.values[static_cast<size_t>(r * dim + c + i)] = to_unit(near.x[i]) - 0.5f + 2 * (to_unit(own.x[i]) - 0.5f);
    }
    set.labels.push_back(label);
    set.index.push_back(r);
  }
  return set;
}

/// The best of some products x y^T, each the mean of half a second.
Rate product_rate(HostContext& ctx, i64 dim) {
  Rate rate;
  for (const auto [m, n, k] : {std::array<i64, 3>{1024, 4096, dim}, {4096, 1024, dim}, {1536, 1536, 1536}}) {
    const auto a = randn<float>(ctx, {m, k}, RngKey(1, 0)), b = randn<float>(ctx, {n, k}, RngKey(1, 1));
    const HostTensor<float> c(ctx, {m, n});
    const kernels::Gemm<float> product{.c = c.data(),
                                       .a = a.data(),
                                       .b = b.data(),
                                       .bias = nullptr,
                                       .m = m,
                                       .n = n,
                                       .k = k,
                                       .stride_c = n,
                                       .stride_a = k,
                                       .stride_b = k,
                                       .transpose_a = false,
                                       .transpose_b = true,
                                       .add = false};
    launch(ctx, product);
    double work = 0;
    const auto time = duration_of([&] {
      const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
      for (; std::chrono::steady_clock::now() < end; work += product.flops()) launch(ctx, product);
    });
    rate = best(rate, rate_of(work, time));
  }
  return rate;
}

double largest_memory() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

void measure(HostContext& ctx, const char* what, const FeatureRows& queries, const FeatureRows& bank, int repetitions) {
  const i64 dim = bank.dim;
  const double work = 2.0 * static_cast<double>(queries.size()) * static_cast<double>(bank.size() * dim);
  for (int run = 0; run < repetitions; ++run) {
    const auto before = product_rate(ctx, dim);
    std::vector<KnnScore> scores;
    const auto time = duration_of([&] {
      scores = knn_accuracy(ctx, queries, bank, {.k = {10, 20, 100, 200}, .classes = classes});
    });
    const auto product = best(before, product_rate(ctx, dim)), rate = rate_of(work, time);
    std::printf(
        "%s  %lld x %lld x %lld  %.2f s, of the processor %.2f  %.1f GFLOP/s, %.1f %% of the product's %.1f, by "
        "processor time %.1f %%  top-1 %.2f  memory %.2f GB\n",
        what, static_cast<long long>(bank.size()), static_cast<long long>(queries.size()), static_cast<long long>(dim),
        time.wall, time.cpu, rate.wall * 1e-9, 100 * rate.wall / product.wall, product.wall * 1e-9,
        100 * rate.cpu / product.cpu, scores[1].top1, largest_memory() * 1e-9);
    std::fflush(stdout);
  }
  std::printf("multiply-adds in registers: %.1f GFLOP/s\n", measure_peaks(ctx).flops * 1e-9);
}

/// As many pictures as there are features; nobody looks at more than 16 of them.
struct Pictures {
  i64 count;
  i64 size() const { return count; }
  i64 label(i64 i) const { return i * 7919 % classes; }
  std::string name(i64 i) const { return str("{}.jpg", i); }
  Sample get(i64 i) const { return {Image(8, 8), label(i), name(i)}; }
};

void run(int argc, char** argv) {
  std::string folder;
  i64 queries = 10000, threads = 0, dim = 384;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string key = argv[i], value = argv[i + 1];
    if (key == "--scale") folder = value;
    if (key == "--queries") queries = std::stoll(value);
    if (key == "--dim") dim = std::stoll(value);
    if (key == "--threads") threads = std::stoll(value);
  }
  HostContext ctx(threads);
  const auto questions = random_rows(1 << 24, queries, dim, 7);
  if (folder.empty()) {
    const auto bank = random_rows(0, 50000, dim, 7);
    return measure(ctx, "memory", unit_rows(ctx, rows_of(questions)), unit_rows(ctx, rows_of(bank)), 5);
  }
  const auto extract = [&](const AnyDataset& part, BadImages&) {
    return random_rows(std::stoll(part.name(0)), part.size(), dim, 7);
  };
  const auto writing =
      duration_of([&] { cache_features(folder, {.weights = "random"}, AnyDataset(Pictures{1280000}), extract); });
  std::printf("made or opened the cache in %.1f s\n", writing.wall);
  const FeatureCache cache(folder);
  measure(ctx, "disk", unit_rows(ctx, rows_of(questions)), unit_rows(ctx, rows_of(cache)), 1);
}

}  // namespace dino::bench

int main(int argc, char** argv) {
  try {
    dino::bench::run(argc, argv);
    return 0;
  } catch (const dino::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return error.exit_code();
  }
}
