#!/bin/sh
# A tour of the command line: two real servers, one user at two keyboards. Each step shows what it
# runs and checks what comes back; the first thing that differs ends it with exit code 1.
#
#   docs/tour.sh [PATH-TO-EVERGREEN]
set -eu
cd "$(dirname "$0")/.."
evergreen=$(command -v "${1:-target/release/evergreen}") || {
  echo "build it first: cargo build --release --bin evergreen" >&2
  exit 1
}
dir=$(mktemp -d)
servers=
finish() {
  [ -z "$servers" ] || kill "$servers" 2>/dev/null || true
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' INT TERM

# at KEYBOARD ARGUMENT...: what the user at that keyboard runs.
at() {
  home=$dir/$1
  shift
  EVERGREEN_CONFIG_DIR=$home EVERGREEN_AUTH_URL=http://$auth EVERGREEN_API_URL=http://$api \
    COLUMNS=120 NO_COLOR=1 "$evergreen" "$@"
}

# step COMMAND...: runs it at the desk, and keeps what it prints in $dir/out.
step() {
  printf '\n$ evergreen'
  for word; do
    case $word in
    *' '*) printf ' "%s"' "$word" ;;
    *) printf ' %s' "$word" ;;
    esac
  done
  echo
  at desk "$@" >"$dir/out"
  cat "$dir/out"
}

# says TEXT: the last step printed it.
says() {
  grep -qF -- "$1" "$dir/out" || {
    printf '\ntour.sh: this should have said: %s\n' "$1" >&2
    exit 1
  }
}

# waits FILE TEXT: until the file holds the text.
waits() {
  tries=0
  until grep -qF -- "$2" "$1" 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || {
      printf '\ntour.sh: this never came: %s\n' "$2" >&2
      cat "$1" >&2
      exit 1
    }
    sleep 0.1
  done
}

"$evergreen" up --demo --data-dir "$dir/data" --auth-listen 127.0.0.1:0 --api-listen 127.0.0.1:0 \
  >"$dir/servers" 2>"$dir/log" &
servers=$!
waits "$dir/servers" "ApiService  is ready on "
auth=$(sed -n 's/^AuthService is ready on //p' "$dir/servers")
api=$(sed -n 's/^ApiService  is ready on //p' "$dir/servers")

printf '\n$ evergreen login demo --password-stdin\n'
echo evergreen-demo-1 | at desk login demo --password-stdin | tee "$dir/out"
says "Logged in as demo"
step whoami
says "demo (editor)"
step trees list --mine
says "Printer prints blank pages"

step folders new /Office/Kitchen --parents
says "Created /Office/Kitchen: "
step trees import docs/samples/trees.jsonl --folder /Office
says "Created 3 trees."
step trees import docs/samples/trees.jsonl --folder /Office
says "Created 0 trees. 3 trees had been created by an earlier try."
step trees import docs/samples/coffee.md --folder /Office/Kitchen
says "Created 1 tree."
step folders tree
says "└─ Kitchen  1 tree"

step trees search loudspeaker
says "The meeting room has no sound"
step trees show "The coffee machine gives no coffee"
says "│  └─ ! Yes: press the switch at the back"

printf '\n$ evergreen walk "The coffee machine gives no coffee"   # answers: 1, b, 2, 1, 1\n'
printf '1\nb\n2\n1\n1\n' | at desk walk "The coffee machine gives no coffee" | tee "$dir/out"
says "= It goes on by itself"

printf '\n$ evergreen trees watch --count 1 --json &   # meanwhile, at another keyboard:\n'
at desk trees watch --count 1 --json >"$dir/watched" &
watching=$!
waits "$dir/watched" '"change":null'
echo evergreen-demo-1 | at laptop login demo --password-stdin >/dev/null
at laptop trees mv "A parcel has not arrived" / | tee "$dir/out"
says "“A parcel has not arrived” is in no folder now."
wait "$watching"
cp "$dir/watched" "$dir/out"
says '"kind":"CHANGE_KIND_UPDATED"'
says '"title":"A parcel has not arrived"'
tail -n 1 "$dir/watched"

step trees rm "A parcel has not arrived"
says "It can be restored until "
step trees restore "A parcel has not arrived"
says "Restored “A parcel has not arrived”."
step trees history "A parcel has not arrived"
says "REVISION"

step trees export --output "$dir/trees.jsonl"
says "Exported 9 trees"
step sessions list
says "(this one)"
step logout --everywhere
says "Logged out everywhere: 2 sessions ended."
code=0
at laptop whoami >"$dir/out" 2>&1 || code=$?
cat "$dir/out"
[ "$code" -eq 3 ] || {
  echo "tour.sh: whoami should have ended with exit code 3, and not $code" >&2
  exit 1
}
says "Run \`evergreen login\`."
printf '\nThe tour is over: everything was as it should be.\n'
