#!/usr/bin/env bash
# Carries out the commands of OPERATIONS.md as they stand there, on files of its own: /etc/evergreen,
# /var/lib/evergreen, /backups and /elsewhere are in a temporary directory, systemctl starts and stops the
# programs, and what takes root or a build is left out. The first command that fails ends it.
#
#   docs/operations.sh [FOLDER-OF-THE-PROGRAMS]
set -euo pipefail
cd "$(dirname "$0")/.."
programs=$(cd "${1:-target/release}" && pwd)
manual=$PWD/docs/OPERATIONS.md
root=$(mktemp -d)
declare -A running=()
finish() {
  for id in "${running[@]}"; do kill "$id" 2>/dev/null || true; done
  wait
  rm -rf "$root"
}
trap finish EXIT

# What the system does elsewhere.
cargo() { :; }
useradd() { :; }
install() {
  case "$*" in
  *" 600 "*) command install "$@" ;;
  *) : ;;
  esac
}
pass() { echo "correct horse battery staple"; }
auth-service() { "$programs/auth-service" "$@"; }
api-service() { "$programs/api-service" "$@"; }
# Starts or stops one service, and says where it listens.
systemctl() {
  local service=${2#evergreen-} line
  case $1 in
  stop)
    kill "${running[$service]}"
    wait "${running[$service]}"
    unset "running[$service]"
    ;;
  start)
    mkfifo "$root/said" 2>/dev/null || true
    "$programs/$service-service" serve --listen 127.0.0.1:0 --ops-listen 127.0.0.1:0 \
      >"$root/said" 2>"$root/$service.log" &
    running[$service]=$!
    exec 3<"$root/said"
    read -r line <&3 || { cat "$root/$service.log"; return 1; }
    echo "$line"
    declare -g "${service}_address=${line##* }"
    read -r line <&3
    declare -g "${service}_operations=${line##* }"
    ;;
  esac
}
signing() { auth-service keys list | awk '$0 ~ /active/ { for (i = 1; i <= NF; i++) if (length($i) > 15 && $i !~ /[:]/) { print $i; exit } }'; }

# block SECTION NUMBER: carries out that block of that section.
block() {
  local commands line
  commands=$(awk -v section="## $1" -v wanted="$2" '
    /^## / { inside = ($0 == section) }
    inside && /^```sh/ { number++; code = 1; next }
    /^```/ { code = 0 }
    inside && code && number == wanted' "$manual")
  [ -n "$commands" ] || { echo "OPERATIONS.md has no block $2 in its section $1" >&2; exit 1; }
  printf '\n== %s\n' "$1"
  while IFS= read -r line; do
    echo "\$ $line"
    line=${line//\/etc\/evergreen/$root\/etc\/evergreen}
    line=${line//\/var\/lib\/evergreen/$root\/var\/lib\/evergreen}
    line=${line//\/backups/$root\/backups}
    line=${line//\/elsewhere/$root\/elsewhere}
    case $line in *KID*) line=${line//KID/$(signing)} ;; esac
    case $line in
    # There is no terminal to ask at.
    *'user create '*) [[ $line == *--password-stdin* ]] || line="pass | ${line%%  #*} --password-stdin" ;;
    esac
    eval "$line"
  done <<<"$commands"
}

# fresh: nothing is there but the folders that an operator has.
fresh() {
  rm -rf "${root:?}"/*
  mkdir -p "$root/etc/evergreen" "$root/var/lib/evergreen" "$root/backups" "$root/elsewhere"
  export EVERGREEN_AUTH_CONFIG=$root/etc/evergreen/auth.toml EVERGREEN_API_CONFIG=$root/etc/evergreen/api.toml
}
# made NAME: a user of this name is there.
made() { pass | auth-service user create "$1" --password-stdin; }
fetched() { curl --silent --show-error --fail "http://$1$2"; }

fresh
block Install 1
block Install 2
block Keys 1
for name in mallory bob; do made "$name"; done
auth-service service create worker
systemctl start evergreen-auth
EVERGREEN_API_AUTH_URL=http://$auth_address systemctl start evergreen-api
export EVERGREEN_AUTH_LISTEN=$auth_address EVERGREEN_API_LISTEN=$api_address
EVERGREEN_API_AUTH_URL=http://$auth_address block Doctor 1
printf '\n== curl\n'
for address in "$auth_operations" "$api_operations"; do
  [ "$(fetched "$address" /healthz)" = ok ]
  fetched "$address" /readyz
  fetched "$address" /metrics | grep -c '^evergreen_'
done
fetched "$auth_operations" /.well-known/jwks.json | grep -q '"kty":"OKP"'
block Backup 1
block Restore 1
block Restore 2
systemctl stop evergreen-api
systemctl stop evergreen-auth

fresh
block Install 1
block Users 1
echo
echo "every command of the manual did what it says"
