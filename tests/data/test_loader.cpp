#include <dino/data/loader.hpp>

#include "support/catch.hpp"

#include <atomic>

using namespace dino;

namespace {

/// 31 pictures of one pixel that holds their number; some cannot be read.
struct Numbers {
  i64 count = 31;
  std::set<i64> damaged = {};
  i64 crash = -1;
  i64 size() const { return count; }
  i64 label(i64 i) const { return i % 4; }
  std::string name(i64 i) const { return str("train/{}.png", i); }
  Sample get(i64 i) const {
    if (i == crash) throw std::runtime_error("disk on fire");
    if (damaged.count(i) > 0) fail(ErrorKind::data, "{}: premature end of file", name(i));
    Sample sample{Image(1, 1), label(i), name(i)};
    sample.image.pixels = {static_cast<u8>(i), 7, 9};
    return sample;
  }
};

struct Size {
  i64 crops, height, width;
};

/// Two crops of 2x2 and three of 1x3, filled with numbers that depend on everything that they may depend on.
struct Crops {
  std::vector<Size> groups() const { return {{2, 2, 2}, {3, 1, 3}}; }
  void write(const Image& image, u64 epoch, i64 sample, i64 crop, float* out) const {
    const i64 values = crop < 2 ? 12 : 9;
    const RngKey key(epoch, static_cast<u64>(crop));
    for (i64 k = 0; k < values; ++k) {
      out[k] = static_cast<float>(image.pixels[0]) + RngKey(key).uniform(static_cast<u64>(100 * sample + k));
    }
  }
};
static_assert(CropTransform<Crops>);

struct Record {
  std::vector<std::vector<float>> groups;
  std::vector<i64> indices, labels;
  u64 epoch;
  i64 step, bad;
  friend bool operator==(const Record&, const Record&) = default;
};

LoaderOptions options(i64 workers) {
  LoaderOptions o;
  o.batch = 7;
  o.seed = 5;
  o.workers = workers;
  o.on_bad = [](const BadSample&) {};
  return o;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

Record record(const Batch& b) { return {b.groups, b.indices, b.labels, b.epoch, b.step, b.bad_samples}; }

std::vector<Record> take(const AnyDataset& dataset, const LoaderOptions& o, i64 steps) {
  const LogSink old = set_log_sink({});
  Loader loader(dataset, Crops{}, o);
  std::vector<Record> out;
  for (i64 s = 0; s < steps; ++s) out.push_back(record(loader.next()));
  set_log_sink(old);
  return out;
}

std::string failure(const AnyDataset& dataset, const LoaderOptions& o, ErrorKind kind) {
  const LogSink old = set_log_sink({});
  std::string what = "nothing was thrown";
  try {
    Loader loader(dataset, Crops{}, o);
    for (i64 s = 0; s < 200; ++s) loader.next();
  } catch (const Error& e) {
    what = e.what();
    CHECK(e.kind() == kind);
  }
  set_log_sink(old);
  return what;
}

}  // namespace

TEST_CASE("loader: crops stand crop-major, with the labels of their images", "[data]") {
  Loader loader(Numbers{}, Crops{}, options(0));
  REQUIRE(loader.steps_per_epoch() == 4);
  const Batch& batch = loader.next();
  REQUIRE(batch.images == 7);
  REQUIRE(batch.groups.size() == 2);
  REQUIRE(batch.groups[0].size() == 2 * 7 * 12);
  REQUIRE(batch.groups[1].size() == 3 * 7 * 9);
  for (i64 b = 0; b < 7; ++b) {
    const i64 index = batch.indices[static_cast<size_t>(b)];
    CHECK(batch.labels[static_cast<size_t>(b)] == index % 4);
    Image image(1, 1);
    image.pixels[0] = static_cast<u8>(index);
    for (i64 crop = 0; crop < 5; ++crop) {
      std::vector<float> want(crop < 2 ? 12 : 9);
      Crops{}.write(image, 0, index, crop, want.data());
      const size_t width = want.size();
      const i64 row = crop < 2 ? crop * 7 + b : (crop - 2) * 7 + b;
      const auto begin = batch.groups[crop < 2 ? 0 : 1].begin() + row * static_cast<i64>(width);
      CHECK(std::vector<float>(begin, begin + static_cast<i64>(width)) == want);
    }
  }
}

TEST_CASE("loader: equal bits for 0, 1, 3 and 5 workers, with images that cannot be read", "[data]") {
  const AnyDataset dataset = Numbers{31, {3, 4, 20}};
  const auto want = take(dataset, options(0), 11);
  i64 bad = 0;
  for (const Record& r : want) {
    bad += r.bad;
    for (const i64 i : r.indices) CHECK((i != 3 && i != 4 && i != 20));
  }
  CHECK(bad >= 3);
  CHECK(want[3].step == 3);
  CHECK(want[4].epoch == 1);
  CHECK(want[4].step == 0);
  for (const i64 workers : {1, 3, 5}) {
    LoaderOptions o = options(workers);
    o.prefetch = workers;
    CAPTURE(workers);
    CHECK(take(dataset, o, 11) == want);
  }
}

TEST_CASE("loader: starting in the middle gives the batches of an uninterrupted run", "[data]") {
  const AnyDataset dataset = Numbers{31, {3, 4, 20}};
  const auto whole = take(dataset, options(3), 11);
  for (const i64 workers : {0, 3}) {
    Loader loader(dataset, Crops{}, options(workers));
    const LogSink old = set_log_sink({});
    for (i64 s = 0; s < 6; ++s) loader.next();
    set_log_sink(old);
    CHECK(loader.position() == Cursor{1, 2});
    LoaderOptions o = options(3 - workers);
    o.start = loader.position();
    const auto rest = take(dataset, o, 5);
    CHECK(rest == std::vector<Record>(whole.begin() + 6, whole.end()));
  }
}

TEST_CASE("loader: in order, the last batch is smaller and the epochs go on", "[data]") {
  LoaderOptions o = options(2);
  o.shuffle = false;
  const auto batches = take(Numbers{10}, o, 3);
  CHECK(batches[0].indices == std::vector<i64>{0, 1, 2, 3, 4, 5, 6});
  CHECK(batches[1].indices == std::vector<i64>{7, 8, 9});
  CHECK(batches[1].groups[0].size() == 2 * 3 * 12);
  CHECK(batches[2].indices == batches[0].indices);
  CHECK(batches[2].epoch == 1);
}

TEST_CASE("loader: the ranks share the batch of one process", "[data]") {
  LoaderOptions o = options(0);
  o.batch = 6;
  const auto whole = take(Numbers{}, o, 5);
  o.ranks = 2;
  const auto first = take(Numbers{}, o, 5);
  o.rank = 1;
  const auto second = take(Numbers{}, o, 5);
  for (size_t s = 0; s < 5; ++s) {
    auto joined = first[s].indices;
    joined.insert(joined.end(), second[s].indices.begin(), second[s].indices.end());
    CHECK(joined == whole[s].indices);
  }
  o.batch = 7;
  CHECK(failure(Numbers{}, o, ErrorKind::usage) == "batch size 7 cannot be shared equally by 2 processes");
}

TEST_CASE("loader: a bad image is named once, logged and reported", "[data]") {
  std::vector<std::string> log;
  const LogSink old = set_log_sink([&](LogLevel, const std::string& message) { log.push_back(message); });
  std::vector<BadSample> seen;
  LoaderOptions o = options(2);
  o.on_bad = [&](const BadSample& bad) { seen.push_back(bad); };
  {
    Loader loader(Numbers{28, {11}}, Crops{}, o);
    for (i64 s = 0; s < 12; ++s) loader.next();  // three epochs of all images
    CHECK(loader.bad().size() == 1);
  }
  set_log_sink(old);
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].index == 11);
  CHECK(seen[0].name == "train/11.png");
  CHECK(seen[0].reason == "premature end of file");
  CHECK(seen[0].epoch == 0);
  CHECK(log == std::vector<std::string>{"bad image (#1): train/11.png: premature end of file; skipped"});
}

TEST_CASE("loader: ten bad images are allowed, eleven are too many", "[data]") {
  std::set<i64> damaged;
  for (i64 i = 0; i < 10; ++i) damaged.insert(3 * i);
  CHECK(take(Numbers{100, damaged}, options(2), 30).size() == 30);
  damaged.insert(99);
  for (const i64 workers : {0, 3}) {
    const std::string what = failure(Numbers{100, damaged}, options(workers), ErrorKind::data);
    CHECK(contains(what, "11 of 100 images cannot be read, 10 are allowed. The last one: train/"));
    CHECK(contains(what, "premature end of file. Repair the data, or raise max_bad_fraction (now 0.001)"));
  }
  LoaderOptions o = options(3);
  o.max_bad_fraction = 0.11;
  CHECK(take(Numbers{100, damaged}, o, 30).size() == 30);
}

TEST_CASE("loader: a data set without one readable image ends with an error", "[data]") {
  std::set<i64> all;
  for (i64 i = 0; i < 8; ++i) all.insert(i);
  const std::string what = failure(Numbers{8, all}, options(2), ErrorKind::data);
  CHECK(contains(what, "premature end of file (while reading train/"));
}

TEST_CASE("loader: an exception in a worker reaches the caller with the name of the image", "[data]") {
  CHECK(failure(Numbers{31, {}, 17}, options(0), ErrorKind::internal) ==
        "loader: disk on fire (while reading train/17.png)");
  for (const i64 workers : {1, 5}) {
    const std::string what = failure(Numbers{31, {}, 17}, options(workers), ErrorKind::internal);
    CHECK(what.rfind("loader worker ", 0) == 0);
    CHECK(contains(what, ": disk on fire (while reading train/17.png)"));
  }
}

TEST_CASE("loader: it may be destroyed at any time", "[data]") {
  i64 made = 0;
  for (i64 steps = 0; steps < 6; ++steps) {
    LoaderOptions o = options(4);
    o.prefetch = 3;
    Loader loader(Numbers{}, Crops{}, o);
    for (i64 s = 0; s < steps; ++s) made += loader.next().images;
  }
  CHECK(made == 7 * 15);
}

TEST_CASE("loader: buffers are used again and waiting is measured", "[data]") {
  Loader loader(Numbers{}, Crops{}, options(1));
  std::set<const float*> buffers;
  for (i64 s = 0; s < 20; ++s) {
    const Batch& batch = loader.next();
    buffers.insert(batch.groups[0].data());
    CHECK(batch.wait_seconds >= 0.0);
    CHECK(batch.wait_seconds < 60.0);
  }
  CHECK(buffers.size() == 3);  // two batches ahead and the one in use
}

TEST_CASE("loader: impossible settings are refused before any thread starts", "[data]") {
  CHECK(failure(Numbers{6}, options(2), ErrorKind::data) ==
        "6 images cannot fill a batch of 7. Use more images or a smaller batch");
  LoaderOptions o = options(-1);
  CHECK(failure(Numbers{}, o, ErrorKind::usage) == "loader: -1 workers, 2 batches ahead");
  o = options(1);
  o.start = {0, 4};
  CHECK(failure(Numbers{}, o, ErrorKind::internal) == "loader: start at step 4 of 4");
}
