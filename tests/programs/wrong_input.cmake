# Wrong input, each as a user would give it: one clear line with file, value and remedy, the right exit code, nothing written.
cmake_minimum_required(VERSION 3.22)
file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}/empty" "${WORK}/text" "${WORK}/cifar")
file(WRITE "${WORK}/text/cat.jpg" "this is not a picture\n")
string(REPEAT "x" 5000 bytes)
file(WRITE "${WORK}/cifar/data_batch_1.bin" "${bytes}")
file(WRITE "${WORK}/weights.safetensors" "not weights, but longer than eight bytes\n")

# expect(<exit code> <pattern of the message> <program> <arguments>...)
function(expect code pattern)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE got OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(NOT got EQUAL code OR NOT err MATCHES "${pattern}")
    message(SEND_ERROR "${ARGN}\nexpected code ${code} and \"${pattern}\", got ${got} and:\n${out}${err}")
  endif()
  if(EXISTS "${WORK}/runs" OR EXISTS "${WORK}/out/config.json")
    message(SEND_ERROR "${ARGN}\nleft files behind")
  endif()
  message(STATUS "${got}: ${err}")
endfunction()

expect(2 "--bacth-size.*Did you mean --batch-size" "${PRETRAIN}" --data synthetic --bacth-size 8)
expect(2 "global-scale-min = 1.4 must be in" "${PRETRAIN}" --data synthetic --global-scale-min 1.4)
expect(2 "resnet50 is known, but not in this version" "${PRETRAIN}" --data synthetic --backbone resnet50)
expect(6 "device = cuda: .* CUDA.*Use --device cpu" "${PRETRAIN}" --data synthetic --device cuda)
expect(3 "nowhere: no such folder" "${PRETRAIN}" --data nowhere)
expect(3 "no images under .*empty" "${PRETRAIN}" --data empty)
expect(3 "data_batch_1.bin.*5,?000" "${PRETRAIN}" --data cifar)
expect(3 "text: 1 images cannot fill a batch of 4" "${PRETRAIN}" --data text --batch-size 4 --backbone vit-t-16)
expect(4 "nowhere.*no such file" "${KNN}" --weights nowhere --data synthetic)
expect(4 "weights.safetensors" "${KNN}" --weights weights.safetensors --data synthetic)
expect(2 "give --weights" "${KNN}" --data synthetic)

# Weights of another size than asked for.
execute_process(COMMAND "${PRETRAIN}" --data synthetic --embed-dim 16 --depth 1 --num-heads 1 --hidden-dim 8 --bottleneck-dim 8 --k-dim 8
                --batch-size 8 --max-steps 1 --eval-knn-every 0 --quiet --out small
                WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE got ERROR_VARIABLE err)
if(NOT got EQUAL 0)
  message(SEND_ERROR "a small run: ${got} ${err}")
endif()
expect(4 "small: these are weights of vit-d16-l1-h1-4, --backbone says vit-s-16" "${KNN}" --weights small --data synthetic
       --backbone vit-s-16)
