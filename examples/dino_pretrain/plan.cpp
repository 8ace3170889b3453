#include "plan.hpp"

#include "../common/settings.hpp"

#include <dino/data/sampler.hpp>
#include <dino/io/file.hpp>
#include <dino/io/record.hpp>
#include <dino/ssl/micro_batch.hpp>
#include <dino/ssl/multicrop_model.hpp>

namespace programs {

namespace {

using dino::i64;
using dino::str;

/// Parameters of backbone and head, counted on a model without values.
struct ModelSize {
  i64 backbone = 0, head = 0, padded = 0;

  explicit ModelSize(const dino::DinoConfig& config) {
    dino::HostContext ctx(1);
    dino::ParamStore<float, dino::HostDevice> params(ctx);
    const dino::MultiCropModel<float, dino::HostDevice> model(dino::Scope{params}, config.backbone, config.head);
    for (const auto& s : params.segments()) (s.name.starts_with("backbone.") ? backbone : head) += s.shape.numel();
    padded = params.total();
  }
};

std::string millions(i64 n) { return dino::number_text(std::round(static_cast<double>(n) / 1e4) / 100); }

std::vector<std::string> plan_lines(const dino::PretrainConfig& c, const Sets& sets, const Plan& plan,
                                    const ModelSize& size) {
  const auto& d = plan.dino;
  std::string crops;
  for (const auto& g : plan.groups) crops += str("{}{}x{}", crops.empty() ? "" : " + ", g.crops, g.height);
  // student, teacher, gradients and two moments, beside the activations of a pass
  const double memory = 5.0 * 4 * static_cast<double>(size.padded) +
                        static_cast<double>(d.micro_batch) * dino::activation_bytes(d, plan.groups);
  std::vector<std::string> lines{"data    " + sets.description};
  for (const auto& note : sets.notes) lines.push_back("        " + note);
  lines.push_back(str("model   {}  {} M + head {} M parameters (K = {})   crops {}", c.model.name,
                      millions(size.backbone), millions(size.head), d.head.outputs, crops));
  lines.push_back(str("plan    {} epochs x {} steps, batch {} in passes of {}, {} {}, up to step {}",
                      dino::number_text(c.epochs), d.steps_per_epoch, d.batch, d.micro_batch, d.optimizer,
                      "lr " + dino::number_text(d.lr), plan.last_step));
  lines.push_back(str("needs   about {} of memory, {} for each checkpoint", dino::size_text(static_cast<i64>(memory)),
                      dino::size_text(plan.checkpoint_bytes)));
  return lines;
}

}  // namespace

Plan make_plan(const dino::PretrainConfig& config, const Sets& sets, const dino::MultiCrop& crops, i64 micro_batch) {
  const dino::Sampler sampler(sets.train.size(), config.batch_size, static_cast<dino::u64>(config.common.seed));
  Plan plan;
  plan.groups = crops.groups();
  plan.dino = dino_config(config, sampler.steps_per_epoch());
  auto& d = plan.dino;
  if (config.micro_batch > 0) {
    d.micro_batch = std::min(config.micro_batch, d.batch);
  } else {
    d.micro_batch = micro_batch > 0 ? micro_batch : dino::choose_micro_batch(d, plan.groups, dino::available_memory());
  }
  plan.last_step = config.run.max_steps > 0 ? std::min(d.total_steps, config.run.max_steps) : d.total_steps;
  const ModelSize size(d);
  plan.checkpoint_bytes = 4 * 4 * size.padded;  // student, teacher, two moments
  plan.lines = plan_lines(config, sets, plan, size);
  return plan;
}

}  // namespace programs
