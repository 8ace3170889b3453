// The parts of training and evaluation by themselves: head, loss, optimizers, average, k-NN.
#include "items.hpp"

#include <dino/eval/knn.hpp>
#include <dino/io/weights.hpp>
#include <dino/nn/dino_head.hpp>
#include <dino/optim/ema.hpp>
#include <dino/optim/optimizer.hpp>
#include <dino/ssl/objective.hpp>

namespace parity {
namespace {

constexpr Tolerance head_outputs{1e-10, 1e-5}, head_gradients{1e-8, 1e-4}, lost_bias{1e-10, 1e-5};
constexpr Tolerance losses{1e-12, 1e-5}, centers{1e-13, 1e-6}, loss_gradients{1e-11, 1e-5};
constexpr Tolerance updates{1e-13, 1e-6}, averages{1e-14, 1e-6};
constexpr Tolerance votes{0, 1e-5}, accuracies{0, 1e-12};  // of percentages: a query counts 1 / m

template <class T> void check_head_in(Golden& file, HostContext& ctx, i64 dim, const DinoHeadConfig& c, Items& items) {
  ParamStore<T, HostDevice> params(ctx);
  const nn::DinoHead<T, HostDevice> head(Scope{params}, dim, c);
  params.finalize(0);
  load_parameters(params, file.state("weights."), "weights.", file.path());
  Tape<HostDevice> tape(ctx);
  const auto x = tape.leaf(file.tensor<T>(ctx, "features"));
  const auto y = head(x);
  items.add("logits", head_outputs, compare(file, y.value, "logits"));
  tape.backward(y, file.tensor<T>(ctx, "d_logits"));
  items.add("gradients", head_gradients, compare(file, tape.grad(x), "d_features"), "d_features");
  for (const auto& name : file.names_with("grad.")) {
    const i64 index = params.find(name);
    file.check(index >= 0 && params.has_grad(index), "tensor grad.{}: the head trains no such parameter", name);
    const auto difference = compare(file, params.grad(index), "grad." + name);
    if (before_batch_norm(name, c)) {
      const auto weight = file.values<double>("grad." + name.substr(0, name.size() - 4) + "weight");
      Difference size;  // of this gradient, zero in theory, against the one of the same layer's weight
      for (const double g : weight) size.add(g, g);
      for (const T g : to_vector(params.grad(index))) size.add(g, 0);
      items.add("bias before batch norm, of weight's", lost_bias, size, name);
      continue;
    }
    items.add("gradients", head_gradients, difference, name);
  }
}

template <class T> void check_loss_in(Golden& file, HostContext& ctx, const DinoObjectiveConfig& c, Items& items) {
  const auto temperatures = file.values<double>("teacher_temp");
  const auto steps = static_cast<i64>(temperatures.size());
  DinoObjective<T, HostDevice> objective(ctx, file.shape("student").cols(), c);
  std::vector<T> loss, center, gradient;
  const auto append = [](std::vector<T>& all, const HostTensor<T>& x) {
    const auto values = to_vector(x);
    all.insert(all.end(), values.begin(), values.end());
  };
  for (i64 step = 0; step < steps; ++step) {
    Tape<HostDevice> tape(ctx);
    const auto student = tape.leaf(file.part<T>(ctx, "student", step));
    const auto teacher = file.part<T>(ctx, "teacher", step);
    const auto y = objective.loss(student, teacher, temperatures[static_cast<size_t>(step)]);
    append(loss, y.value);
    tape.backward(y);
    append(gradient, tape.grad(student));
    objective.observe(teacher, teacher.rows());
    objective.update_center();
    append(center, objective.center());
  }
  items.add("loss", losses, compare<T>(file, loss, "loss"));
  items.add("center", centers, compare<T>(file, center, "center"));
  items.add("gradient", loss_gradients, compare<T>(file, gradient, "d_student"));
}

struct OptimizerFields {
  std::string name;
  double clip;
  i64 freeze_last_layer_steps;
};

template <class T> void check_optimizer_in(Golden& file, HostContext& ctx, const OptimizerFields& c, Items& items) {
  const auto rates = file.values<double>("lr"), decays = file.values<double>("weight_decay");
  file.check(rates.size() == decays.size(), "{} values of lr, {} of weight_decay", rates.size(), decays.size());
  const auto names = file.names_with("weights.");
  file.check(!names.empty(), "there are no tensors weights.*");
  ParamStore<T, HostDevice> params(ctx);
  for (const auto& name : names) params.add(name, file.shape("weights." + name), zeros_init);
  params.finalize(0);
  load_parameters(params, file.state("weights."), "weights.", file.path());
  Optimizer<T, HostDevice> optimizer(c.name, params);
  std::vector<std::vector<T>> history(names.size());
  for (size_t step = 0; step < rates.size(); ++step) {
    params.clear_grads();
    for (size_t i = 0; i < names.size(); ++i) {
      const auto gradient = file.part<T>(ctx, "gradient." + names[i], static_cast<i64>(step));
      Grad<T, HostDevice>(params.sink(static_cast<i64>(i))).accept(gradient);
    }
    const bool frozen = static_cast<i64>(step) < c.freeze_last_layer_steps;
    const UpdateSettings settings{
        .lr = rates[step], .weight_decay = decays[step], .clip = c.clip, .skip = [frozen](const ParamSegment& s) {
          return frozen && s.name.find("last_layer") != std::string::npos;
        }};
    auto plan = plan_update(params, settings);
    optimizer.step(plan, settings);
    for (size_t i = 0; i < names.size(); ++i) {
      const auto values = to_vector(params.value(static_cast<i64>(i)));
      history[i].insert(history[i].end(), values.begin(), values.end());
    }
  }
  for (size_t i = 0; i < names.size(); ++i)
    items.add("weights", updates, compare<T>(file, history[i], "updated." + names[i]), names[i]);
}

template <class T> void check_ema_in(Golden& file, HostContext& ctx, Items& items) {
  ParamStore<T, HostDevice> average(ctx), model(ctx);
  for (auto* store : {&average, &model}) {
    store->add("x", file.shape("average"), zeros_init);
    store->finalize(0);
  }
  average.assign(0, file.values<T>("average"));
  std::vector<T> history;
  const auto momenta = file.values<double>("momentum");
  for (size_t step = 0; step < momenta.size(); ++step) {
    model.assign(0, to_vector(file.part<T>(ctx, "model", static_cast<i64>(step))));
    ema_update(average, model, momenta[step]);
    const auto values = to_vector(average.value(0));
    history.insert(history.end(), values.begin(), values.end());
  }
  items.add("average", averages, compare<T>(file, history, "updated"));
}

FeatureSet features(Golden& file, HostContext& ctx, const std::string& name, const std::string& labels) {
  FeatureSet set;
  set.dim = file.shape(name).cols();
  set.values = file.values<float>(name);
  set.labels = file.values<i64>(labels);
  file.check(set.size() * set.dim == static_cast<i64>(set.values.size()), "{} is {} with {} labels", name,
             file.shape(name), set.size());
  normalize_rows(ctx, set);
  return set;
}

}  // namespace

std::vector<Item> check_head(Golden& file, HostContext& ctx) {
  DinoHeadConfig c;
  const i64 dim = file.integer("dim");
  c.outputs = file.integer("outputs");
  c.layers = file.integer("layers");
  c.hidden = file.integer("hidden");
  c.bottleneck = file.integer("bottleneck");
  c.use_bn = file.flag("use_bn");
  c.norm_last_layer = file.flag("norm_last_layer");
  file.end_of_fields();
  return in_both_types(file, c.use_bn ? "head with batch norm" : "head",
                       [&]<class T>(T, Items& items) { check_head_in<T>(file, ctx, dim, c, items); });
}

std::vector<Item> check_loss(Golden& file, HostContext& ctx) {
  const DinoObjectiveConfig c{file.real("student_temp"), file.real("center_momentum")};
  file.end_of_fields();
  return in_both_types(file, "loss", [&]<class T>(T, Items& items) { check_loss_in<T>(file, ctx, c, items); });
}

std::vector<Item> check_optimizer(Golden& file, HostContext& ctx) {
  const OptimizerFields c{file.text("optimizer"), file.real("clip"), file.integer("freeze_last_layer_steps")};
  file.end_of_fields();
  return in_both_types(file, c.name, [&]<class T>(T, Items& items) { check_optimizer_in<T>(file, ctx, c, items); });
}

std::vector<Item> check_ema(Golden& file, HostContext& ctx) {
  file.end_of_fields();
  return in_both_types(file, "ema", [&]<class T>(T, Items& items) { check_ema_in<T>(file, ctx, items); });
}

/// Features are float in dino, so this is checked in float alone.
std::vector<Item> check_knn(Golden& file, HostContext& ctx) {
  const double temperature = file.real("temperature");
  const i64 classes = file.integer("classes");
  file.end_of_fields();
  const auto bank = features(file, ctx, "bank", "bank_labels"),
             queries = features(file, ctx, "queries", "query_labels");
  for (const auto* labels : {&bank.labels, &queries.labels}) {
    for (const i64 label : *labels)
      file.check(0 <= label && label < classes, "a label {} of {} classes", label, classes);
  }
  Items items(file, "knn", false);
  const auto ks = file.names_with("votes.");
  file.check(!ks.empty(), "there are no tensors votes.*");
  for (const auto& text : ks) {
    const i64 k = std::atoll(text.c_str());
    file.check(k >= 1 && std::to_string(k) == text, "tensor votes.{}: its name must end in a number of neighbours",
               text);
    const auto found = nearest_neighbours(ctx, queries, bank, k);
    std::vector<double> all;
    for (i64 q = 0; q < queries.size(); ++q) {
      const auto own = knn_votes(found, bank.labels, q, k, classes, temperature);
      all.insert(all.end(), own.begin(), own.end());
    }
    items.add("votes", votes, compare<double>(file, all, "votes." + text), "votes." + text);
    const auto score = knn_accuracy(ctx, queries, bank, {k}, temperature).front();
    const std::vector<double> accuracy{score.top1, score.top5};
    items.add("accuracy", accuracies, compare<double>(file, accuracy, "accuracy." + text), "accuracy." + text);
  }
  file.end_of_tensors();
  return items.list();
}

}  // namespace parity
