# Libraries that read what strangers send, of this Debian release, each as `name minimum-version`: the
# first in which everything is mended that was found in it. Of libpng from November 2025 on
# (CVE-2025-64505 to CVE-2026-46675), by the changelogs of bookworm-security and trixie-security; of
# libwebp since September 2023 (CVE-2023-4863). Empty where nothing is known.
set(ATELIER_MENDED_LIBRARIES "")
if(EXISTS /etc/os-release)
  file(STRINGS /etc/os-release release REGEX "^VERSION_CODENAME=")
  if(release STREQUAL "VERSION_CODENAME=bookworm")
    set(ATELIER_MENDED_LIBRARIES "libpng16-16 1.6.39-2+deb12u6" "libwebp7 1.2.4-0.2+deb12u1")
  elseif(release STREQUAL "VERSION_CODENAME=trixie")
    set(ATELIER_MENDED_LIBRARIES "libpng16-16t64 1.6.48-1+deb13u6" "libwebp7 1.3.2")
  endif()
endif()
