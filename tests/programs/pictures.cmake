# The pictures of a pre-training run: attention over the epochs, neighbours, embedding. They survive a stop, change no bit of
# the training, and their failure ends no run.
cmake_minimum_required(VERSION 3.22)
include("${CMAKE_CURRENT_LIST_DIR}/programs.cmake")

# expect_files(<run> <file>...): what lies there.
function(expect_files run)
  foreach(file IN LISTS ARGN)
    if(NOT EXISTS "${WORK}/${run}/${file}")
      message(SEND_ERROR "there is no ${run}/${file}")
    endif()
  endforeach()
endfunction()

# expect_sheet(<run> <steps>): the maps that are kept, and a sheet of the images and as many rows of 72 + 6 pixels.
function(expect_sheet run steps)
  file(GLOB files RELATIVE "${WORK}/${run}/report/attention" "${WORK}/${run}/report/attention/step_*.npy")
  list(SORT files COMPARE NATURAL)
  string(REGEX REPLACE "step_([0-9]+)[.]npy" "\\1" files "${files}")
  file(READ "${WORK}/${run}/report/attention.png" height OFFSET 20 LIMIT 4 HEX)
  math(EXPR height "0x${height}")
  list(LENGTH steps rows)
  math(EXPR wanted "6 + (${rows} + 1) * 78")
  if(NOT files STREQUAL steps OR NOT height EQUAL wanted)
    message(SEND_ERROR "${run}: attention at ${files} on ${height} pixels, expected ${steps} and ${wanted}")
  endif()
endfunction()

# expect_page(<run> <pattern>...): the report.
function(expect_page run)
  file(READ "${WORK}/${run}/report.html" page)
  foreach(pattern IN LISTS ARGN)
    if(NOT page MATCHES "${pattern}")
      message(SEND_ERROR "${run}/report.html: no \"${pattern}\"")
    endif()
  endforeach()
endfunction()

set(model --embed-dim 16 --depth 2 --num-heads 2 --hidden-dim 24 --bottleneck-dim 8 --k-dim 32 --drop-path-rate 0.2 --epochs 4 --quiet)
set(tiny --data synthetic ${model} --batch-size 16 --limit-train 64 --eval-bank 200 --eval-queries 120)

# 4 steps an epoch, an evaluation after each; the stop lies inside one.
run("${PRETRAIN}" ${tiny} --eval-knn-every 1 --out whole --threads 2)
run("${PRETRAIN}" ${tiny} --eval-knn-every 1 --out parts --threads 1 --max-steps 6)
expect_sheet(parts "0;4;6")
run("${PRETRAIN}" --out parts --max-steps 0 --threads 2 --quiet)
expect_sheet(whole "0;4;8;12;16")
expect_sheet(parts "0;4;6;8;12;16")
same_run(whole parts export/teacher_backbone.safetensors report/neighbours.png report/embedding.jsonl
         report/attention/step_0.npy report/attention/step_4.npy report/attention/step_16.npy)
foreach(run whole parts)
  expect_files(${run} report/crops.png report/embedding.svg)
  expect_page(${run} "<h3>Attention of the last block</h3>" "<h3>Nearest neighbours</h3>" "<h3>Sample crops</h3>"
              "t-SNE of 120 images as the teacher sees them at step 16; a point is an image, its colour the class")
endforeach()

# Each evaluation stands once in the log.
file(STRINGS "${WORK}/whole/train.log" lines REGEX "[+] k-NN")
list(LENGTH lines count)
if(NOT count EQUAL 4)
  message(SEND_ERROR "whole/train.log has ${count} lines of 4 evaluations")
endif()

# Names have five letters, so that the exports have one length. Evaluations, and so their pictures, leave the training as
# it is; without them attention at the start and at the end.
run("${PRETRAIN}" ${tiny} --eval-knn-every 0 --out blind --threads 2)
same_run(whole blind export/teacher_backbone.safetensors)
expect_sheet(blind "0;16")
if(EXISTS "${WORK}/blind/report/neighbours.png" OR EXISTS "${WORK}/blind/report/embedding.jsonl")
  message(SEND_ERROR "neighbours without an evaluation")
endif()

# A place that cannot be written is a warning, and the rest of the report is there.
run("${PRETRAIN}" ${tiny} --eval-knn-every 1 --out wrong --threads 2 --max-steps 6)
file(REMOVE_RECURSE "${WORK}/wrong/report/attention" "${WORK}/wrong/report/neighbours.png")
file(WRITE "${WORK}/wrong/report/attention" "in the way")
file(MAKE_DIRECTORY "${WORK}/wrong/report/neighbours.png/full")
run("${PRETRAIN}" --out wrong --max-steps 0 --threads 2 --eval-knn-every 1)
if(NOT err MATCHES "! attention for the report: " OR NOT err MATCHES "! neighbours for the report: .*neighbours.png")
  message(SEND_ERROR "pictures that cannot be written: ${err}")
endif()
same_run(whole wrong export/teacher_backbone.safetensors)
expect_page(wrong "t-SNE of 120 images as the teacher sees them at step 16" "attention.png|<h3>Sample crops</h3>")

# Images without labels: attention, and neighbours by features of their own; a broken image among them.
if(FILES)
  run("${FILES}" make "${WORK}")
  file(RENAME "${WORK}/images/dog" "${WORK}/plain")
  file(WRITE "${WORK}/plain/0.png" "no picture")
  run("${PRETRAIN}" --data plain ${model} --image-size 16 --patch-size 4 --warmup-epochs-lr 1 --global-size 16 --local-size 8 --batch-size 3
      --max-bad-fraction 1 --eval-knn-every 1 --out unlabelled --threads 2)
  expect_files(unlabelled report/attention/step_0.npy report/attention/step_4.npy report/attention.png)
  expect_page(unlabelled "<h3>Attention of the last block</h3>" "<h3>Nearest neighbours</h3>")
endif()
