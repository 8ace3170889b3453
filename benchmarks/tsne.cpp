// Seconds of an embedding, its parts apart, for tools/reference/embedding.py --compare, which runs another library
// beside it.
//     bench_tsne                                              10,000 random rows of 384 values around 10 centres
//     bench_tsne FILE.npy OUT.npy [theta] [iterations]        rows (n,d), float; writes the points (n,2)
// Prints one JSON object.
#include <dino/eval/embedding_quality.hpp>
#include <dino/eval/tsne.hpp>
#include <dino/io/npy.hpp>
#include <dino/io/record.hpp>
#include <dino/tensor/create.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>

namespace dino::bench {

/// Seconds since the last call.
double lap() {
  static auto last = std::chrono::steady_clock::now();
  const auto before = std::exchange(last, std::chrono::steady_clock::now());
  return std::chrono::duration<double>(last - before).count();
}

struct Rows {
  i64 n, dim;
  std::vector<float> values;
};

Rows random_rows(HostContext& ctx) {
  constexpr i64 n = 10000, dim = 384, classes = 10;
  auto values = to_vector(randn<float>(ctx, {n, dim}, RngKey(1, 0)));
  const auto centres = to_vector(randn<float>(ctx, {classes, dim}, RngKey(1, 1)));
  for (i64 i = 0; i < n * dim; ++i)
    values[static_cast<size_t>(i)] += 0.7f * centres[static_cast<size_t>(i / dim % classes * dim + i % dim)];
  return {n, dim, values};
}

Rows read_rows(const char* path) {
  const auto file = read_npy(path);
  require(file.shape.rank() == 2 && file.dtype == DType::F32, ErrorKind::data, "{}: expected float rows (n,d)", path);
  return {file.shape[0], file.shape[1], file.to<float>()};
}

int run(int count, char** words) {
  HostContext ctx(2);
  const auto rows = count > 2 ? read_rows(words[1]) : random_rows(ctx);
  TsneSettings settings;
  if (count > 3) settings.theta = std::atof(words[3]);
  if (count > 4) settings.iterations = std::atoll(words[4]);
  lap();
  const auto p = tsne_affinities(ctx, rows.values, rows.dim, settings.perplexity, settings.theta == 0);
  const double affinities = lap();
  const auto start = tsne_start(ctx, rows.values, rows.dim);
  const double pca = lap();
  const auto plane = tsne(ctx, p, start, settings);
  const double descent = lap();
  const double trust = trustworthiness(ctx, rows.values, rows.dim, plane.points);
  Record record("tsne");
  record.set("rows", rows.n).set("dim", rows.dim).set("theta", settings.theta).set("iterations", plane.iterations);
  record.set("affinities_s", affinities).set("pca_s", pca).set("descent_s", descent);
  record.set("seconds", affinities + pca + descent).set("trustworthiness_s", lap());
  record.set("divergence", plane.divergence).set("trustworthiness", trust);
  std::cout << to_json(record) << '\n';
  if (count > 2) {
    const auto* const bytes = reinterpret_cast<const u8*>(plane.points.data());
    write_npy(words[2], DType::F32, {rows.n, 2}, std::span(bytes, 4 * plane.points.size()));
  }
  return 0;
}

}  // namespace dino::bench

int main(int count, char** words) {
  try {
    return dino::bench::run(count, words);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
}
