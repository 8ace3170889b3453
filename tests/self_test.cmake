# The self-test of checks that look at a tree. Who includes this has check_tree(root out) and WORK.

# expect(name, file, text, pattern): a tree with this one file must give one complaint that matches, or none for "".
function(expect name file text pattern)
  file(REMOVE_RECURSE "${WORK}")
  file(WRITE "${WORK}/${file}" "${text}\n")
  check_tree("${WORK}" found)
  list(LENGTH found count)
  if(pattern STREQUAL "" AND NOT count EQUAL 0)
    message(SEND_ERROR "self-test '${name}': nothing is wrong there, but the check says ${found}")
  elseif(NOT pattern STREQUAL "" AND NOT (count EQUAL 1 AND found MATCHES "${pattern}"))
    message(SEND_ERROR "self-test '${name}': expected '${pattern}', the check says '${found}'")
  endif()
endfunction()
