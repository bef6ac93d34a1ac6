-- schema: 9
--
-- The statements that the program ran whose last migration was 9, with values in the place of
-- parameters, in an order in which each finds something. A newer program brings the schema up to date
-- while instances of that one still serve, so each of these must go on to do what it did.
--
-- To extend it: a statement that is new in the program is added here. When a version with newer
-- migrations has been released, set the number above to that version's last migration, and bring the
-- statements to what its source says (src/storage/postgres). Only then may a migration take away what
-- the former ones needed.

INSERT INTO users (id, username, username_key, password_hash, password_version,
                   status, roles, sessions_valid_after, create_time)
VALUES ('00000000-0000-7000-8000-00000000000a', 'Ada', 'ada', '$argon2id$v=19$...', 1,
        'active', 'editor,admin', 0, 1000)
ON CONFLICT (username_key) DO NOTHING;

INSERT INTO sessions (id, user_id, device_name, create_time, auth_time, generation, nonces,
                      last_keyed, rotated_at, idle_until, absolute_until)
SELECT '00000000-0000-7000-8000-000000000001', id, 'laptop', 1000, 1000, 0,
       decode('00112233445566778899aabbccddeeff', 'hex'), false, 1000, 99999999999999, 99999999999999
FROM users WHERE id = '00000000-0000-7000-8000-00000000000a' AND password_version = 1
  AND status = 'active' FOR SHARE;

INSERT INTO audit_events (id, time, kind, user_id, session_id, address, device, actor, detail)
VALUES ('00000000-0000-7000-8000-0000000000e1', 1000, 'registered',
        '00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-000000000001', '192.0.2.7',
        coalesce((SELECT device_name FROM sessions
                  WHERE id = '00000000-0000-7000-8000-000000000001'), ''), NULL, '');

SELECT id, username, password_hash, password_version, status, roles, roles_version, create_time
FROM users WHERE username_key = 'ada';

SELECT id, username, password_hash, password_version, status, roles, roles_version, create_time
FROM users WHERE id = '00000000-0000-7000-8000-00000000000a';

SELECT t.now, s.id, s.user_id, s.device_name, s.create_time, s.auth_time, s.generation, s.nonces,
       s.last_keyed, s.rotated_at, s.idle_until, s.absolute_until, s.revoked_at,
       u.status AS user_status, u.roles AS user_roles, u.roles_version AS user_roles_version
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now) t
LEFT JOIN sessions s ON s.id = '00000000-0000-7000-8000-000000000001'
LEFT JOIN users u ON u.id = s.user_id;

WITH t AS MATERIALIZED (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now)
UPDATE sessions s
SET generation = v.to_generation,
    nonces = substring(v.pushed || s.nonces FROM 1 FOR 128),
    last_keyed = v.keyed,
    rotated_at = greatest(s.rotated_at, t.now),
    idle_until = t.now + v.idle_life
FROM unnest(ARRAY['00000000-0000-7000-8000-000000000001']::uuid[], ARRAY[0]::bigint[],
            ARRAY[decode('00112233445566778899aabbccddeeff', 'hex')]::bytea[], ARRAY[1]::bigint[],
            ARRAY[decode('ffeeddccbbaa99887766554433221100', 'hex')]::bytea[],
            ARRAY[true]::boolean[], ARRAY[0]::bigint[], ARRAY[604800000]::bigint[],
            ARRAY[10000]::bigint[])
         AS v (id, generation, nonce, to_generation, pushed, keyed, idle_floor, idle_life, life),
     t, users u
WHERE s.id = v.id
  AND s.generation = v.generation
  AND substring(s.nonces FROM 1 FOR 16) = v.nonce
  AND s.revoked_at IS NULL
  AND s.absolute_until > t.now
  AND greatest(s.idle_until, v.idle_floor) > t.now
  AND clock_timestamp() < statement_timestamp() + v.life * interval '1 millisecond'
  AND u.id = s.user_id
  AND u.status = 'active'
RETURNING s.id, s.rotated_at, u.roles, u.roles_version, t.now;

SELECT s.id, s.user_id, s.device_name, s.create_time, s.auth_time, s.generation, s.nonces,
       s.last_keyed, s.rotated_at, s.idle_until, s.absolute_until, s.revoked_at,
       u.status AS user_status, u.roles AS user_roles, u.roles_version AS user_roles_version
FROM sessions s JOIN users u ON u.id = s.user_id
WHERE s.user_id = '00000000-0000-7000-8000-00000000000a' AND s.revoked_at IS NULL
  AND s.idle_until > 1000 AND s.absolute_until > 1000
  AND (s.create_time, s.id) < (9223372036854775807, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
ORDER BY s.create_time DESC, s.id DESC LIMIT 50;

SELECT id FROM users
WHERE id = '00000000-0000-7000-8000-00000000000a' AND status = 'active'
  AND sessions_valid_after < 1000 FOR SHARE;

INSERT INTO sessions (id, user_id, device_name, create_time, auth_time, generation,
                      nonces, last_keyed, rotated_at, idle_until, absolute_until)
VALUES ('00000000-0000-7000-8000-000000000002', '00000000-0000-7000-8000-00000000000a', '', 1000,
        1000, 7, decode('00112233445566778899aabbccddeeff', 'hex'), false, 1000, 2000, 3000)
ON CONFLICT DO NOTHING;

SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
       EXISTS (SELECT 1 FROM sessions WHERE id = '00000000-0000-7000-8000-000000000003');

SELECT id FROM users WHERE id = '00000000-0000-7000-8000-00000000000a' FOR UPDATE;

INSERT INTO sessions (id, user_id, device_name, create_time, auth_time, generation,
                      nonces, last_keyed, rotated_at, idle_until, absolute_until,
                      revoked_at, revoke_reason)
VALUES ('00000000-0000-7000-8000-000000000003', '00000000-0000-7000-8000-00000000000a', '', 2000,
        2000, 0, decode('00000000000000000000000000000000', 'hex'), false, 2000, 4000, 4000, 2000,
        'forgotten')
ON CONFLICT (id) DO UPDATE
SET revoked_at = excluded.revoked_at, revoke_reason = 'user'
WHERE sessions.user_id = excluded.user_id AND sessions.revoked_at IS NULL;

SELECT revoked_at FROM sessions
WHERE user_id = '00000000-0000-7000-8000-00000000000a' AND revoke_reason = 'forgotten'
  AND revoked_at > 1000
ORDER BY revoked_at DESC LIMIT 1 OFFSET 0;

SELECT user_id FROM sessions WHERE id = '00000000-0000-7000-8000-000000000003';

UPDATE sessions SET revoked_at = 3000, revoke_reason = 'reuse'
WHERE id = '00000000-0000-7000-8000-000000000002' AND generation = 7
  AND substring(nonces FROM 1 FOR 16) = decode('00112233445566778899aabbccddeeff', 'hex')
  AND revoked_at IS NULL;

UPDATE users SET password_hash = '$argon2id$v=19$....'
WHERE id = '00000000-0000-7000-8000-00000000000a' AND password_version = 1;

UPDATE users
SET password_hash = '$argon2id$v=19$.....', password_version = password_version + 1,
    sessions_valid_after = greatest(sessions_valid_after, 5000)
WHERE id = '00000000-0000-7000-8000-00000000000a' AND password_version = 1 AND status = 'active';

SELECT id, idle_until > 1000 AND absolute_until > 1000 AS live FROM sessions
WHERE user_id = '00000000-0000-7000-8000-00000000000a' AND revoked_at IS NULL ORDER BY id FOR UPDATE;

UPDATE sessions SET revoked_at = 6000, revoke_reason = 'password_changed'
WHERE id = ANY(ARRAY['00000000-0000-7000-8000-000000000001']::uuid[]);

UPDATE users SET sessions_valid_after = greatest(sessions_valid_after, 7000)
WHERE id = '00000000-0000-7000-8000-00000000000a';

SELECT id, status = 'active' AND roles LIKE '%admin%' FROM users
WHERE id = '00000000-0000-7000-8000-00000000000a' OR (status = 'active' AND roles LIKE '%admin%')
ORDER BY id FOR UPDATE;

UPDATE users
SET roles = 'viewer', roles_version = greatest(roles_version + 1, 8000 / 1000),
    roles_changed_at = greatest(coalesce(roles_changed_at, 8000), 8000)
WHERE id = '00000000-0000-7000-8000-00000000000a' AND roles <> 'viewer';

UPDATE users SET status = 'disabled'
WHERE id = '00000000-0000-7000-8000-00000000000a' AND status <> 'disabled';

SELECT id, revoked_at, NULL::bigint FROM sessions WHERE revoked_at >= 1000
UNION ALL
SELECT id, roles_changed_at, roles_version FROM users WHERE roles_changed_at >= 1000
UNION ALL
SELECT id, roles_changed_at, roles_version FROM service_accounts WHERE roles_changed_at >= 1000;

SELECT id, username, status, roles, create_time FROM users
WHERE username_key COLLATE "C" >= 'a' AND username_key COLLATE "C" < 'b'
ORDER BY username_key COLLATE "C" LIMIT 50;

SELECT id, username, status, roles, create_time FROM users
WHERE status = 'disabled' AND username_key COLLATE "C" >= 'a' AND username_key COLLATE "C" < 'b'
ORDER BY username_key COLLATE "C" LIMIT 50;

SELECT id, time, kind, user_id, session_id, address, device, actor, detail
FROM audit_events WHERE (time, id) < (2000, '00000000-0000-7000-8000-000000000000')
  AND kind = 'registered' AND user_id = '00000000-0000-7000-8000-00000000000a'
  AND session_id = '00000000-0000-7000-8000-000000000001' AND time >= 0
ORDER BY time DESC, id DESC LIMIT 50;

SELECT id, time, kind, user_id, session_id, address, device, actor, detail
FROM audit_events ORDER BY time DESC, id DESC LIMIT 50;

INSERT INTO secrets (name, value) VALUES ('page_token', decode('00', 'hex'))
ON CONFLICT (name) DO NOTHING;

SELECT value FROM secrets WHERE name = 'page_token';

INSERT INTO service_accounts (id, name, name_key, secret_hash, roles, status, create_time)
VALUES ('00000000-0000-7000-8000-00000000000b', 'Worker', 'worker',
        decode(repeat('01', 32), 'hex'), 'viewer', 'active', 1000)
ON CONFLICT (name_key) DO NOTHING;

SELECT id FROM service_accounts WHERE name_key = 'worker';

SELECT secret_hash FROM service_accounts
WHERE id = '00000000-0000-7000-8000-00000000000b' FOR UPDATE;

INSERT INTO replaced_secrets (service_id, secret_hash, accepted_until)
VALUES ('00000000-0000-7000-8000-00000000000b', decode(repeat('01', 32), 'hex'), 99999999999999);

SELECT accepted_until FROM replaced_secrets
WHERE service_id = '00000000-0000-7000-8000-00000000000b' ORDER BY accepted_until;

UPDATE service_accounts SET secret_hash = decode(repeat('02', 32), 'hex')
WHERE id = '00000000-0000-7000-8000-00000000000b';

SELECT a.id, a.secret_hash, a.roles, a.status, a.roles_version,
       r.secret_hash AS replaced_secret_hash
FROM service_accounts a
LEFT JOIN replaced_secrets r ON r.service_id = a.id
     AND r.accepted_until > (extract(epoch FROM clock_timestamp()) * 1000)::bigint
WHERE a.id = '00000000-0000-7000-8000-00000000000b';

DELETE FROM replaced_secrets
WHERE service_id = '00000000-0000-7000-8000-00000000000b' AND accepted_until <= 9223372036854775807;

UPDATE service_accounts
SET status = 'disabled', roles_version = greatest(roles_version + 1, 9000 / 1000),
    roles_changed_at = greatest(coalesce(roles_changed_at, 9000), 9000)
WHERE id = '00000000-0000-7000-8000-00000000000b' AND status <> 'disabled';

UPDATE service_accounts SET status = 'active'
WHERE id = '00000000-0000-7000-8000-00000000000b' AND status <> 'active';

INSERT INTO signing_keys (kid, state, public_key, sealed_seed, create_time)
VALUES ('first', 'active', 'AAAA', decode('00', 'hex'), 1000) ON CONFLICT DO NOTHING;

INSERT INTO signing_keys (kid, state, public_key, sealed_seed, create_time)
VALUES ('second', 'next', 'AAAB', decode('01', 'hex'), 2000) ON CONFLICT DO NOTHING;

UPDATE signing_keys
SET longest_lead = greatest(longest_lead, 1000), longest_retention = greatest(longest_retention, 2000)
WHERE state IN ('active', 'next');

UPDATE signing_keys SET state = 'retired' WHERE kid = 'first' AND state = 'active';

UPDATE signing_keys SET state = 'active' WHERE kid = 'second' AND state = 'next';

UPDATE signing_keys SET longest_lead = 1000 WHERE kid = 'second';

UPDATE signing_keys SET state_time = 3000 WHERE kid IN ('second', 'first');

SELECT kid, state, public_key, sealed_seed, create_time, state_time, longest_lead, longest_retention
FROM signing_keys ORDER BY create_time DESC, kid;

SELECT 1 FROM signing_keys WHERE kid = 'second' FOR UPDATE;

SELECT max(longest_lead) FROM signing_keys;

WITH gone AS (DELETE FROM signing_keys
              WHERE kid = 'second' OR state IN ('active', 'next') RETURNING kid)
INSERT INTO withdrawn_keys (kid, withdraw_time) SELECT kid, 4000 FROM gone ON CONFLICT DO NOTHING;

SELECT 1 FROM withdrawn_keys WHERE kid = 'second';

DELETE FROM signing_keys WHERE kid = 'first' AND state = 'retired';

INSERT INTO guesses (subject, attempts, forgiven, last_attempt, locked_until)
VALUES (decode(repeat('03', 32), 'hex'), 0, 0, 0, 0) ON CONFLICT (subject) DO NOTHING;

INSERT INTO guesses (subject, attempts, forgiven, last_attempt, locked_until)
VALUES (decode(repeat('03', 32), 'hex'), 0, 0, 0, 0)
ON CONFLICT (subject) DO UPDATE SET subject = excluded.subject
RETURNING attempts, forgiven, last_attempt, locked_until,
          (extract(epoch FROM clock_timestamp()) * 1000)::bigint;

SELECT attempts, forgiven, last_attempt, locked_until FROM guesses
WHERE subject = decode(repeat('03', 32), 'hex') FOR UPDATE;

INSERT INTO guesses (subject, attempts, forgiven, last_attempt, locked_until)
VALUES (decode(repeat('03', 32), 'hex'), 1, 0, 1000, 2000)
ON CONFLICT (subject) DO UPDATE
SET attempts = excluded.attempts, forgiven = excluded.forgiven,
    last_attempt = excluded.last_attempt, locked_until = excluded.locked_until;

INSERT INTO paces (subject, due) VALUES (decode(repeat('04', 32), 'hex'), 0) ON CONFLICT DO NOTHING;

INSERT INTO paces (subject, due) VALUES (decode(repeat('04', 32), 'hex'), 0)
ON CONFLICT (subject) DO UPDATE SET subject = excluded.subject
RETURNING due, (extract(epoch FROM clock_timestamp()) * 1000)::bigint;

SELECT due FROM paces WHERE subject = decode(repeat('04', 32), 'hex') FOR UPDATE;

INSERT INTO paces (subject, due) VALUES (decode(repeat('04', 32), 'hex'), 1000)
ON CONFLICT (subject) DO UPDATE SET due = excluded.due;

DELETE FROM guesses WHERE last_attempt < 9000 AND subject IN
    (SELECT subject FROM guesses WHERE last_attempt < 9000 ORDER BY last_attempt LIMIT 100);

DELETE FROM paces WHERE due < 9000 AND subject IN
    (SELECT subject FROM paces WHERE due < 9000 ORDER BY due LIMIT 100);

DELETE FROM sessions WHERE id IN
    (SELECT id FROM sessions
     WHERE absolute_until < 99999999999999999 AND (revoked_at IS NULL OR revoked_at < 99999999999999999)
     LIMIT 100);

DELETE FROM audit_events WHERE (time, id) IN
    (SELECT time, id FROM audit_events WHERE time < 9000 ORDER BY time LIMIT 100);
