#!/usr/bin/env bash
# Install Debian packages that something here can use: tools/system_packages.sh PACKAGE…
#
# Does nothing for a package that is installed. Without root or apt-get it says what is missing and goes on: what needs the
# package is then left out, with a word why (the tests that open the report in a browser, the peer tesseract).
set -euo pipefail

missing=()
for package in "$@"; do
    case "$package" in
    chromium) command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing+=("$package") ;;
    postgresql) compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=("$package") ;;
    tesseract-ocr) command -v tesseract >/dev/null || missing+=("$package") ;;
    *) dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package") ;;
    esac
done
[ "${#missing[@]}" -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
    echo "[setup] not installed, and this is no Debian or you are not root: ${missing[*]} (what needs them is left out)" >&2
    exit 0
fi
echo "[setup] installing ${missing[*]}"
if [[ " ${missing[*]} " == *" postgresql "* && ! -e /etc/postgresql-common/createcluster.conf ]]; then
    # The tests start a server of their own; Debian would make and start another one.
    mkdir -p /etc/postgresql-common
    echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
fi
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; }; then
    echo "[setup] could not install ${missing[*]} (what needs them is left out)" >&2
fi
