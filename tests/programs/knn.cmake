# k-NN as a user meets it: features are cached, used again, refused when they are stale; classes, shots, bad images.
cmake_minimum_required(VERSION 3.22)
file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")

# knn(<code> <pattern of stdout and stderr> <arguments>...): stdout in knn_out, stderr in knn_err.
function(knn code pattern)
  execute_process(COMMAND "${KNN}" ${ARGN} WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE got OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(NOT got EQUAL code OR NOT "${out}${err}" MATCHES "${pattern}")
    message(SEND_ERROR "dino_knn ${ARGN}\nexpected code ${code} and \"${pattern}\", got ${got} and:\n${out}${err}")
  endif()
  set(knn_out "${out}" PARENT_SCOPE)
endfunction()

function(same a b what)
  if(NOT "${a}" STREQUAL "${b}")
    message(SEND_ERROR "${what}:\n${a}\n${b}")
  endif()
endfunction()

set(synthetic --data synthetic --eval-queries 100 --k 1,20 --quiet)
set(pixels --baseline pixels ${synthetic} --eval-bank 300)
knn(0 "k-NN.20.  top-1 .*mean of classes" ${pixels})
set(plain "${knn_out}")
knn(0 "k-NN.20." ${pixels} --features-cache f)
same("${plain}" "${knn_out}" "the cache changes the result")
file(GLOB files RELATIVE "${WORK}" "${WORK}/f/*/*")
list(FILTER files EXCLUDE REGEX "/[.]lock$")
same("${files}" "f/test/manifest.json;f/test/shard_00000.safetensors;f/train/manifest.json;f/train/shard_00000.safetensors" "files")
file(SHA256 "${WORK}/f/train/manifest.json" before)
knn(0 "k-NN.20." ${pixels} --features-cache f --threads 3)
same("${plain}" "${knn_out}" "read again")

# Stale: other images, another size, other weights. Nothing is overwritten.
knn(3 "f/train: the cached features are stale: data.hash: .*Nothing was changed" ${pixels} --features-cache f --seed 7)
knn(3 "preprocessing.size: the cache has 32, now 16" ${pixels} --features-cache f --image-size 16)
knn(3 "data.images: the cache has 300, now 200" --baseline pixels ${synthetic} --eval-bank 200
    --features-cache f)
knn(4 "weights.hash: the cache has pixels, now [0-9a-f]+" --baseline untrained ${synthetic} --eval-bank 300
    --features-cache f --backbone vit-d16-l1-h1-8)
file(SHA256 "${WORK}/f/train/manifest.json" after)
same("${before}" "${after}" "a refused cache")

# Interrupted before its first shard was listed: it goes on, to the same files.
file(READ "${WORK}/f/train/manifest.json" manifest)
string(REGEX REPLACE "\"shards\":.*" "\"shards\":[]}" manifest "${manifest}")
file(WRITE "${WORK}/f/train/manifest.json" "${manifest}")
knn(0 "k-NN.20." ${pixels} --features-cache f)
same("${plain}" "${knn_out}" "after an interruption")
file(SHA256 "${WORK}/f/train/manifest.json" after)
same("${before}" "${after}" "the completed cache")

# Low shot from the same cache and without one; leave-one-out; majority; a file of classes.
knn(0 "bank 30 .3 of each class." ${pixels} --shots 3)
set(plain "${knn_out}")
knn(0 "bank 30 .3 of each class." ${pixels} --shots 3 --features-cache f)
same("${plain}" "${knn_out}" "low shot from the cache")
knn(3 "shots = 200: class [a-z ]+ has [0-9]+ images in the bank" ${pixels} --shots 200)
knn(0 "each against the others.*majority votes" ${pixels} --leave-one-out --votes majority --features-cache f
    --per-class classes.csv)
file(STRINGS "${WORK}/classes.csv" lines)
list(LENGTH lines count)
list(GET lines 0 head)
same("${count} ${head}" "21 k,class,name,images,correct,accuracy" "classes.csv")

# A folder of something else, a class without test images, too many bad images.
file(WRITE "${WORK}/thesis/train/words.txt" "words")
knn(2 "thesis/train holds words.txt and no manifest.json" ${pixels} --features-cache thesis)
foreach(i RANGE 11)
  foreach(name train/cat/${i} train/dog/${i} val/cat/${i})
    file(WRITE "${WORK}/photos/${name}.jpg" "no picture")
  endforeach()
endforeach()
knn(3 "photos/val: no test images of 1 of 2 classes: dog" --baseline pixels --data photos)
knn(3 "11 of 24 images cannot be used, 10 are allowed.*max_bad_fraction" --baseline pixels --data photos --leave-one-out)
knn(3 "no image could be read" --baseline pixels --data photos --leave-one-out --max-bad-fraction 1)
