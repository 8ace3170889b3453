// The op that docs/adding_an_op.md builds, and the check that the page quotes this file and the library word for word.
#include <dino/autograd/gradcheck.hpp>

#include "support/catch.hpp"
#include "support/quotations.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

namespace dino::inline DINO_ABI::kernels {

/// y = x * gain, one gain per column.
template <class T> struct ChannelScaleForward {
  T* y;               // (R,C)
  const T *x, *gain;  // (R,C) (C)
  i64 rows, cols;
};

/// dx = dy * gain          dgain = sum_r dy * x
template <class T> struct ChannelScaleBackward {
  Target<T> dx;            // (R,C)
  Target<acc_t<T>> dgain;  // (C)
  const T *dy, *x, *gain;  // (R,C) (R,C) (C)
  i64 rows, cols;
};

template <class T> void launch(Context<Cpu>& ctx, const ChannelScaleForward<T>& a) {
  parallel_rows(ctx, a.rows, a.cols, [&](i64 r) {
    for (i64 c = 0; c < a.cols; ++c) a.y[r * a.cols + c] = a.x[r * a.cols + c] * a.gain[c];
  });
}

template <class T> void launch(Context<Cpu>& ctx, const ChannelScaleBackward<T>& a) {
  if (a.dx) {
    parallel_rows(ctx, a.rows, a.cols, [&](i64 r) {
      for (i64 c = 0; c < a.cols; ++c) a.dx.put(r * a.cols + c, a.dy[r * a.cols + c] * a.gain[c]);
    });
  }
  if (a.dgain) {
    parallel_rows(ctx, a.cols, a.rows, [&](i64 c) {  // a column belongs to one thread: its sum has a fixed order
      acc_t<T> sum = 0;
      for (i64 r = 0; r < a.rows; ++r) sum += a.dy[r * a.cols + c] * a.x[r * a.cols + c];
      a.dgain.put(c, sum);
    });
  }
}

}  // namespace dino::inline DINO_ABI::kernels

namespace dino::inline DINO_ABI {

namespace ops {

template <class T, class D> struct ChannelScale {
  struct Attr {};
  struct Saved {
    Tensor<T, D> x, gain;
  };

  static Tensor<T, D> forward(const Attr&, const Tensor<T, D>& input, const Tensor<T, D>& gain, Saved* keep) {
    require(gain.shape() == Shape{input.cols()}, "channel_scale: x is {}, gain is {}", input, gain);
    const auto x = contiguous(input);
    Tensor<T, D> y(x.ctx(), x.shape());
    launch(x.ctx(), kernels::ChannelScaleForward<T>{
                        .y = y.data(), .x = x.data(), .gain = gain.data(), .rows = x.rows(), .cols = x.cols()});
    if (keep) *keep = {x, gain};
    return y;
  }

  static void backward(Context<D>& ctx, Saved& s, const Tensor<T, D>& dy, Grad<T, D> dx, Grad<acc_t<T>, D> dgain) {
    launch(ctx, kernels::ChannelScaleBackward<T>{.dx = dx.open(),
                                                 .dgain = dgain.open(),
                                                 .dy = dy.data(),
                                                 .x = s.x.data(),
                                                 .gain = s.gain.data(),
                                                 .rows = s.x.rows(),
                                                 .cols = s.x.cols()});
  }
};

}  // namespace ops

/// y = x * gain over the last axis.  x: (...,C).  gain: (C).  Throws if gain is not (C). Keeps both.
template <class X> auto channel_scale(const X& x, const auto& gain) {
  return apply<ops::ChannelScale<typename X::Scalar, typename X::Device>>({}, x, gain);
}

}  // namespace dino::inline DINO_ABI

using namespace dino;

TEST_CASE("channel_scale: values by hand") {
  Context<Cpu> ctx(2);
  const auto y = channel_scale(tensor<float>(ctx, {2, 3}, {1, 2, 3, 4, 5, 6}), tensor<float>(ctx, {3}, {1, 10, -1}));
  REQUIRE(to_vector(y) == std::vector<float>{1, 20, -3, 4, 50, -6});
}

TEST_CASE("channel_scale: gradients match central differences") {
  Context<Cpu> ctx(2);
  const auto [rows, cols] = GENERATE(table<i64, i64>({{1, 1}, {5, 7}, {3, 64}}));
  const auto x = randn<double>(ctx, {rows, cols}, RngKey(1, 0)), gain = randn<double>(ctx, {cols}, RngKey(1, 1));
  REQUIRE(gradcheck([](auto a, auto b) { return channel_scale(a, b); }, x, gain) < 1e-8);
}

TEST_CASE("channel_scale: a wrong gain is named with both shapes") {
  Context<Cpu> ctx(1);
  const auto x = zeros<float>(ctx, {2, 3}), gain = zeros<float>(ctx, {4});
  REQUIRE_THROWS_WITH(channel_scale(x, gain), "channel_scale: x is (2,3), gain is (4)");
}

namespace {

/// A block of code in the page, and the file that the last `path`: before it names. A line "..." stands for lines left
/// out.
struct Excerpt {
  std::string path;
  std::vector<std::string> pieces;
};

std::vector<Excerpt> excerpts(const std::string& page) {
  std::vector<Excerpt> found;
  std::istringstream lines(page);
  std::string path;
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    const auto end = line.find("`:");
    if (line.starts_with("```")) {
      inside = !inside;
      if (inside) found.push_back({path, {""}});
    } else if (inside && line == "...") {
      found.back().pieces.emplace_back();
    } else if (inside) {
      found.back().pieces.back() += line + '\n';
    } else if (end != std::string::npos && end > 0) {
      const auto begin = line.rfind('`', end - 1);
      path = begin == std::string::npos ? "" : line.substr(begin + 1, end - begin - 1);
    }
  }
  return found;
}

}  // namespace

TEST_CASE("adding an op: the page quotes the files that it names") {
  const auto root = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  const auto all = excerpts(read_text(root / "docs/adding_an_op.md"));
  REQUIRE(all.size() >= 10);
  for (const auto& excerpt : all) {
    const auto text = words(read_text(root / excerpt.path));
    size_t at = 0;
    for (const auto& piece : excerpt.pieces) {
      INFO(excerpt.path << " does not contain, in this order,\n" << piece);
      at = text.find(words(piece), at);
      REQUIRE(at != std::string::npos);
    }
  }
}
