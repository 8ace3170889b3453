# A run that is stopped three times, each time going on with other threads and workers, exports the bytes of one that is not.
cmake_minimum_required(VERSION 3.22)
include("${CMAKE_CURRENT_LIST_DIR}/programs.cmake")

# 10 epochs of 4 steps: every stop but the first lies inside an epoch.
set(tiny --data synthetic --embed-dim 16 --depth 2 --num-heads 2 --hidden-dim 24 --bottleneck-dim 8 --k-dim 32 --drop-path-rate 0.2
    --batch-size 16 --limit-train 64 --epochs 10 --eval-knn-every 0 --quiet)

run("${PRETRAIN}" ${tiny} --out whole --threads 2 --workers 1)
run("${PRETRAIN}" ${tiny} --out parts --max-steps 4 --threads 1 --workers 0)
run("${PRETRAIN}" --out parts --max-steps 9 --threads 2 --workers 3 --quiet)
run("${PRETRAIN}" --out parts --max-steps 26 --threads 3 --workers 1 --quiet)
run("${PRETRAIN}" --out parts --max-steps 0 --threads 1 --workers 3 --quiet)
same_run(whole parts export/teacher_backbone.safetensors)

# The same for passes of 4 images: not the bits of whole batches, but those of their own uninterrupted run.
file(RENAME "${WORK}/whole" "${WORK}/batch")
run("${PRETRAIN}" ${tiny} --out whole --micro-batch 4 --threads 1 --workers 0)
run("${PRETRAIN}" ${tiny} --out split --micro-batch 4 --max-steps 17 --threads 3 --workers 3)
run("${PRETRAIN}" --out split --max-steps 0 --threads 2 --workers 1 --quiet)
same_run(whole split export/teacher_backbone.safetensors)

# A finished run says so, and a changed model is refused.
execute_process(COMMAND "${PRETRAIN}" --out split WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE code ERROR_VARIABLE err)
if(NOT code EQUAL 0 OR NOT err MATCHES "finished: 40 of 40 steps")
  message(FATAL_ERROR "a finished run: ${code} ${err}")
endif()
execute_process(COMMAND "${PRETRAIN}" --out split --batch-size 8 WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE code ERROR_VARIABLE err)
if(NOT code EQUAL 2 OR NOT err MATCHES "batch_size 16 -> 8")
  message(FATAL_ERROR "a changed batch: ${code} ${err}")
endif()
