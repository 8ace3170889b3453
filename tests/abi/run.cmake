# Runs PROGRAM; its exit code must be CODE and what it writes to stderr must match OUTPUT.
execute_process(COMMAND "${PROGRAM}" RESULT_VARIABLE code ERROR_VARIABLE output OUTPUT_QUIET)
if(NOT code EQUAL CODE)
  message(FATAL_ERROR "exit code ${code}, expected ${CODE}; stderr: ${output}")
endif()
if(NOT output MATCHES "${OUTPUT}")
  message(FATAL_ERROR "stderr does not match '${OUTPUT}': ${output}")
endif()
