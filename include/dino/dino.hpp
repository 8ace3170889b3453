// The whole library: everything that needs no optional library. A program that uses a part includes that part.
#pragma once

#include <dino/fwd.hpp>

#include <dino/base/config.hpp>
#include <dino/base/error.hpp>
#include <dino/base/image.hpp>
#include <dino/base/log.hpp>
#include <dino/base/math.hpp>
#include <dino/base/philox.hpp>
#include <dino/base/probe.hpp>
#include <dino/base/segments.hpp>
#include <dino/base/shape.hpp>
#include <dino/base/types.hpp>
#include <dino/base/view.hpp>

#include <dino/device/choose.hpp>
#include <dino/device/cpu.hpp>
#include <dino/device/device.hpp>
#include <dino/device/pool.hpp>
#include <dino/device/threads.hpp>

#include <dino/kernels/attention.hpp>
#include <dino/kernels/batchnorm.hpp>
#include <dino/kernels/dino_loss.hpp>
#include <dino/kernels/gemm.hpp>
#include <dino/kernels/layernorm.hpp>
#include <dino/kernels/map.hpp>
#include <dino/kernels/normalize.hpp>
#include <dino/kernels/optimizer.hpp>
#include <dino/kernels/patchify.hpp>
#include <dino/kernels/reduce.hpp>
#include <dino/kernels/resample.hpp>
#include <dino/kernels/softmax.hpp>
#include <dino/kernels/tokens.hpp>
#include <dino/kernels/topk.hpp>

#include <dino/tensor/copy.hpp>
#include <dino/tensor/create.hpp>
#include <dino/tensor/tensor.hpp>

#include <dino/autograd/apply.hpp>
#include <dino/autograd/checkpoint.hpp>
#include <dino/autograd/grad.hpp>
#include <dino/autograd/gradcheck.hpp>
#include <dino/autograd/tape.hpp>

#include <dino/ops/attention.hpp>
#include <dino/ops/batchnorm.hpp>
#include <dino/ops/cross_entropy.hpp>
#include <dino/ops/dino_loss.hpp>
#include <dino/ops/drop_path.hpp>
#include <dino/ops/gather.hpp>
#include <dino/ops/layernorm.hpp>
#include <dino/ops/linear.hpp>
#include <dino/ops/map.hpp>
#include <dino/ops/mlp.hpp>
#include <dino/ops/normalize.hpp>
#include <dino/ops/patchify.hpp>
#include <dino/ops/pre_norm.hpp>
#include <dino/ops/reduce.hpp>
#include <dino/ops/shape.hpp>
#include <dino/ops/softmax.hpp>
#include <dino/ops/tokens.hpp>
#include <dino/ops/weight_norm_linear.hpp>

#include <dino/nn/attention.hpp>
#include <dino/nn/batchnorm.hpp>
#include <dino/nn/block.hpp>
#include <dino/nn/dino_head.hpp>
#include <dino/nn/init.hpp>
#include <dino/nn/linear.hpp>
#include <dino/nn/mlp.hpp>
#include <dino/nn/norm.hpp>
#include <dino/nn/param.hpp>
#include <dino/nn/vit.hpp>

#include <dino/optim/adamw.hpp>
#include <dino/optim/ema.hpp>
#include <dino/optim/lars.hpp>
#include <dino/optim/optimizer.hpp>
#include <dino/optim/schedule.hpp>
#include <dino/optim/sgd.hpp>
#include <dino/optim/update.hpp>

#include <dino/io/checkpoint.hpp>
#include <dino/io/cli.hpp>
#include <dino/io/clock.hpp>
#include <dino/io/config.hpp>
#include <dino/io/contact_sheet.hpp>
#include <dino/io/crc32c.hpp>
#include <dino/io/file.hpp>
#include <dino/io/html.hpp>
#include <dino/io/image.hpp>
#include <dino/io/image_jpeg.hpp>
#include <dino/io/image_limits.hpp>
#include <dino/io/image_stb.hpp>
#include <dino/io/image_write.hpp>
#include <dino/io/json_cursor.hpp>
#include <dino/io/metrics.hpp>
#include <dino/io/npy.hpp>
#include <dino/io/option_table.hpp>
#include <dino/io/option_text.hpp>
#include <dino/io/options.hpp>
#include <dino/io/parse_record.hpp>
#include <dino/io/png_gate.hpp>
#include <dino/io/program_config.hpp>
#include <dino/io/program_options.hpp>
#include <dino/io/program_rules.hpp>
#include <dino/io/progress.hpp>
#include <dino/io/record.hpp>
#include <dino/io/report.hpp>
#include <dino/io/report_charts.hpp>
#include <dino/io/run_dir.hpp>
#include <dino/io/safetensors.hpp>
#include <dino/io/safetensors_header.hpp>
#include <dino/io/state_dict.hpp>
#include <dino/io/suggest.hpp>
#include <dino/io/svg.hpp>
#include <dino/io/weights.hpp>

#include <dino/data/cifar.hpp>
#include <dino/data/cifar_classes.hpp>
#include <dino/data/crop_plan.hpp>
#include <dino/data/dataset.hpp>
#include <dino/data/eval_transform.hpp>
#include <dino/data/image_folder.hpp>
#include <dino/data/loader.hpp>
#include <dino/data/multicrop.hpp>
#include <dino/data/open_dataset.hpp>
#include <dino/data/sampler.hpp>
#include <dino/data/synthetic.hpp>

#include <dino/ssl/config.hpp>
#include <dino/ssl/health.hpp>
#include <dino/ssl/micro_batch.hpp>
#include <dino/ssl/multicrop_model.hpp>
#include <dino/ssl/objective.hpp>
#include <dino/ssl/trainer.hpp>
#include <dino/ssl/trainer_state.hpp>

#include <dino/eval/backbone.hpp>
#include <dino/eval/features.hpp>
#include <dino/eval/knn.hpp>
