// Speed of the CPU kernels: time of a call, rate, and percent of what the machine does, on one thread and on all.
//     bench_kernels --benchmark_filter=layernorm --benchmark_out=kernels.json --benchmark_context=commit=<hash>
// Inputs are random. Every line turns over buffers larger than the caches, as a training step does.
#include "peaks.hpp"

#include <dino/kernels/attention.hpp>
#include <dino/kernels/dino_loss.hpp>
#include <dino/kernels/gemm.hpp>
#include <dino/kernels/layernorm.hpp>
#include <dino/kernels/map.hpp>
#include <dino/kernels/optimizer.hpp>
#include <dino/kernels/reduce.hpp>
#include <dino/kernels/softmax.hpp>
#include <dino/tensor/create.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

namespace dino::bench {

/// A number of threads, and the peaks that its rates are divided by.
struct Machine {
  explicit Machine(i64 count) : ctx(count), threads(ctx.threads().threads()), peaks(measure_peaks(ctx)) {}

  Context<Cpu> ctx;
  i64 threads;
  Peaks peaks;
};

/// Arguments of a kernel, and the memory that they point into.
template <class Args> struct Call {
  Args args;
  double bytes;
  std::vector<HostTensor<float>> memory;
};

/// Normal values, drawn once and repeated: 65,536 of them are random enough for a clock.
class Buffers {
 public:
  explicit Buffers(Context<Cpu>& ctx) : ctx_(&ctx) {}

  float* operator()(i64 count) {
    static const auto values = [] {
      std::vector<float> x(1 << 16);
      for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(normal(RngKey(1, 0), static_cast<i64>(i)));
      return x;
    }();
    memory_.emplace_back(*ctx_, Shape{count});
    float* const to = memory_.back().data();
    const auto shift = memory_.size() * 4099;
    for (i64 i = 0; i < count; ++i) to[i] = values[(static_cast<size_t>(i) + shift) % values.size()];
    return to;
  }
  float* squares(i64 count) {
    float* const x = (*this)(count);
    for (i64 i = 0; i < count; ++i) x[i] *= x[i];
    return x;
  }
  template <class Args> Call<Args> call(const Args& args) { return call(args, args.bytes()); }
  template <class Args> Call<Args> call(const Args& args, double bytes) { return {args, bytes, std::move(memory_)}; }

 private:
  Context<Cpu>* ctx_;
  std::vector<HostTensor<float>> memory_;
};

template <class Args> double flops_of(const Args& args) {
  if constexpr (requires { args.flops(); }) {
    return args.flops();
  } else {
    return 0;
  }
}

template <class Make> void measure(benchmark::State& state, Machine& machine, const Make& make) {
  constexpr double turned_over = 128.0 * (1 << 20);  // bytes: several times the last cache
  std::vector<decltype(make(Buffers(machine.ctx)))> calls;
  double held = 0;
  while (calls.empty() || (held < turned_over && calls.size() < 16)) {
    calls.push_back(make(Buffers(machine.ctx)));
    held += calls.back().bytes;
  }
  for (const auto& call : calls) launch(machine.ctx, call.args);
  size_t next = 0;
  for (auto _ : state) {
    launch(machine.ctx, calls[next].args);
    next = (next + 1) % calls.size();
  }
  const double bytes = calls.front().bytes, flops = flops_of(calls.front().args);
  const auto rate = [](double value) {
    return benchmark::Counter(value, benchmark::Counter::kIsIterationInvariantRate);
  };
  state.counters["GB/s"] = rate(bytes * 1e-9);
  state.counters["%copy"] = rate(100 * bytes / machine.peaks.bytes);
  state.counters["GFLOP/s"] = rate(flops * 1e-9);
  state.counters["%peak"] = rate(100 * flops / machine.peaks.flops);
}

using Machines = std::vector<std::unique_ptr<Machine>>;

template <class Make> void add_kernel(const Machines& machines, const std::string& name, Make make) {
  for (const auto& machine : machines) {
    benchmark::RegisterBenchmark((name + "/threads:" + std::to_string(machine->threads)).c_str(),
                                 [&m = *machine, make](benchmark::State& state) { measure(state, m, make); })
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
  }
}

std::string sizes(std::initializer_list<i64> list) {
  std::string text;
  for (const i64 x : list) text.append(text.empty() ? "/" : "x").append(std::to_string(x));
  return text;
}

void add_map(const Machines& machines, i64 n) {
  add_kernel(machines, "add" + sizes({n}), [n](Buffers x) {
    return x.call(kernels::Add<float>{.out = {x(n), false}, .a = x(n), .b = x(n), .n = n});
  });
  add_kernel(machines, "gelu_forward" + sizes({n}), [n](Buffers x) {
    return x.call(kernels::MapForward<kernels::Gelu, float>{.y = x(n), .x = x(n), .n = n});
  });
  add_kernel(machines, "gelu_backward" + sizes({n}), [n](Buffers x) {
    return x.call(kernels::MapBackward<kernels::Gelu, float>{.dx = {x(n), false}, .dy = x(n), .x = x(n), .n = n});
  });
}

void add_column_sum(const Machines& machines, i64 rows, i64 cols) {
  using Args = kernels::ColumnSum<float>;
  add_kernel(machines, "column_sum" + sizes({rows, cols}), [=](Buffers x) {
    return x.call(Args{.out = {x(cols), false},
                       .partial = x(Args::blocks(rows) * cols),
                       .x = x(rows * cols),
                       .rows = rows,
                       .cols = cols,
                       .factor = 1});
  });
}

void add_layernorm(const Machines& machines, i64 rows, i64 cols) {
  const i64 n = rows * cols;
  add_kernel(machines, "layernorm_forward" + sizes({rows, cols}), [=](Buffers x) {
    return x.call(kernels::LayerNormForward<float>{.y = x(n),
                                                   .mean = x(rows),
                                                   .rstd = x(rows),
                                                   .x = x(n),
                                                   .gamma = x(cols),
                                                   .beta = x(cols),
                                                   .rows = rows,
                                                   .cols = cols,
                                                   .eps = 1e-6f});
  });
  using Backward = kernels::LayerNormBackward<float>;
  add_kernel(machines, "layernorm_backward" + sizes({rows, cols}), [=](Buffers x) {
    return x.call(Backward{.dx = {x(n), false},
                           .dgamma = {x(cols), false},
                           .dbeta = {x(cols), false},
                           .partial = x(2 * Backward::blocks(rows) * cols),
                           .dy = x(n),
                           .x = x(n),
                           .gamma = x(cols),
                           .mean = x(rows),
                           .rstd = x(rows),
                           .rows = rows,
                           .cols = cols});
  });
}

/// The three products of a linear layer: y = x W^T, dx = dy W, dW = dy^T x, with x (R,in) and W (out,in).
void add_linear(const Machines& machines, const std::string& name, i64 rows, i64 in, i64 out) {
  const auto product = [&](const std::string& form, i64 m, i64 n, i64 k, bool transpose_a, bool transpose_b) {
    add_kernel(machines, "gemm_" + form + "_" + name + sizes({m, n, k}), [=](Buffers x) {
      return x.call(kernels::Gemm<float>{.c = x(m * n),
                                         .a = x(m * k),
                                         .b = x(k * n),
                                         .bias = nullptr,
                                         .m = m,
                                         .n = n,
                                         .k = k,
                                         .stride_c = n,
                                         .stride_a = transpose_a ? m : k,
                                         .stride_b = transpose_b ? k : n,
                                         .transpose_a = transpose_a,
                                         .transpose_b = transpose_b,
                                         .add = false});
    });
  };
  product("y", rows, out, in, false, true);
  product("dx", rows, in, out, false, false);
  product("dw", out, in, rows, true, false);
}

void add_attention(const Machines& machines, i64 images, i64 heads, i64 tokens, i64 dim) {
  Segments list;
  list.add(images, tokens);
  const auto segments = std::make_shared<const Segments>(list);
  const i64 rows = segments->rows(), width = heads * dim;
  const auto shape = sizes({images * heads, tokens, dim});
  const float scale = 1 / std::sqrt(static_cast<float>(dim));
  add_kernel(machines, "attention_forward" + shape, [=](Buffers x) {
    return x.call(kernels::AttentionForward<float>{.out = x(rows * width),
                                                   .lse = x(rows * heads),
                                                   .class_map = nullptr,
                                                   .qkv = x(rows * 3 * width),
                                                   .segments = segments.get(),
                                                   .heads = heads,
                                                   .head_dim = dim,
                                                   .scale = scale});
  });
  add_kernel(machines, "attention_backward" + shape, [=](Buffers x) {
    return x.call(kernels::AttentionBackward<float>{.dqkv = {x(rows * 3 * width), false},
                                                    .dout = x(rows * width),
                                                    .out = x(rows * width),
                                                    .qkv = x(rows * 3 * width),
                                                    .lse = x(rows * heads),
                                                    .segments = segments.get(),
                                                    .heads = heads,
                                                    .head_dim = dim,
                                                    .scale = scale});
  });
}

void add_softmax(const Machines& machines, i64 rows, i64 cols) {
  add_kernel(machines, "softmax_forward" + sizes({rows, cols}), [=](Buffers x) {
    return x.call(kernels::SoftmaxForward<float>{
        .y = x(rows * cols), .x = x(rows * cols), .rows = rows, .cols = cols, .temperature = 1});
  });
}

void add_dino_loss(const Machines& machines, i64 views, i64 images, i64 outputs) {
  const i64 student = views * images, teacher = 2 * images;
  const auto shape = sizes({views, images, outputs});
  add_kernel(machines, "dino_loss_forward" + shape, [=](Buffers x) {
    return x.call(kernels::DinoLossForward<float>{.loss = x(1),
                                                  .entropy = x(1),
                                                  .lse_s = x(student),
                                                  .lse_t = x(teacher),
                                                  .batch_mean = nullptr,
                                                  .partial = x(2 * images),
                                                  .s = x(student * outputs),
                                                  .t = x(teacher * outputs),
                                                  .center = x(outputs),
                                                  .views = views,
                                                  .images = images,
                                                  .outputs = outputs,
                                                  .tau_s = 0.1f,
                                                  .tau_t = 0.04f});
  });
  add_kernel(machines, "dino_loss_backward" + shape, [=](Buffers x) {
    return x.call(kernels::DinoLossBackward<float>{.ds = {x(student * outputs), false},
                                                   .dloss = x(1),
                                                   .s = x(student * outputs),
                                                   .t = x(teacher * outputs),
                                                   .center = x(outputs),
                                                   .lse_s = x(student),
                                                   .lse_t = x(teacher),
                                                   .views = views,
                                                   .images = images,
                                                   .outputs = outputs,
                                                   .tau_s = 0.1f,
                                                   .tau_t = 0.04f});
  });
}

void add_optimizer(const Machines& machines, i64 n) {
  using Range = kernels::UpdateRange<float>;
  const auto packed = std::make_shared<const kernels::PackedRanges<float>>(
      std::vector<Range>{{.offset = 0, .n = n, .count = 1, .lr = 1, .decay = 1, .adapt = false}});
  add_kernel(machines, "adamw" + sizes({n}), [=](Buffers x) {
    const double bytes = 7.0 * static_cast<double>(n) * sizeof(float);  // reads p, m, v, g; writes p, m, v
    return x.call(kernels::AdamW<float>{.p = x(n),
                                        .copy = nullptr,
                                        .m = x(n),
                                        .v = x.squares(n),
                                        .g = x(n),
                                        .ranges = packed->at(packed->words.data()),
                                        .lr = 5e-4,
                                        .weight_decay = 0.04,
                                        .clip_norm = nullptr,
                                        .clip = 0,
                                        .beta1 = 0.9,
                                        .beta2 = 0.999,
                                        .eps = 1e-8},
                  bytes);
  });
  add_kernel(machines, "ema" + sizes({n}), [=](Buffers x) {
    return x.call(kernels::Ema<float>{.average = x(n), .copy = nullptr, .p = x(n), .n = n, .momentum = 0.996f});
  });
}

/// One line for each kernel: the median of the repetitions, and how far apart they lie.
class MedianReporter : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context& context) override {
    PrintBasicContext(&std::cerr, context);
    std::printf("%-46s %10s %8s %8s %8s %9s %8s\n", "kernel", "us", "spread", "GB/s", "% copy", "GFLOP/s", "% peak");
    return true;
  }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const auto& run : runs) {
      if (run.run_type == Run::RT_Iteration) {
        const double time = run.GetAdjustedRealTime();
        shortest_ = run.repetition_index > 0 ? std::min(shortest_, time) : time;
        longest_ = run.repetition_index > 0 ? std::max(longest_, time) : time;
      }
      const bool alone = run.run_type == Run::RT_Iteration && run.repetitions <= 1;
      if (alone || run.aggregate_name == "median") print(run);
    }
  }

 private:
  void print(const Run& run) const {
    const auto counter = [&](const char* name) { return run.counters.at(name).value; };
    std::printf("%-46s %10.1f %7.1f%% %8.2f %7.1f%%", run.run_name.function_name.c_str(), run.GetAdjustedRealTime(),
                100 * (longest_ / shortest_ - 1), counter("GB/s"), counter("%copy"));
    if (counter("GFLOP/s") > 0) std::printf(" %9.2f %7.1f%%", counter("GFLOP/s"), counter("%peak"));
    std::printf("\n");
    std::fflush(stdout);
  }

  double shortest_ = 0, longest_ = 0;
};

void add_all(const Machines& machines) {
  add_map(machines, 1576 * 1536);  // ViT-S, eight images of 197 tokens
  add_column_sum(machines, 1576, 1536);
  for (const i64 rows : {1576, 25216}) add_layernorm(machines, rows, 384);
  add_linear(machines, "qkv", 1576, 384, 1152);
  add_linear(machines, "proj", 1576, 384, 384);
  add_linear(machines, "fc1", 1576, 384, 1536);
  add_linear(machines, "fc2", 1576, 1536, 384);
  add_linear(machines, "cifar_fc1", 8320, 192, 768);
  add_linear(machines, "head", 80, 256, 65536);
  add_attention(machines, 8, 6, 197, 64);   // ViT-S, global crops
  add_attention(machines, 64, 6, 37, 64);   // ViT-S, local crops
  add_attention(machines, 128, 3, 65, 64);  // ViT-Ti/4, CIFAR global crops
  add_attention(machines, 384, 3, 17, 64);  // ViT-Ti/4, CIFAR local crops
  add_softmax(machines, 80, 65536);
  add_dino_loss(machines, 10, 4, 65536);
  add_optimizer(machines, 22 << 20);  // ViT-S
}

void report_peaks(const Machine& machine, const Peaks& peaks, const char* when) {
  std::printf("%s, %lld threads: %.1f GFLOP/s float multiply-add, %.1f GB/s copy (read + written)\n", when,
              static_cast<long long>(machine.threads), peaks.flops * 1e-9, peaks.bytes * 1e-9);
}

int run(int argc, char** argv) {
  std::string repetitions = "--benchmark_repetitions=7", min_time = "--benchmark_min_time=0.05";
  std::vector<char*> arguments{argv[0], repetitions.data(), min_time.data()};  // defaults; the caller's come later
  arguments.insert(arguments.end(), argv + 1, argv + argc);
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;

  Machines machines;
  machines.push_back(std::make_unique<Machine>(1));
  auto all = std::make_unique<Machine>(0);
  if (all->threads > 1) machines.push_back(std::move(all));
  for (const auto& machine : machines) {
    report_peaks(*machine, machine->peaks, "before");
    const auto threads = std::to_string(machine->threads);
    benchmark::AddCustomContext("peak_gflops_threads_" + threads, str("{}", machine->peaks.flops * 1e-9));
    benchmark::AddCustomContext("copy_gbytes_threads_" + threads, str("{}", machine->peaks.bytes * 1e-9));
  }
  benchmark::AddCustomContext("compiler", __VERSION__);
  benchmark::AddCustomContext("vector_bytes", str("{}", vector_bytes));
  add_all(machines);

  MedianReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  for (const auto& machine : machines) {
    const auto after = measure_peaks(machine->ctx);
    report_peaks(*machine, after, "after");
    const double flops = after.flops / machine->peaks.flops, bytes = after.bytes / machine->peaks.bytes;
    if (std::max(flops, 1 / flops) > 1.05 || std::max(bytes, 1 / bytes) > 1.25) {
      std::printf("the peaks moved during this run: its percentages say little, repeat it\n");
    }
  }
  return 0;
}

}  // namespace dino::bench

int main(int argc, char** argv) {
  try {
    return dino::bench::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_kernels: %s\n", error.what());
    return 70;
  }
}
