# Read by cpack. Packages of the same sources are the same bytes whenever they are made: the times of
# all files in them are the changelog's, unless the environment says otherwise
# (https://reproducible-builds.org/specs/source-date-epoch/).
if(NOT DEFINED ENV{SOURCE_DATE_EPOCH})
  execute_process(
    COMMAND dpkg-parsechangelog --show-field Timestamp --file ${CPACK_ATELIER_CHANGELOG}
    OUTPUT_VARIABLE timestamp OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(ENV{SOURCE_DATE_EPOCH} ${timestamp})
endif()
