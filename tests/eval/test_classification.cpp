#include <dino/eval/classification.hpp>

#include "support/golden.hpp"

using namespace dino;

namespace {

using Floats = std::vector<float>;

ClassificationMetrics measured(i64 classes, const Floats& logits, const std::vector<i64>& labels) {
  ClassificationMetrics m(classes);
  m.add(std::span<const float>(logits), labels);
  return m;
}

}  // namespace

TEST_CASE("classification: counts, accuracies and loss of a small table", "[eval]") {
  const auto m = measured(3, {2, 1, 0, 0, 3, 1, 5, 0, 0, 0, 0, 1}, {0, 1, 1, 2});
  CHECK(m.images() == 4);
  CHECK(m.top1() == 75);
  CHECK(m.top5() == 100);  // three classes: each is among the first five
  CHECK(m.class_accuracy(0) == 100);
  CHECK(m.class_accuracy(1) == 50);
  CHECK(m.class_accuracy(2) == 100);
  CHECK(m.mean_class_accuracy() == Approx(250.0 / 3));
  CHECK(m.confusion(1, 0) == 1);
  CHECK(m.confusion(0, 1) == 0);
  CHECK(m.images_of(1) == 2);
  // torch.nn.functional.cross_entropy of the same table, in double
  CHECK(m.loss() == Approx((0.4076059644443803 + 0.16984601955628 + 5.013385653102134 + 0.5514447139320511) / 4));
}

TEST_CASE("classification: batches add up", "[eval]") {
  const Floats logits{2, 1, 0, 0, 3, 1, 5, 0, 0, 0, 0, 1};
  const auto whole = measured(3, logits, {0, 1, 1, 2});
  ClassificationMetrics parts(3);
  for (i64 i = 0; i < 4; ++i) {
    const std::vector<i64> label{std::vector<i64>{0, 1, 1, 2}[static_cast<size_t>(i)]};
    parts.add(std::span<const float>(logits).subspan(static_cast<size_t>(3 * i), 3), label);
  }
  CHECK(parts.top1() == whole.top1());
  CHECK(parts.loss() == Approx(whole.loss()));
  CHECK(parts.confusion(1, 0) == whole.confusion(1, 0));
}

TEST_CASE("classification: the rank decides on top-5, and equal scores go to the lower class", "[eval]") {
  const Floats falling{9, 8, 7, 6, 5, 4, 3};
  for (i64 label = 0; label < 7; ++label) {
    const auto m = measured(7, falling, {label});
    CHECK(m.top1() == (label == 0 ? 100 : 0));
    CHECK(m.top5() == (label < 5 ? 100 : 0));
    CHECK(m.confusion(label, 0) == 1);
  }
  const Floats equal(7, 1.0f);
  CHECK(measured(7, equal, {0}).top1() == 100);
  CHECK(measured(7, equal, {4}).top1() == 0);
  CHECK(measured(7, equal, {4}).top5() == 100);
  CHECK(measured(7, equal, {5}).top5() == 0);
}

TEST_CASE("classification: what is not a number is never right by accident", "[eval]") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const auto m = measured(3, {1, nan, 0, nan, nan, nan, 0, inf, 0}, {0, 2, 1});
  CHECK(m.confusion(0, 1) == 1);  // the NaN stands first
  CHECK(m.confusion(2, 0) == 1);  // all equal: the lower class
  CHECK(m.confusion(1, 1) == 1);
  CHECK(m.top1() == Approx(100.0 / 3));
  CHECK(std::isnan(m.loss()));
}

TEST_CASE("classification: votes have no loss, and nothing counted is NaN", "[eval]") {
  ClassificationMetrics m(2);
  CHECK(std::isnan(m.top1()));
  CHECK(std::isnan(m.mean_class_accuracy()));
  const std::vector<double> votes{1, 3};
  m.add_votes(std::span<const double>(votes), 1);
  CHECK(m.top1() == 100);
  CHECK(!m.has_loss());
  CHECK(std::isnan(m.loss()));
  CHECK(std::isnan(m.class_accuracy(0)));
  CHECK(m.mean_class_accuracy() == 100);
  Record record("eval");
  add_classification(record, m);
  CHECK(to_json(record) == R"({"kind":"eval","images":1,"top1":100,"mean_class_accuracy":100})");
}

TEST_CASE("classification: tables with the names of the classes", "[eval]") {
  const auto m = measured(3, {2, 1, 0, 0, 3, 1, 5, 0, 0}, {0, 1, 1});
  const std::vector<std::string> names{"cat", "dog, wet", "the \"fox\""};
  CHECK(class_accuracy_csv(m, names) ==
        "class,name,images,correct,accuracy\n0,cat,1,1,100\n1,\"dog, wet\",2,1,50\n2,\"the \"\"fox\"\"\",0,0,\n");
  CHECK(confusion_csv(m, names) ==
        "truth \\ prediction,cat,\"dog, wet\",\"the \"\"fox\"\"\"\ncat,1,0,0\n\"dog, wet\",1,1,0\n"
        "\"the \"\"fox\"\"\",0,0,0\n");
  CHECK_THROWS_WITH(confusion_csv(m, {"cat"}), contains("1 names for 3 classes"));
}

TEST_CASE("classification: wrong sizes and labels are refused", "[eval]") {
  CHECK_THROWS_WITH(measured(3, {1, 2, 3}, {3}), contains("label 3 for 3 classes"));
  CHECK_THROWS_WITH(measured(3, {1, 2, 3}, {-1}), contains("label -1 for 3 classes"));
  CHECK_THROWS_WITH(measured(3, {1, 2}, {0}), contains("2 logits for 1 labels and 3 classes"));
  CHECK_THROWS_WITH(ClassificationMetrics(0), contains("0 classes"));
}
