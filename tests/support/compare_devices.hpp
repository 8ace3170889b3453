// A kernel on CUDA against the same kernel on the CPU in double. The files that use it are compiled twice: for the host
// executor, where each case runs in three schedules, one of them on two threads, with equal bits, and for a device,
// where it runs twice.
#pragma once

#include <dino/device/cpu.hpp>
#include <dino/device/cuda_context.hpp>
#include <dino/tensor/create.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

namespace compare {

using namespace dino;

/// Relative to the largest value of an output. value: of 16-bit outputs; acc: of float ones.
struct Tolerance {
  double value = 8e-3, acc = 1e-5;
};

/// Moves every pointer to T by one element: no row is aligned for packs.
struct Shifted {};

/// What a kernel has written, and whether it is of T, of acc_t<T>, or an index.
struct Output {
  enum class Kind { value, acc, index } kind;
  std::vector<double> values;
  std::vector<std::byte> bytes;
};

/// Memory of one run. The k-th buffer holds the same numbers on every device: Test is the type they are rounded to.
template <class T, class D, class Test> class Run {
 public:
  using Scalar = T;
  Context<D>& ctx;

  Run(Context<D>& context, i64 shift) : ctx(context), shift_(shift) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run() {
    for (const auto& b : blocks_) ctx.pool().release(b.block);
  }

  const T* in(i64 n) { return values(normals(n)); }
  const acc_t<T>* acc_in(i64 n) { return acc_values(normals(n)); }
  const T* values(const std::vector<double>& list) { return keep(convert<T, Test>(list), shift_); }
  const acc_t<T>* acc_values(const std::vector<double>& list) { return keep(convert<acc_t<T>, float>(list), 0); }
  const i64* index(const std::vector<i64>& list) { return keep(list, 0); }
  acc_t<T>* scratch(i64 n) { return keep(nan<acc_t<T>>(n), 0); }

  T* out(i64 n) { return track(Output::Kind::value, keep(nan<T>(n), shift_)); }
  acc_t<T>* acc_out(i64 n) { return track(Output::Kind::acc, keep(nan<acc_t<T>>(n), 0)); }
  i64* index_out(i64 n) { return track(Output::Kind::index, keep(std::vector<i64>(static_cast<size_t>(n), -1), 0)); }
  T* inout(i64 n) { return track(Output::Kind::value, keep(convert<T, Test>(normals(n)), shift_)); }
  acc_t<T>* acc_inout(i64 n) { return track(Output::Kind::acc, keep(convert<acc_t<T>, float>(normals(n)), 0)); }

  /// What stands in the outputs now; checks the guards around every buffer.
  std::vector<Output> outputs() {
    std::vector<Output> list;
    for (size_t i = 0; i < blocks_.size(); ++i) {
      const auto bytes = read(blocks_[i]);
      const auto guarded = [](std::byte b) { return b == guard_byte; };
      CHECK(std::all_of(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(blocks_[i].begin), guarded));
      CHECK(std::all_of(bytes.end() - static_cast<std::ptrdiff_t>(guard), bytes.end(), guarded));
    }
    for (const auto& [kind, at] : tracked_) {
      const auto bytes = read(blocks_[at]);
      const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(blocks_[at].begin);
      Output out{kind, {}, {begin, bytes.end() - static_cast<std::ptrdiff_t>(guard)}};
      if (kind == Output::Kind::value) out.values = numbers<T>(out.bytes);
      if (kind == Output::Kind::acc) out.values = numbers<acc_t<T>>(out.bytes);
      if (kind == Output::Kind::index) out.values = numbers<i64>(out.bytes);
      list.push_back(std::move(out));
    }
    return list;
  }

 private:
  struct Block {
    void* block;
    size_t begin, bytes;  // where the payload begins, and the size of all
  };
#if defined(DINO_ADDRESS_SANITIZER)
  static constexpr size_t front = 0, guard = 0;  // the sanitizer guards better
#else
  static constexpr size_t front = 256, guard = 64;
#endif
  static constexpr std::byte guard_byte{0xa5};

  std::vector<double> normals(i64 n) {
    std::vector<double> list(static_cast<size_t>(n));
    const RngKey key(7, stream_++);
    for (size_t i = 0; i < list.size(); ++i) list[i] = normal(key, static_cast<i64>(i));
    return list;
  }
  template <class To, class Rounded> static std::vector<To> convert(const std::vector<double>& list) {
    std::vector<To> out;
    for (const double x : list) {
      const auto rounded = static_cast<acc_t<To>>(to_acc(from_acc<Rounded>(static_cast<acc_t<Rounded>>(x))));
      out.push_back(from_acc<To>(rounded));
    }
    return out;
  }
  template <class N> static std::vector<N> nan(i64 n) {
    const float quiet = std::numeric_limits<float>::quiet_NaN();
    return std::vector<N>(static_cast<size_t>(n), from_acc<N>(static_cast<acc_t<N>>(quiet)));
  }

  template <class N> N* keep(const std::vector<N>& list, i64 shift) {
    const size_t begin = front + static_cast<size_t>(shift) * sizeof(N), payload = list.size() * sizeof(N);
    std::vector<std::byte> bytes(begin + payload + guard, guard_byte);
    if (payload > 0) std::memcpy(bytes.data() + begin, list.data(), payload);
    void* const block = ctx.pool().allocate(bytes.size());
    write(block, bytes);
    blocks_.push_back({block, begin, bytes.size()});
    return reinterpret_cast<N*>(static_cast<std::byte*>(block) + begin);
  }
  template <class N> N* track(Output::Kind kind, N* pointer) {
    tracked_.push_back({kind, blocks_.size() - 1});
    return pointer;
  }
  void write(void* to, const std::vector<std::byte>& bytes) {
    if (bytes.empty()) return;
    if constexpr (std::is_same_v<D, Cpu>) {
      std::memcpy(to, bytes.data(), bytes.size());
    } else {
      ctx.upload(to, bytes.data(), bytes.size());
    }
  }
  std::vector<std::byte> read(const Block& b) {
    std::vector<std::byte> bytes(b.bytes);
    if (bytes.empty()) return bytes;
    if constexpr (std::is_same_v<D, Cpu>) {
      std::memcpy(bytes.data(), b.block, b.bytes);
    } else {
      ctx.download(bytes.data(), b.block, b.bytes);
    }
    return bytes;
  }
  template <class N> static std::vector<double> numbers(const std::vector<std::byte>& bytes) {
    std::vector<N> list(bytes.size() / sizeof(N));
    if (!list.empty()) std::memcpy(list.data(), bytes.data(), bytes.size());
    std::vector<double> out;
    for (const N x : list) {
      if constexpr (std::is_integral_v<N>) {
        out.push_back(static_cast<double>(x));
      } else {
        out.push_back(static_cast<double>(to_acc(x)));
      }
    }
    return out;
  }

  i64 shift_;
  u64 stream_ = 0;
  std::vector<Block> blocks_;
  std::vector<std::pair<Output::Kind, size_t>> tracked_;
};

/// max |a - b| / max |b|; infinity where only one is a number.
inline double relative_error(const std::vector<double>& a, const std::vector<double>& b) {
  double worst = 0, largest = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    if (std::isnan(a[i]) || std::isnan(b[i])) return std::numeric_limits<double>::infinity();
    worst = std::max(worst, std::abs(a[i] - b[i]));
    largest = std::max(largest, std::abs(b[i]));
  }
  return largest > 0 ? worst / largest : worst;
}

template <class Test, class F> std::vector<Output> on_cuda(const F& f, i64 shift, [[maybe_unused]] int variant) {
  Context<Cuda> ctx;
#if DINO_CUDA == 2
  using simt::Schedule;
  ctx.machine().schedule = variant == 0 ? Schedule::forward : variant == 1 ? Schedule::reverse : Schedule::random;
  ctx.set_workers(variant == 2 ? 2 : 1);
#endif
  Run<Test, Cuda, Test> run(ctx, shift);
  f(run);
  return run.outputs();
}

template <class Test, class F> void compare(const Tolerance& tolerance, const F& f, i64 shift) {
  Context<Cpu> host(2);
  Run<double, Cpu, Test> reference(host, shift);
  f(reference);
  const auto expected = reference.outputs();
  REQUIRE(!expected.empty());
  const auto first = on_cuda<Test>(f, shift, 0);
  REQUIRE(first.size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    INFO("output " << i);
    if (expected[i].kind == Output::Kind::index) {
      CHECK(first[i].values == expected[i].values);
      continue;
    }
    const bool narrow = expected[i].kind == Output::Kind::value && sizeof(Test) == 2;
    CHECK(relative_error(first[i].values, expected[i].values) <= (narrow ? tolerance.value : tolerance.acc));
  }
#if DINO_CUDA == 2
  constexpr int variants = 3;
#else
  constexpr int variants = 2;
#endif
  for (int variant = 1; variant < variants; ++variant) {
    const auto again = on_cuda<Test>(f, shift, variant);
    for (size_t i = 0; i < first.size(); ++i) {
      INFO("output " << i << ", schedule " << variant);
      CHECK(again[i].bytes == first[i].bytes);
    }
  }
}

}  // namespace compare

using compare::Shifted;

/// f(run) launches a kernel on run.ctx with buffers of run; it is called for the CPU in double, and for CUDA in Test.
template <class Test, class F> void compare_devices(const compare::Tolerance& tolerance, const F& f) {
  compare::compare<Test>(tolerance, f, 0);
}
template <class Test, class F> void compare_devices(const compare::Tolerance& tolerance, const F& f, Shifted) {
  compare::compare<Test>(tolerance, f, 1);
}
