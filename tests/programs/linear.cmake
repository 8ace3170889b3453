# The worked example of docs/evaluating.md in small: pre-train on synthetic images, then every linear probe on the result;
# a probe that is stopped and goes on with other threads ends with the bytes of one that is not.
cmake_minimum_required(VERSION 3.22)
file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")

# run(<variable for stdout and stderr> <expected code> <program> <arguments>)
function(run out expected)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE code OUTPUT_VARIABLE text ERROR_VARIABLE err)
  if(NOT code EQUAL ${expected})
    message(FATAL_ERROR "${ARGN}\nended with ${code}, expected ${expected}: ${text}${err}")
  endif()
  set(${out} "${text}${err}" PARENT_SCOPE)
endfunction()

function(expect text pattern)
  if(NOT text MATCHES "${pattern}")
    message(FATAL_ERROR "no \"${pattern}\" in: ${text}")
  endif()
endfunction()

function(expect_file path)
  if(NOT EXISTS "${WORK}/${path}")
    message(FATAL_ERROR "${path} is missing")
  endif()
endfunction()

# The top-1 of the last evaluation of a run.
function(top1 folder out)
  file(STRINGS "${WORK}/${folder}/metrics.jsonl" lines REGEX "\"kind\":\"eval\"")
  list(GET lines -1 line)
  string(REGEX MATCH "\"top1\":([0-9.]+)" ignored "${line}")
  set(${out} "${CMAKE_MATCH_1}" PARENT_SCOPE)
endfunction()

# The best one.
function(best_top1 folder out)
  file(STRINGS "${WORK}/${folder}/metrics.jsonl" lines REGEX "\"kind\":\"eval\"")
  set(best 0)
  foreach(line IN LISTS lines)
    string(REGEX MATCH "\"top1\":([0-9.]+)" ignored "${line}")
    if(CMAKE_MATCH_1 GREATER best)
      set(best "${CMAKE_MATCH_1}")
    endif()
  endforeach()
  set(${out} "${best}" PARENT_SCOPE)
endfunction()

function(compare a b)
  file(READ "${WORK}/${a}" first HEX)
  file(READ "${WORK}/${b}" second HEX)
  string(HEX "parts" parts)  # names of the folders stand in the files
  string(HEX "whole" whole)
  string(REPLACE "${parts}" "${whole}" second "${second}")
  if(NOT first STREQUAL second)
    message(FATAL_ERROR "${b} differs from ${a}")
  endif()
endfunction()

set(data --data synthetic --limit-train 600 --quiet)
run(text 0 "${PRETRAIN}" ${data} --embed-dim 48 --depth 2 --num-heads 3 --hidden-dim 64 --bottleneck-dim 16 --k-dim 64
    --batch-size 32 --epochs 4 --eval-knn-every 0 --out pretrain)

# Every protocol on the same cached features; the cache is written once for each choice of blocks and pooling.
set(linear "${FINETUNE}" --mode linear --weights pretrain ${data})
run(text 0 ${linear} --probe request --epochs 10 --batch-size 32 --features-cache one --out whole)
foreach(file confusion.csv confusion.png class_accuracy.csv)
  expect_file(whole/report/${file})
endforeach()
run(text 0 ${linear} --probe lbfgs --features-cache one --out lbfgs)
run(text 0 ${linear} --probe dino --no-augment --epochs 20 --lr 0.05 --n-last-blocks 2 --features-cache two --out dino)
expect_file(dino/export/linear.safetensors)
expect_file(dino/export/classifier.safetensors)
run(text 0 ${linear} --probe sweep --epochs 10 --n-last-blocks 2 --features-cache both --out sweep)
expect_file(sweep/report/heads.csv)
file(STRINGS "${WORK}/sweep/report/heads.csv" heads)
list(LENGTH heads lines)
if(NOT lines EQUAL 53)
  message(FATAL_ERROR "52 heads and a line of titles, not ${lines}")
endif()

# They learn: chance is 10 %, and its deviation over 1,000 test images 1.
foreach(probe whole lbfgs dino sweep)
  top1(${probe} percent)
  if(NOT percent GREATER 15)
    message(FATAL_ERROR "${probe}: top-1 ${percent} %")
  endif()
endforeach()

# A cache of other settings is refused, one that fits is read.
run(text 3 ${linear} --probe dino --no-augment --n-last-blocks 2 --features-cache one --out wrong)
expect("${text}" "features.blocks|blocks")
run(text 0 ${linear} --probe request --epochs 10 --batch-size 32 --features-cache one --out parts --max-steps 50 --threads 1)
run(text 0 "${FINETUNE}" --out parts --max-steps 113 --threads 3 --quiet)
run(text 0 "${FINETUNE}" --out parts --max-steps 0 --threads 2 --quiet)
compare(whole/export/classifier.safetensors parts/export/classifier.safetensors)
run(text 0 "${FINETUNE}" --out parts)
expect("${text}" "finished: 190 of 190 steps")

# New crops in each epoch, in parts as well.
set(augmented "${FINETUNE}" --mode linear --weights pretrain --data synthetic --quiet --limit-train 128 --probe dino
    --epochs 3 --batch-size 32)
run(text 0 ${augmented} --out whole2 --workers 0)
run(text 0 ${augmented} --out parts2 --max-steps 7 --workers 2 --threads 1)
run(text 0 "${FINETUNE}" --out parts2 --max-steps 0 --threads 2 --quiet)
compare(whole2/export/linear.safetensors parts2/export/linear.safetensors)
compare(whole2/export/classifier.safetensors parts2/export/classifier.safetensors)

# What a probe leaves is a classifier, whatever its head sees: evaluated again, the figures of its last evaluation. The
# backbone and the head alone give the same; so does the head that the sweep chose.
set(use "${FINETUNE}" --data synthetic --quiet --threads 2)
foreach(probe whole lbfgs dino)
  run(text 0 ${use} --eval-only --json --weights ${probe}/export/classifier.safetensors)
  top1(${probe} percent)
  expect("${text}" "\"top1\":${percent},")
endforeach()
foreach(probe dino sweep)
  best_top1(${probe} percent)
  run(text 0 ${use} --eval-only --json --weights ${probe})
  expect("${text}" "\"top1\":${percent},")
  run(text 0 ${use} --eval-only --json --weights pretrain --linear-weights ${probe}/export/best_linear.safetensors)
  expect("${text}" "\"top1\":${percent},")
endforeach()
run(text 0 "${FINETUNE}" --eval-only --weights dino --data synthetic)
expect("${text}" "head    sees class tokens of 2 last blocks\n")
run(text 0 "${FINETUNE}" --eval-only --out dino --json --quiet)  # its own data, in its own folder
expect("${text}" "\"top1\":")

# Wrong heads: one line, and nothing is written.
run(text 2 ${linear} --linear-weights dino/export/linear.safetensors --out refused)
expect("${text}" "is a trained head: add --eval-only or --predict")
run(text 2 ${use} --eval-only --out dino --weights pretrain --linear-weights dino/export/linear.safetensors)
expect("${text}" "the run dino has a classifier of its own")
run(text 4 ${use} --eval-only --weights pretrain --linear-weights nowhere.pth)
expect("${text}" "nowhere.pth")
run(text 4 ${use} --eval-only --weights pretrain --linear-weights whole/export/classifier.safetensors)
expect("${text}" "are called linear.weight, expected 1")
run(text 4 ${use} --eval-only --weights pretrain --linear-weights dino/export/linear.safetensors --n-last-blocks 1)
expect("${text}" "class tokens of 2 last blocks, as the file says")
run(text 4 "${FINETUNE}" --mode full --weights dino --data synthetic --quiet --out refused)
expect("${text}" "its head sees class tokens of 2 last blocks.*--ignore-head")
if(EXISTS "${WORK}/refused")
  message(FATAL_ERROR "a folder was left behind")
endif()

run(text 2 ${linear} --probe lbfgs --augment --out wrong)
expect("${text}" "contradicts")
