# An embedding as a user meets it: files, the same bits again, features kept, unlabelled pictures, wrong input.
cmake_minimum_required(VERSION 3.22)
file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")

# run(<program> <code> <pattern of stdout and stderr> <arguments>...): stdout in run_out, stderr in run_err.
function(run program code pattern)
  execute_process(COMMAND "${program}" ${ARGN} WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE got OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(NOT got EQUAL code OR NOT "${out}${err}" MATCHES "${pattern}")
    message(SEND_ERROR "${program} ${ARGN}\nexpected code ${code} and \"${pattern}\", got ${got} and:\n${out}${err}")
  endif()
  set(run_out "${out}" PARENT_SCOPE)
  set(run_err "${err}" PARENT_SCOPE)
endfunction()

function(same_files a b)
  foreach(end csv png svg html)
    file(SHA256 "${WORK}/${a}.${end}" one)
    file(SHA256 "${WORK}/${b}.${end}" other)
    if(NOT one STREQUAL other)
      message(SEND_ERROR "${a}.${end} and ${b}.${end} differ")
    endif()
  endforeach()
endfunction()

# Weights: a tiny run on the synthetic images.
run("${PRETRAIN}" 0 "" --data synthetic --limit-train 64 --epochs 1 --batch-size 32 --backbone vit-d16-l1-h1-8 --k-dim 32
    --eval-knn-every 0 --out run --quiet)
set(common --weights run --data synthetic --samples 300)

# t-SNE: all files, numbers on the last lines, progress every 50 iterations.
run("${EMBED}" 0 "KL divergence .*trustworthiness.5. 0[.].*k-NN.10. in the plane" ${common} --threads 2 --iterations 300 --out a)
if(NOT run_err MATCHES "t-SNE   50 of 300  KL [0-9.]+\n.*t-SNE   300 of 300")
  message(SEND_ERROR "progress:\n${run_err}")
endif()
foreach(file csv png svg html)
  if(NOT EXISTS "${WORK}/a/synthetic-embeddings.${file}")
    message(SEND_ERROR "a/synthetic-embeddings.${file} is missing")
  endif()
endforeach()
file(STRINGS "${WORK}/a/synthetic-embeddings.csv" lines)
list(LENGTH lines count)
list(GET lines 0 head)
list(GET lines 1 first)
if(NOT count EQUAL 301 OR NOT head STREQUAL "index,name,label,class,x,y" OR NOT first MATCHES "^0,[^,]+,[0-9],[a-z ]+,-?[0-9.e-]+,-?[0-9.e-]+$")
  message(SEND_ERROR "csv: ${count} lines, ${head}, ${first}")
endif()

# Threads change nothing, kept features neither; another seed draws the same images of a set without order.
run("${EMBED}" 0 "wrote" ${common} --iterations 300 --out b --threads 3 --quiet)
same_files(a/synthetic-embeddings b/synthetic-embeddings)
if(NOT "${run_err}" STREQUAL "")
  message(SEND_ERROR "--quiet: ${run_err}")
endif()
foreach(time 1 2)
  run("${EMBED}" 0 "wrote" ${common} --iterations 300 --out c${time} --quiet --features-cache kept)
  same_files(a/synthetic-embeddings c${time}/synthetic-embeddings)
endforeach()
run("${EMBED}" 3 "stale" --weights run --data synthetic --samples 200 --iterations 300 --out d --features-cache kept)

# The folder without --out is numbered, an existing one is refused; JSON; the exact gradient; principal components.
run("${EMBED}" 0 "runs/embed/vit-d16-l1-h1-8/version_0/synthetic-embeddings" ${common} --method pca --quiet)
run("${EMBED}" 0 "runs/embed/vit-d16-l1-h1-8/version_1/synthetic-embeddings" ${common} --method pca --quiet)
run("${EMBED}" 0 "first two principal components hold [0-9.]+ % of the variance" ${common} --method pca --out p)
run("${EMBED}" 2 "a holds a run already" ${common} --out a)
run("${EMBED}" 0 "{\"kind\":\"embed\".*\"method\":\"tsne\",\"images\":300.*\"trustworthiness\":0[.]" ${common}
    --iterations 250 --theta 0 --json --quiet --out j)

# Wrong input.
run("${EMBED}" 3 "perplexity 30 needs 32 points or more, there are 20" --weights run --data synthetic --samples 20 --out e)
run("${EMBED}" 0 "wrote" --weights run --data synthetic --samples 3 --method pca --out three)
run("${EMBED}" 2 "--weights" --data synthetic)
run("${EMBED}" 4 "nowhere" --weights nowhere --data synthetic)
run("${EMBED}" 2 "perplexity" ${common} --perplexity 0.5)
run("${EMBED}" 4 "these are weights of vit-d16-l1-h1-8" ${common} --backbone vit-s-16)
run("${EMBED}" 3 "" --weights run --data "${WORK}/empty")

# Pictures with and without labels, one of them broken.
if(FILES)
  run("${FILES}" 0 "" make "${WORK}")
  run("${EMBED}" 0 "k-NN.10. in the plane.*bad image: cat/2.png" --weights tiny.safetensors --data images --method pca
      --max-bad-fraction 0.9 --samples 0 --out labelled)
  file(STRINGS "${WORK}/labelled/folder-embeddings.csv" lines)
  list(LENGTH lines count)
  if(NOT count EQUAL 4 OR NOT "${lines}" MATCHES "2,[^,]*3.png,1,dog,")
    message(SEND_ERROR "csv: ${lines}")
  endif()
  file(COPY "${WORK}/images/cat/1.png" "${WORK}/images/cat/2.png" "${WORK}/images/dog/3.png" "${WORK}/images/dog/4.png"
       DESTINATION "${WORK}/flat")
  run("${EMBED}" 0 "wrote" --weights tiny.safetensors --data flat --method pca --max-bad-fraction 0.9 --out plain)
  file(READ "${WORK}/plain/folder-embeddings.html" page)
  if(run_out MATCHES "k-NN" OR NOT page MATCHES "\"labels\":.-1,-1,-1.")
    message(SEND_ERROR "without labels: ${run_out}")
  endif()
  file(REMOVE_RECURSE "${WORK}/images/dog" "${WORK}/images/cat/1.png")
  run("${EMBED}" 3 "cat/2.png" --weights tiny.safetensors --data images --method pca --max-bad-fraction 1 --out none)
endif()
