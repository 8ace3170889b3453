# dino_attention as a user meets it: pictures, folders and films in, pictures out; broken pictures between good ones;
# and input that is wrong.
cmake_minimum_required(VERSION 3.22)
include("${CMAKE_CURRENT_LIST_DIR}/programs.cmake")
file(MAKE_DIRECTORY "${WORK}/empty" "${WORK}/texts")
file(WRITE "${WORK}/texts/notes.txt" "no picture")
run("${FILES}" make "${WORK}")  # images/cat/1.png 20 x 16, cat/2.png broken, dog/3.png 16 x 30, dog/4.png 9 x 9
set(tiny --weights tiny.safetensors --threads 2 --size 16)

# files(<folder> <name>...): exactly these files lie in it.
function(files folder)
  file(GLOB got RELATIVE "${WORK}/${folder}" "${WORK}/${folder}/*")
  list(REMOVE_ITEM got .lock)
  list(SORT got)
  set(expected ${ARGN})
  list(SORT expected)
  if(NOT got STREQUAL expected)
    message(FATAL_ERROR "${folder} holds ${got}\nexpected ${expected}")
  endif()
endfunction()

# A picture as it is drawn without options; the folder is that of the program and the backbone.
run("${ATTENTION}" ${tiny} images/cat/1.png)
files(runs/attention/vit-d6-l3-h2-4/version_0 1 cmd.txt config.json env.json)
files(runs/attention/vit-d6-l3-h2-4/version_0/1 img.png attn-head0.png attn-head1.png attn-mean.png overlay-head0.png
      overlay-head1.png overlay-mean.png sheet.png)
run("${ATTENTION}" ${tiny} images/cat/1.png)
files(runs/attention/vit-d6-l3-h2-4 version_0 version_1)
same_run(runs/attention/vit-d6-l3-h2-4/version_0 runs/attention/vit-d6-l3-h2-4/version_1 1/sheet.png 1/attn-head0.png)

# A folder with a broken picture: the others are drawn. Every block, rollout, masks, numbers, patch colours.
file(WRITE "${WORK}/images/cat/notes.txt" "no picture")
run("${ATTENTION}" ${tiny} --out all --layers all --rollout --threshold 0.6 --raw --pca --colormap inferno images)
if(NOT err MATCHES "! images/cat/2.png: not an image .*; skipped" OR NOT err MATCHES "images: left out 1 .txt"
   OR NOT out MATCHES "drew 3 images, 1 skipped\nwrote   all")
  message(FATAL_ERROR "a folder: ${out}${err}")
endif()
files(all 1 3 4 cmd.txt config.json env.json pca.png)
set(expected img.png sheet.png attention.npy masks.npy rollout.npy pca.npy pca.png)
foreach(kind attn- overlay- mask_th0.6_)
  list(APPEND expected ${kind}rollout.png)
  foreach(map head0 head1 mean)
    foreach(block RANGE 2)
      list(APPEND expected block${block}-${kind}${map}.png)
    endforeach()
  endforeach()
endforeach()
foreach(block RANGE 2)
  list(APPEND expected block${block}-mask_th0.6_heads.png)
endforeach()
files(all/1 ${expected})

# Names that collide, a picture that is named twice, and what is not wanted is not there.
file(COPY "${WORK}/images/cat/1.png" DESTINATION "${WORK}/other")
run("${ATTENTION}" ${tiny} --out few --heads 1 --no-overlay --no-grid --square --json --quiet images/cat/1.png
    other/1.png images/cat/1.png)
if(NOT out MATCHES "\"folder\":\"few\",\"images\":3,\"frames\":0,\"skipped\":0" OR NOT err STREQUAL "")
  message(FATAL_ERROR "--json --quiet: ${out}${err}")
endif()
files(few 1 1-2 1-3 cmd.txt config.json env.json)
files(few/1-2 img.png attn-head1.png attn-mean.png)
run("${ATTENTION}" ${tiny} --out mean --heads mean --layers 0,2 --data images)
files(mean/3 img.png sheet.png block0-attn-mean.png block2-attn-mean.png block0-overlay-mean.png
      block2-overlay-mean.png)

# Two pictures that correspond, and one with itself: every patch finds itself.
run("${ATTENTION}" ${tiny} --out match --match images/cat/1.png images/dog/3.png)
files(match 1 3 match.png matches.csv cmd.txt config.json env.json)
run("${ATTENTION}" ${tiny} --out itself --match other/1.png images/cat/1.png)
file(STRINGS "${WORK}/itself/matches.csv" lines)
list(LENGTH lines count)
list(POP_FRONT lines)
foreach(line IN LISTS lines)
  string(REPLACE "," ";" line "${line}")
  list(GET line 0 1 from)
  list(GET line 2 3 to)
  list(GET line 4 similarity)
  if(NOT count EQUAL 21 OR NOT from STREQUAL to OR similarity LESS 0.9999)
    message(FATAL_ERROR "a picture with itself: ${lines}")
  endif()
endforeach()

# Frames, with and without ffmpeg; of a frame of another size and of a broken one there is a line.
file(MAKE_DIRECTORY "${WORK}/film" "${WORK}/no_path")
foreach(i 1 2 3 4)
  file(COPY_FILE "${WORK}/images/cat/1.png" "${WORK}/film/${i}.png")
endforeach()
file(COPY_FILE "${WORK}/images/dog/3.png" "${WORK}/film/5.png")
file(COPY_FILE "${WORK}/images/cat/2.png" "${WORK}/film/6.png")
file(WRITE "${WORK}/film.mp4" "no film")
run("${CMAKE_COMMAND}" -E env "PATH=${WORK}/no_path" "${ATTENTION}" ${tiny} --video --out frames film film.mp4)
foreach(line "film/5.png: 16 x 28 pixels, the first frame has 20 x 16. Frames must be of one size; skipped"
        "film/6.png: not an image" "film: frames only, no video: ffmpeg is not on PATH"
        "film.mp4: a video needs ffmpeg, which is not on PATH. Install it .*, or give a folder of frames and --video")
  if(NOT err MATCHES "${line}")
    message(FATAL_ERROR "frames: no line \"${line}\" in ${err}")
  endif()
endforeach()
if(NOT out MATCHES "drew 0 images, 4 frames, 3 skipped")
  message(FATAL_ERROR "frames: ${out}")
endif()
set(frames "")
foreach(i 1 2 3 4)
  list(APPEND frames attn-00000${i}.png overlay-00000${i}.png sheet-00000${i}.png)
endforeach()
files(frames/film ${frames})
find_program(ffmpeg ffmpeg)
if(ffmpeg)
  run("${ATTENTION}" ${tiny} --video --fps 10 --out film_out film)
  files(film_out/film ${frames} attention.mp4 overlay.mp4 sheet.mp4)
  run("${ATTENTION}" ${tiny} --fps 5 --out again "film_out/film/sheet.mp4" film.mp4 images/cat/1.png)  # 4 frames at 10
  if(NOT err MATCHES "film.mp4: ffmpeg cannot read it: .*; skipped"
     OR NOT out MATCHES "drew 1 image, [1-4] frames, 1 skipped"
     OR NOT EXISTS "${WORK}/again/sheet/attention.mp4" OR EXISTS "${WORK}/again/sheet/.frames")
    message(FATAL_ERROR "a film of a film: ${out}${err}")
  endif()
else()
  message(STATUS "no ffmpeg: films are not tested")
endif()

# expect(<exit code> <pattern of the message> <arguments>...): one clear message, no folder.
function(expect code pattern)
  execute_process(COMMAND "${ATTENTION}" ${ARGN} WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE got OUTPUT_VARIABLE out
                  ERROR_VARIABLE err)
  if(NOT got EQUAL code OR NOT err MATCHES "${pattern}")
    message(SEND_ERROR "${ARGN}\nexpected code ${code} and \"${pattern}\", got ${got} and:\n${out}${err}")
  endif()
  if(EXISTS "${WORK}/wrong")
    message(SEND_ERROR "${ARGN}\nmade the folder all the same")
  endif()
  message(STATUS "${got}: ${err}")
endfunction()

set(tiny ${tiny} --out wrong --quiet)
set(cat images/cat/1.png)
expect(2 "no weights: give --weights PATH" --quiet ${cat})
expect(2 "layers: there is no block 3: the backbone has 3, 0 to 2" ${tiny} --layers 0,3 ${cat})
expect(2 "heads: there is no head 2: the backbone has 2, 0 to 1" ${tiny} --heads 2 ${cat})
expect(2 "layers = x must be last.all, or numbers" ${tiny} --layers x ${cat})
expect(2 "no colour map is called 'jet': choose one of viridis, inferno" ${tiny} --colormap jet ${cat})
expect(2 "size = 3 is less than a patch of the backbone, 4: give --size 4 or more" --weights tiny.safetensors --quiet
       --size 3 --out wrong ${cat})
expect(2 "threshold = 1.5" ${tiny} --threshold 1.5 ${cat})
expect(2 "match takes two pictures, 1 are named" ${tiny} --match ${cat})
expect(3 "nowhere.png: no such file or folder" ${tiny} nowhere.png)
expect(3 "empty: no images .jpg, png, bmp. in this folder, found nothing" ${tiny} empty)
expect(3 "texts: no images .jpg, png, bmp. in this folder, found 1 .txt" ${tiny} texts)
expect(4 "nowhere: no such file or folder" --weights nowhere --out wrong ${cat})
expect(4 "notes.txt" --weights texts/notes.txt --out wrong ${cat})
run("${FEATURES}" --weights tiny.safetensors --data images --quiet -o features.safetensors)
expect(4 "features.safetensors.*no backbone|features.safetensors: " --weights features.safetensors --out wrong ${cat})
expect(4 "these are weights of vit-d6-l3-h2-4, --backbone says vit-s-16" ${tiny} --backbone vit-s-16 ${cat})

# Nothing could be drawn: the folder is there, and says with which options.
foreach(case "images/cat/2.png|! images/cat/2.png: not an image" "texts/notes.txt|notes.txt: not an image"
        "film.mp4|film.mp4: "
        "small.png|small.png: 3 x 9 pixels are less than a patch of 4 x 4. Give --size to enlarge it")
  string(REPLACE "|" ";" case "${case}")
  list(GET case 0 file)
  list(GET case 1 pattern)
  execute_process(COMMAND "${ATTENTION}" --weights tiny.safetensors --quiet --size 0 --out none --overwrite ${file}
                  WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE got ERROR_VARIABLE err)
  if(NOT got EQUAL 3 OR NOT err MATCHES "${pattern}" OR NOT err MATCHES "no image could be used")
    message(SEND_ERROR "${file}: expected code 3 and \"${pattern}\", got ${got} and:\n${err}")
  endif()
endforeach()

# One of each: the picture is drawn, every other thing has its line.
run("${ATTENTION}" --weights tiny.safetensors --quiet --size 0 --out mixed small.png images/cat/2.png texts nowhere
    ${cat} film.mp4)
string(REGEX MATCHALL "  ! " lines "${err}")
list(LENGTH lines count)
if(NOT out MATCHES "drew 1 image, 5 skipped" OR NOT count EQUAL 5 OR NOT EXISTS "${WORK}/mixed/1/sheet.png")
  message(FATAL_ERROR "one of each: ${out}${err}")
endif()

execute_process(COMMAND "${ATTENTION}" ${tiny} --overwrite --match ${cat} nowhere WORKING_DIRECTORY "${WORK}"
                RESULT_VARIABLE got ERROR_VARIABLE err)
if(NOT got EQUAL 3 OR NOT err MATCHES "--match needs two pictures, 1 could be used"
   OR NOT EXISTS "${WORK}/wrong/1/img.png")
  message(SEND_ERROR "a match of one picture: ${got} ${err}")
endif()
file(REMOVE_RECURSE "${WORK}/wrong")

# A folder that is taken is left alone.
expect(2 "mixed holds a run already. Use another --out, or --overwrite to rename it" --weights tiny.safetensors --quiet
       --out mixed ${cat})
expect(2 "images exists and is not empty .it holds " --weights tiny.safetensors --quiet --out images ${cat})
