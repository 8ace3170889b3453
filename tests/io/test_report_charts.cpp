#include <dino/io/report_charts.hpp>

#include "support/catch.hpp"

using namespace dino;

namespace {

const double gap = std::numeric_limits<double>::quiet_NaN();

const ReportChart* named(const std::vector<ReportChart>& charts, const std::string& name) {
  const auto at = std::find_if(charts.begin(), charts.end(), [&](const ReportChart& c) { return c.name == name; });
  return at == charts.end() ? nullptr : &*at;
}

}  // namespace

TEST_CASE("report_charts: thinning averages buckets and keeps their extremes", "[io]") {
  const Series all{.name = "a", .x = {0, 1, 2, 3, 4, 5, 6}, .y = {1, 3, gap, 5, gap, gap, 7}};
  const Series thin = thinned(all, 4);
  CHECK(thin.x == std::vector<double>{0.5, 2.5, 4.5, 6});
  REQUIRE(thin.y.size() == 4);
  CHECK(thin.y[0] == 2);
  CHECK(thin.low[0] == 1);
  CHECK(thin.high[0] == 3);
  CHECK(thin.y[1] == 5);
  CHECK(std::isnan(thin.y[2]));
  CHECK(std::isnan(thin.low[2]));
  CHECK(thin.y[3] == 7);
  CHECK(thinned(all, 7).y.size() == 7);
  CHECK(thinned(all, 7).low.empty());
}

TEST_CASE("report_charts: a million lines become at most a thousand points", "[io]") {
  Series all{.name = "a", .x = std::vector<double>(1000001, 1), .y = std::vector<double>(1000001, 2)};
  const Series thin = thinned(all, 1000);
  CHECK(thin.x.size() <= 1000);
  CHECK(thin.y.back() == 2);
}

TEST_CASE("report_charts: steps give curves, and ln K is the level of loss and entropy", "[io]") {
  std::vector<Record> records;
  for (i64 s = 1; s <= 1200; ++s) {
    records.push_back(Record("step")
                          .set("step", s)
                          .set("epoch", 0.01 * static_cast<double>(s))
                          .set("loss", s == 5 ? gap : 8)
                          .set("teacher_entropy", 7)
                          .set("data_wait", 0.25));
  }
  const ReportCharts charts(records, std::log(4096.0));
  const auto all = charts.all();
  REQUIRE(named(all, "loss"));
  const ReportChart& loss = *named(all, "loss");
  CHECK(loss.chart.x_label == "epoch");
  REQUIRE(loss.chart.levels.size() == 1);
  CHECK(loss.chart.levels[0].label == "ln K = 8.32");
  CHECK(loss.chart.series[0].x.size() == 400);
  CHECK(loss.caption == "Values that are not finite, left out: 1.");
  CHECK(charts.thinning() ==
        "Each point is the mean of 3 consecutive lines of metrics.jsonl; a band shows the smallest and largest.");
  REQUIRE(named(all, "data_wait"));
  CHECK(named(all, "data_wait")->chart.series[0].y[0] == 25);
  CHECK(named(all, "data_wait")->chart.from_zero);
  CHECK(named(all, "lr") == nullptr);
  CHECK(named(all, "accuracy") == nullptr);
}

TEST_CASE("report_charts: a short run is drawn over steps, and without K there is no level", "[io]") {
  const std::vector<Record> records{Record("step").set("step", 1).set("epoch", 0.5).set("loss", 3),
                                    Record("step").set("step", 2).set("epoch", 1).set("loss", 2)};
  const auto all = ReportCharts(records, gap).all();
  REQUIRE(named(all, "loss"));
  CHECK(named(all, "loss")->chart.x_label == "step");
  CHECK(named(all, "loss")->chart.series[0].x == std::vector<double>{1, 2});
  CHECK(named(all, "loss")->chart.levels.empty());
}

TEST_CASE("report_charts: accuracies are series per k, baselines are levels", "[io]") {
  std::vector<Record> records;
  const auto knn = [](i64 step, i64 k, double top1) {
    return Record("eval").set("step", step).set("name", "knn").set("k", k).set("top1", top1);
  };
  records.push_back(Record("eval").set("step", 0).set("name", "knn_pixels").set("k", 20).set("top1", 43));
  records.push_back(Record("event").set("what", "baseline").set("detail", "untrained").set("top1", 34.1));
  for (const i64 k : {100, 20}) records.push_back(knn(10, k, 50.0 + static_cast<double>(k) / 100));
  records.push_back(knn(20, 20, 61));
  records.push_back(knn(30, 20, gap));
  const ReportCharts charts(records, gap);
  const auto all = charts.all();
  REQUIRE(named(all, "accuracy"));
  const LineChart& chart = named(all, "accuracy")->chart;
  REQUIRE(chart.series.size() == 2);
  CHECK(chart.series[0].name == "k-NN, k = 20");
  CHECK(chart.series[0].x == std::vector<double>{10, 20, 30});
  CHECK(chart.series[1].name == "k-NN, k = 100");
  REQUIRE(chart.levels.size() == 2);
  CHECK(chart.levels[0].label == "raw pixels 43.0 %");
  CHECK(chart.levels[1].label == "untrained 34.1 %");
  CHECK(charts.best_top1() == 61);
  CHECK(std::isnan(ReportCharts({}, gap).best_top1()));
  CHECK(ReportCharts({}, gap).all().empty());
}

TEST_CASE("report_charts: a gradient norm over decades gets a logarithmic axis", "[io]") {
  const auto run = [](double last) {
    return ReportCharts({Record("step").set("step", 1).set("grad_norm", 1),
                         Record("step").set("step", 2).set("grad_norm", last)},
                        gap)
        .all()
        .at(0)
        .chart.log_y;
  };
  CHECK(run(100));
  CHECK_FALSE(run(5));
}
