#!/bin/sh
# Prints what this system is made of, its Debian packages, as a software bill of materials: CycloneDX 1.5 in
# JSON (https://cyclonedx.org/docs/1.5/json/). The image has that of itself as /usr/share/atelier/sbom.cdx.json.
set -eu
# shellcheck source=/dev/null
. /etc/os-release
# Versions have no character that JSON would escape; those of which addresses do are + and :.
components=$(dpkg-query -W -f '${db:Status-Status} ${Package} ${Version} ${Architecture}\n' | LC_ALL=C sort |
  while read -r status package version architecture; do
    [ "$status" = installed ] || continue
    escaped=$(printf '%s' "$version" | sed 's/+/%2B/g; s/:/%3A/g')
    purl="pkg:deb/$ID/$package@$escaped?arch=$architecture&distro=$ID-$VERSION_ID"
    printf ',\n  {"type": "library", "name": "%s", "version": "%s", "purl": "%s"}' "$package" "$version" "$purl"
  done)
cat <<JSON
{"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
 "metadata": {"component": {"type": "operating-system", "name": "$ID", "version": "$VERSION_ID"}},
 "components": [${components#,}
]}
JSON
