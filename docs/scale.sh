#!/bin/sh
# What a session takes in PostgreSQL, and what a refresh writes there: the figures of docs/SCALE.md.
# The server is a private one in a temporary directory, the schema is AuthService's, the statements are
# read from its sources. As root it runs PostgreSQL as the user postgres.
#
#   docs/scale.sh [PATH-TO-AUTH-SERVICE] [SESSIONS] [PATH-TO-POSTGRESQL-BIN]
set -eu
cd "$(dirname "$0")/.."
service=$(command -v "${1:-target/release/auth-service}") || {
  echo "build it first: cargo build --release -p auth-service" >&2
  exit 1
}
sessions=${2:-100000}
bin=${3:-$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)}
[ -x "$bin/initdb" ] || {
  echo "PostgreSQL's initdb is not in '$bin': name its directory as the third argument" >&2
  exit 1
}
dir=$(mktemp -d)
as=
if [ "$(id -u)" = 0 ]; then
  as="setpriv --reuid=postgres --regid=postgres --init-groups"
  chown postgres "$dir"
fi
finish() {
  (cd / && $as "$bin/pg_ctl" --pgdata="$dir/data" --mode=immediate stop >/dev/null 2>&1) || true
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' INT TERM

# Checkpoints and vacuum come when they are asked for, so that each run does the same.
(
  cd /
  $as "$bin/initdb" --auth=trust --username=postgres --encoding=UTF8 --locale=C --no-sync \
    --no-instructions --pgdata="$dir/data" >/dev/null
  cat >>"$dir/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$dir'
checkpoint_timeout = 1h
autovacuum = off
max_wal_size = 16GB
shared_buffers = 512MB
CONF
  $as "$bin/pg_ctl" --pgdata="$dir/data" --log="$dir/data/log" --wait start >/dev/null
)
query() { "$bin/psql" -h "$dir" -U postgres -d postgres -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }
mkdir -m 700 "$dir/service"
"$service" migrate --data-dir "$dir/service" --database-url \
  "postgres://postgres@$(printf %s "$dir" | sed 's|/|%2F|g')/postgres" >"$dir/migrated" 2>&1 || {
  cat "$dir/migrated" >&2
  exit 1
}

# statement FILE FIRST LAST: what is between the lines of a source that match.
statement() { sed -n "/$2/,/$3/p" "auth-service/src/storage/postgres/$1"; }
now='(extract(epoch FROM clock_timestamp()) * 1000)::bigint'
advance=$(statement advances.rs 'const ADVANCE: &str' '";$' |
  sed -e '1d' -e 's/";$//' -e "s/{now}/$now/")
remove=$(statement sessions.rs '"DELETE FROM sessions' ')",$' | sed -e 's/^ *"//' -e 's/",$//')

# As the pool of commits sets its connections up (storage/postgres/connection.rs); but nobody waits for
# the disk, since time is not what is measured.
prepared="SET synchronous_commit = off; SET plan_cache_mode = force_generic_plan; SET enable_hashjoin = off;
  SET enable_mergejoin = off; SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off;
  PREPARE advance AS $advance;"

query <<SQL
-- Version 7 (RFC 9562): begins with the time.
CREATE FUNCTION made_at(ms bigint) RETURNS uuid LANGUAGE sql VOLATILE AS \$\$
  SELECT (lpad(to_hex(ms), 12, '0') || '7' || substr(md5(random()::text), 1, 3)
    || 'a' || substr(md5(random()::text), 1, 15))::uuid \$\$;
-- Half as many users as sessions, a year old at the most; 97 characters of hash.
INSERT INTO users (id, username, username_key, password_hash, password_version, status, roles,
                   sessions_valid_after, create_time)
SELECT made_at(t), 'user-' || n, 'user-' || n, '\$argon2id\$v=19\$m=19456,t=2,p=1\$'
         || substr(md5(n::text), 1, 22) || '\$' || substr(md5(n::text) || md5(t::text), 1, 43),
       1, 'active', 'editor', 0, t
FROM generate_series(1, $sessions / 2) n, LATERAL (SELECT
  $now - 31536000000 + n * (31536000000 / ($sessions / 2)) AS t) made;
CREATE TABLE numbered AS SELECT row_number() OVER () AS n, id FROM users;
CREATE UNIQUE INDEX ON numbered (n);
-- As after a login (storage/postgres/users.rs), one after the other, over the last day.
INSERT INTO sessions (id, user_id, device_name, create_time, auth_time, generation, nonces,
                      last_keyed, rotated_at, idle_until, absolute_until)
SELECT made_at(t), u.id, 'Firefox on Linux', t, t - t % 1000, 0,
       uuid_send(gen_random_uuid()), false, t, t + 604800000, t - t % 1000 + 2592000000
FROM (SELECT n, $now - 86400000 + n * (86400000 / $sessions) AS t,
             1 + floor(random() * ($sessions / 2))::bigint AS whose
      FROM generate_series(1, $sessions) n) made JOIN numbered u ON u.n = made.whose
ORDER BY made.n;
DROP TABLE numbered;
VACUUM (ANALYZE) users, sessions;
CHECKPOINT;
SQL

# rotate SIZE [WHERE]: each session once, in groups of so many, in no order of theirs.
rotate() {
  {
    echo "$prepared"
    cat <<SQL
SELECT format('EXECUTE advance(%L, %L, %L, %L, %L, %L, %L, %L, %L)',
  array_agg(id ORDER BY id), array_agg(generation ORDER BY id),
  array_agg(substring(nonces FROM 1 FOR 16) ORDER BY id),
  array_agg(generation + 1 ORDER BY id), array_agg(uuid_send(gen_random_uuid()) ORDER BY id),
  array_agg(true ORDER BY id), array_agg(0 ORDER BY id), array_agg(604800000 ORDER BY id),
  array_agg(10000 ORDER BY id))
FROM (SELECT *, (row_number() OVER (ORDER BY random()) - 1) / $1 AS team
      FROM sessions ${2:-}) drawn
GROUP BY team ORDER BY team
\gexec
SQL
  } | sed "s/format('EXECUTE/format('${explain:-}EXECUTE/" | query >"$dir/moved"
  wc -l <"$dir/moved"
}
place() { query -c 'SELECT pg_current_wal_insert_lsn()'; }
# written WHAT COMMAND...: the log that a command writes, over what it says that it has done.
written() {
  what=$1
  shift
  from=$(place)
  moved=$("$@")
  query -c "SELECT format('%-52s %8s  of %s', '$what',
    round(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '$from') / $moved), '$moved')"
}
# counts; in_page FROM TO: how many of the rotations in between stayed in their page.
counts() {
  sleep 1
  query -c "SELECT n_tup_upd || ' ' || n_tup_hot_upd FROM pg_stat_user_tables
    WHERE relname = 'sessions'"
}
in_page() {
  query -c "SELECT format('%-52s %8s', '  rotations in their page, no index written', round(
      (split_part('$2', ' ', 2)::numeric - split_part('$1', ' ', 2)::numeric)
      / (split_part('$2', ' ', 1)::numeric - split_part('$1', ' ', 1)::numeric), 4))"
}
sizes() {
  query -c "SELECT format('%-52s %8s', '  ' || relname,
      round(pg_relation_size(oid)::numeric / $2, 1))
    FROM pg_class WHERE oid = '$1'::regclass OR oid IN
      (SELECT indexrelid FROM pg_index WHERE indrelid = '$1'::regclass)
    ORDER BY relkind DESC, relname" \
    -c "SELECT format('%-52s %8s', '$1, all', round(pg_total_relation_size('$1')::numeric / $2, 1))"
}

query -c "SELECT format('%s, %s sessions', split_part(version(), ' (', 1), count(*)) FROM sessions"
printf '\nBytes a row: users\n'
sizes users $((sessions / 2))
printf '\nBytes a row: sessions after the login\n'
sizes sessions "$sessions"
before=$(counts)
for _ in 1 2 3 4 5 6 7 8; do rotate 256 >/dev/null; done
printf '\nBytes a row: sessions after 8 rotations each, which fill their nonces\n'
in_page "$before" "$(counts)"
query -c 'VACUUM (ANALYZE) sessions'
sizes sessions "$sessions"
full=$(query -c "SELECT pg_relation_size('sessions') || ';' || pg_indexes_size('sessions')")

printf '\nBytes of log a refresh, whole pages aside\n'
query -c CHECKPOINT
rotate 256 >/dev/null
written '  in groups of 1' rotate 1 "TABLESAMPLE SYSTEM (10)"
written '  in groups of 8' rotate 8
written '  in groups of 64' rotate 64
printf '\nBytes of log a refresh that is the first in its page after a checkpoint\n'
first="WHERE id IN (SELECT DISTINCT ON ((ctid::text::point)[0]) id FROM sessions)"
query -c CHECKPOINT
written '  as it is' rotate 64 "$first"
query -c "ALTER SYSTEM SET wal_compression = lz4" -c "SELECT pg_reload_conf()" -c CHECKPOINT >/dev/null
sleep 1
written '  with wal_compression = lz4' rotate 64 "$first"
query -c "ALTER SYSTEM SET wal_compression = off" -c "SELECT pg_reload_conf()" >/dev/null
sleep 1

printf '\nAs rotations go on\n'
more=0
for until in 8 16 32 64; do
  # As autovacuum does: what a page has room for is known again.
  query -c 'VACUUM sessions'
  before=$(counts)
  while [ "$more" -lt "$until" ]; do
    rotate 256 >/dev/null
    more=$((more + 1))
  done
  in_page "$before" "$(counts)"
  query -c "SELECT format('%-52s %8s', '  after $until more, times the size: table; indexes',
    round(pg_relation_size('sessions')::numeric / ${full%;*}, 3) || '; '
    || round(pg_indexes_size('sessions')::numeric / ${full#*;}, 3))"
done

# Medians, so that what a connection does once does not count.
middle() { sort -n | awk '{ at[NR] = $1 } END { print at[int((NR + 1) / 2)] }'; }
printf '\nOne refresh in the database, with all of it in memory\n'
explain='EXPLAIN (ANALYZE, BUFFERS, COSTS off, TIMING off) '
some="TABLESAMPLE BERNOULLI (least(100, 640000.0 / $sessions))"
for size in 1 8 64; do
  rotate "$size" "$some" >/dev/null
  pages=$(sed -n '/^Update/{n;s/.*shared hit=\([0-9]*\).*/\1/p;}' "$dir/moved" | middle)
  spent=$(sed -n 's/^Execution Time: \(.*\) ms/\1/p' "$dir/moved" | middle)
  query -c "SELECT format('%-52s %8s', '  in groups of $size: microseconds; pages looked at',
    round($spent * 1000.0 / $size, 1) || '; ' || round($pages::numeric / $size, 1))"
done
rotate 1 "$some LIMIT 2" >/dev/null
sed -n '/^Update/h;/^Update/!H;${x;p;}' "$dir/moved" | grep -E 'Update|Scan|Cond|Loop' || true
explain=

# As that of a dump does: what it may still see cannot be pruned.
printf '\nAfter 4 more, beside a transaction that stays open\n'
before=$(counts)
mkfifo "$dir/hold"
{ echo 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM users;'; cat "$dir/hold"; } |
  query >/dev/null &
sleep 1
for _ in 1 2 3 4; do rotate 256 >/dev/null; done
in_page "$before" "$(counts)"
query -c "SELECT format('%-52s %8s', '  times the size: table; indexes',
    round(pg_relation_size('sessions')::numeric / ${full%;*}, 3) || '; '
    || round(pg_indexes_size('sessions')::numeric / ${full#*;}, 3))"
: >"$dir/hold"
wait

printf '\nAudit events, one a login\n'
record() {
  query -c "INSERT INTO audit_events (id, time, kind, user_id, session_id, address, device)
    SELECT gen_random_uuid(), create_time, 'login_succeeded', user_id, id, '192.0.2.7', device_name
    FROM sessions ORDER BY id" -c "SELECT count(*) FROM audit_events"
}
query -c CHECKPOINT
written '  bytes of log each, whole pages with them' record
sizes audit_events "$sessions"

printf '\nUpkeep: a day after their end, in batches of 200\n'
query -c "UPDATE sessions SET absolute_until = 0
    WHERE id IN (SELECT id FROM sessions ORDER BY id LIMIT $sessions / 10)" \
  -c 'VACUUM sessions' -c CHECKPOINT
clean() {
  {
    echo "PREPARE remove AS $remove;"
    n=0
    while [ "$n" -lt $((sessions / 2000)) ]; do
      echo 'EXECUTE remove(1, 200);'
      n=$((n + 1))
    done
  } | query
  echo $((sessions / 10))
}
written '  bytes of log a session, whole pages with them' clean
query -c "SELECT format('%-52s %8s', '  sessions left that should have gone', count(*))
  FROM sessions WHERE absolute_until < 1"
