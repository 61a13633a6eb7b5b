#!/bin/sh
# Installs by apt what the tests need and is missing: what README's shell block uses, and Redis for the tests of views
# kept there (each starts its own; the package's own service is not needed). Needs root on Debian.
set -eu
missing=""
command -v curl >/dev/null || missing="$missing curl"
command -v python3 >/dev/null || missing="$missing python3"
command -v openssl >/dev/null || missing="$missing openssl"
command -v redis-server >/dev/null || missing="$missing redis-server"
command -v gcc >/dev/null || missing="$missing gcc libc6-dev" # Tokens (密码机) are reached through cgo.
command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing="$missing chromium" # Pages are tested in a real browser,
fc-list 2>/dev/null | grep -qi cjk || missing="$missing fontconfig fonts-noto-cjk"                   # with the signs they are written in.
command -v softhsm2-util >/dev/null || missing="$missing softhsm2"
command -v node >/dev/null || missing="$missing nodejs" # For the official EventStoreDB clients in Node.
npm=""
command -v npm >/dev/null || npm="npm"
[ -z "$missing$npm" ] && exit 0
echo "installing:$missing $npm"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
[ -z "$missing" ] || apt-get install -y -qq --no-install-recommends $missing >/dev/null
# Apart: Debian's npm does not go with a node that is not Debian's, and only the Node clients' checks need it.
[ -z "$npm" ] || apt-get install -y -qq --no-install-recommends npm >/dev/null || echo "no npm: the checks with Node clients are skipped"
