# Fine-tuning that is stopped three times, each time going on with other threads and workers, gives the bytes of a run that
# is not: of its last classifier, its best one, and the figures.
cmake_minimum_required(VERSION 3.22)
include("${CMAKE_CURRENT_LIST_DIR}/programs.cmake")

# 5 epochs of 6 steps, an evaluation every half: stops lie inside epochs and between evaluations.
set(tiny --mode full --data synthetic --weights none --embed-dim 16 --depth 2 --num-heads 2 --drop-path-rate 0.2 --batch-size 16
    --limit-train 96 --epochs 5 --eval-every 0.5 --micro-batch 5 --quiet --mixup 0.8 --cutmix 1 --randaugment 9 --random-erasing 0.25)

set(compared export/classifier.safetensors export/best_classifier.safetensors report/confusion.csv report/class_accuracy.csv)
run("${FINETUNE}" ${tiny} --out whole --threads 2 --workers 1)
run("${FINETUNE}" ${tiny} --out parts --max-steps 6 --threads 1 --workers 0)
run("${FINETUNE}" --out parts --max-steps 10 --threads 2 --workers 3 --quiet)
run("${FINETUNE}" --out parts --max-steps 23 --threads 3 --workers 1 --quiet)
run("${FINETUNE}" --out parts --max-steps 0 --threads 1 --workers 2 --quiet)
same_run(whole parts ${compared})

# A finished run says so, and a changed recipe is refused.
run("${FINETUNE}" --out parts)
if(NOT err MATCHES "finished: 30 of 30 steps")
  message(FATAL_ERROR "a finished run: ${err}")
endif()
execute_process(COMMAND "${FINETUNE}" --out parts --mixup 0.1 WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE code ERROR_VARIABLE err)
if(NOT code EQUAL 2 OR NOT err MATCHES "mixup 0.8 -> 0.1")
  message(FATAL_ERROR "a changed recipe: ${code} ${err}")
endif()

# Weights that are gone are not missed: the checkpoint has everything.
file(RENAME "${WORK}/whole" "${WORK}/start")
run("${FINETUNE}" --mode full --data synthetic --weights start --batch-size 16 --limit-train 96 --epochs 2 --out second --max-steps 8 --quiet)
file(RENAME "${WORK}/start" "${WORK}/gone")
run("${FINETUNE}" --out second --max-steps 0 --quiet)

# The run evaluates and predicts.
run("${FINETUNE}" --weights second --data synthetic --eval-only --json --quiet)
if(NOT out MATCHES "\"images\":1000,\"top1\":[0-9.]+,\"top5\":[0-9.]+,\"loss\":[0-9.]+")
  message(FATAL_ERROR "--eval-only: ${out}")
endif()
