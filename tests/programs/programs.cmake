# What the tests of programs share: an empty folder WORK, and two functions.
file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")

# run(<program> <arguments>...): runs it in WORK; sets out and err to what it printed. A program that fails ends the test.
function(run)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${ARGN}\nended with ${code}: ${out}${err}")
  endif()
  set(out "${out}" PARENT_SCOPE)
  set(err "${err}" PARENT_SCOPE)
endfunction()

# same_run(<run> <other> <file>...): the files of two runs are equal, but for the names of the runs that stand in them.
function(same_run run other)
  string(HEX "${run}" name)
  string(HEX "${other}" other_name)
  foreach(file IN LISTS ARGN)
    file(READ "${WORK}/${run}/${file}" a HEX)
    file(READ "${WORK}/${other}/${file}" b HEX)
    string(REPLACE "${other_name}" "${name}" b "${b}")
    if(NOT a STREQUAL b)
      message(FATAL_ERROR "${other}: ${file} differs from that of ${run}")
    endif()
  endforeach()
endfunction()
