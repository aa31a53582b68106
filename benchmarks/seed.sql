-- The stated data, made by the server from numbers. {slots} and the like are filled in by seed.py; statements are
-- separated by a line with --.

CREATE OR REPLACE FUNCTION bench_id(kind int, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (lpad(to_hex({epoch} + n), 12, '0') || '7' || lpad(to_hex(kind), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid
$$;
--
-- The n of the user who is the number-th buyer, and of the one who owns a slot.
CREATE OR REPLACE FUNCTION bench_buyer(number bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT 4 * ((number % {buyers}) / 3 + 2) + 1 + (number % {buyers}) % 3
$$;
--
CREATE OR REPLACE FUNCTION bench_creator(slot bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT 4 * (1 + (1 + slot % {projects}) % {creators})
$$;
--
-- The k-th bid on slot s: the first one decides the slot's state, the second stands by or has lost.
CREATE TEMP TABLE deals AS
SELECT i, s, k, bench_buyer(s * 31 + k * 7919) AS b, now() - interval '1 year' + i * (interval '360 days' / {bids}) AS at,
    CASE WHEN s % 5 = 0 THEN CASE k WHEN 0 THEN 'Pending' ELSE 'Declined' END
         WHEN s % 20 = 1 THEN CASE k WHEN 0 THEN 'Committed' ELSE 'Declined' END
         WHEN s % 20 = 2 AND k = 0 THEN 'AwaitingFinalApproval'
         WHEN s % 20 = 3 AND k = 0 THEN 'Accepted'
         WHEN s % 20 = 4 AND k = 0 THEN 'Declined'
         ELSE 'Pending' END AS state
FROM (SELECT i, 1 + (i - 1) % {slots} AS s, (i - 1) / {slots} AS k FROM generate_series(1, {bids}::bigint) AS i) AS numbers;
--
INSERT INTO users (id, email, name, role, password_hash, eligibility_rules, allow_matching, is_active, created_at, updated_at)
SELECT bench_id(1, n), 'user' || n || '@example.com', 'User ' || n, role, '{digest}',
    CASE WHEN role = 'Merchant' THEN '{{}}'::text[] END, role = 'Merchant', true, now() - interval '1 year', now() - interval '1 year'
FROM (SELECT n, CASE WHEN n <= 3 THEN 'Operator' WHEN n % 4 = 0 THEN 'Creator' WHEN n % 4 = 1 THEN 'Merchant'
                     ELSE 'Advertiser' END AS role
      FROM generate_series(1, {users}) AS n) AS people;
--
INSERT INTO sessions (id, user_id, created_at) SELECT bench_id(2, n), bench_id(1, n), now() FROM generate_series(1, {users}) AS n;
--
INSERT INTO projects (id, creator_id, title, genre, logline, budget_target, production_window, age_start, age_end, gender,
    draft_number, created_at, updated_at)
SELECT bench_id(3, p), bench_id(1, 4 * (1 + p % {creators})), 'The ' || genre || ' of Number ' || p, genre,
    'A story about the number ' || p, 100000.25 + p % 1000, 'Q' || 1 + p % 4 || ' 2027', 18, 49, 'any', 1,
    now() - interval '1 year' + p * (interval '360 days' / {projects}), now() - interval '1 year'
FROM (SELECT p, (ARRAY[{genres}])[1 + p % 20] AS genre FROM generate_series(1, {projects}) AS p) AS numbers;
--
INSERT INTO drafts (project_id, number, storage_key, file_name, media_type, size, sha256, created_at)
SELECT bench_id(3, p), 1, 'seeded/' || p, 'script.fountain', 'text/plain', 1000, sha256(p::text::bytea), now()
FROM generate_series(1, {projects}) AS p;
--
INSERT INTO readings (project_id, draft_number, status, attempts, created_at, finished_at)
SELECT bench_id(3, p), 1, 'ready', 1, now(), now() FROM generate_series(1, {projects}) AS p;
--
INSERT INTO slots (id, project_id, creator_id, scene_ref, description, type, pricing_floor, modality, visibility, status,
    constraints, excluded_categories, genre, holder_bid_id, hold_expires_at, created_at, updated_at)
SELECT bench_id(4, s), bench_id(3, 1 + s % {projects}), bench_id(1, bench_creator(s)), 'Scene ' || s % 120 || ', take ' || s,
    (ARRAY['A cup of coffee', 'A watch on a wrist', 'A car at dawn', 'A coat on a hook', 'A laptop in a bar'])[1 + s % 5]
        || ' near lot ' || s,
    (ARRAY['Background', 'Featured', 'Hands-on', 'Verbal', 'Wardrobe', 'Signage', 'Plot'])[1 + s % 7],
    1000.25 + s % 400, CASE WHEN s % 5 = 0 THEN 'PG/Reservation' ELSE 'Private Auction' END,
    CASE WHEN s % 10 = 3 THEN 'Private' ELSE 'Public' END,
    CASE WHEN s % 40 = 1 THEN 'Completed' WHEN held THEN 'Locked' ELSE 'Available' END, ARRAY['no alcohol'], '{{}}',
    (ARRAY[{genres}])[1 + (1 + s % {projects}) % 20], CASE WHEN held THEN bench_id(5, s) END,
    CASE WHEN held AND s % 20 <> 1 THEN now() + interval '300 days' END,
    now() - interval '1 year' + s * (interval '360 days' / {slots}), now() - interval '1 year' + s * (interval '360 days' / {slots})
FROM (SELECT s, s % 5 = 0 OR s % 20 IN (1, 2, 3) AS held FROM generate_series(1, {slots}) AS s) AS numbers;
--
-- What the trigger on slots writes, all at once.
INSERT INTO slot_words (slot_id, word, points)
SELECT id, word, points FROM slots, word_points(slot_document(scene_ref, description, constraints, NULL));
--
INSERT INTO slot_invitees (slot_id, user_id, created_at)
SELECT bench_id(4, s), bench_id(1, bench_buyer(s + k)), now() FROM generate_series(3, {slots}, 10) AS s, generate_series(1, 3) AS k;
--
-- Each has words that a fifth of all slots say.
INSERT INTO skus (id, merchant_id, title, price, margin, tags, description, external_id, created_at, updated_at)
SELECT bench_id(7, n * 10 + k), bench_id(1, n), 'Product ' || k || ' of ' || n, 19.75 + k, 40,
    ARRAY[(ARRAY['coffee', 'watch', 'car', 'coat', 'laptop'])[k], 'number ' || n],
    (ARRAY['For a cup', 'On a wrist at dawn', 'Leaves the lot', 'From a hook in a bar', 'Out of any lot'])[k],
    'sku-' || k, now(), now()
FROM generate_series(5, {users}, 4) AS n, generate_series(1, 5) AS k;
--
INSERT INTO bids (id, slot_id, creator_id, buyer_id, modality, status, terms_version, creator_approved_version,
    buyer_approved_version, decline_reason, expires_at, created_at, updated_at)
SELECT bench_id(5, i), bench_id(4, s), bench_id(1, bench_creator(s)), bench_id(1, b),
    CASE WHEN s % 5 = 0 THEN 'PG/Reservation' ELSE 'Private Auction' END, state, 1,
    CASE WHEN state IN ('AwaitingFinalApproval', 'Accepted', 'Committed') THEN 1 END,
    CASE WHEN state IN ('Accepted', 'Committed') THEN 1 END,
    CASE WHEN state = 'Declined' THEN CASE WHEN s % 20 = 1 THEN 'slot_sold' ELSE 'price' END END,
    now() + interval '300 days' + s * interval '1 second', at, at
FROM deals;
--
INSERT INTO terms (bid_id, version, side, author_id, floor, amount, amount_terms, objective, created_at)
SELECT bench_id(5, i), 1, 'buyer', bench_id(1, b), 1000.25 + s % 400, 1500.75 + s % 900,
    'USD ' || to_char(1500.75 + s % 900, 'FM9,999.00'), 'Awareness for number ' || i, at
FROM deals;
--
INSERT INTO terms_skus (bid_id, version, sku_id, buyer_id, position)
SELECT bench_id(5, i), 1, bench_id(7, b * 10 + 1), bench_id(1, b), 0 FROM deals WHERE b % 4 = 1;
--
INSERT INTO approvals (bid_id, terms_version, side, user_id, created_at)
SELECT bench_id(5, i), 1, side, bench_id(1, CASE side WHEN 'buyer' THEN b ELSE bench_creator(s) END), at
FROM deals, unnest(ARRAY['creator', 'buyer']) AS side
WHERE state IN ('Accepted', 'Committed') OR (state = 'AwaitingFinalApproval' AND side = 'creator');
--
INSERT INTO comments (id, bid_id, author_id, text, created_at)
SELECT bench_id(8, i), bench_id(5, i), bench_id(1, b), 'Could we talk about number ' || i || '?', at FROM deals WHERE i % 3 = 0;
--
INSERT INTO commitments (id, bid_id, terms_version, slot_id, project_id, creator_id, buyer_id, amount, status, deliver_by,
    delivered_at, confirm_by, completed_at, created_at, updated_at)
SELECT bench_id(6, i), bench_id(5, i), 1, bench_id(4, s), bench_id(3, 1 + s % {projects}), bench_id(1, bench_creator(s)),
    bench_id(1, b), 1500.75 + s % 900, CASE WHEN done THEN 'Completed' ELSE 'Active' END, now() + interval '60 days',
    CASE WHEN done THEN now() - interval '9 days' END, CASE WHEN done THEN now() - interval '1 day' END,
    CASE WHEN done THEN now() - interval '2 days' END, at, at
FROM (SELECT *, s % 40 = 1 AS done FROM deals WHERE state = 'Committed') AS sold;
--
-- I8: the last word of the record on every slot, bid and commitment is its state.
INSERT INTO events (id, at, actor_id, actor_role, action, subject_type, subject_id, bid_id, status, data)
SELECT bench_id(9, row_number() OVER (ORDER BY at, step)), at, actor, coalesce(users.role, 'System'), action, kind, subject, bid,
    status, '{{}}'
FROM (
    SELECT 1 AS step, created_at AS at, creator_id AS actor, 'slot.created' AS action, 'slot' AS kind, id AS subject,
        NULL::uuid AS bid, 'Available' AS status FROM slots
    UNION ALL
    SELECT 2, created_at, buyer_id, 'bid.placed', 'bid', id, id, 'Pending' FROM bids
    UNION ALL
    SELECT 3, created_at, creator_id, 'bid.approved', 'bid', id, id, 'AwaitingFinalApproval' FROM bids
    WHERE creator_approved_version IS NOT NULL
    UNION ALL
    SELECT 4, created_at, buyer_id, 'bid.approved', 'bid', id, id, 'Accepted' FROM bids WHERE buyer_approved_version IS NOT NULL
    UNION ALL
    SELECT 5, created_at, buyer_id, 'bid.committed', 'bid', id, id, status FROM bids WHERE status = 'Committed'
    UNION ALL
    SELECT 5, created_at, creator_id, 'bid.declined', 'bid', id, id, status FROM bids WHERE status = 'Declined'
    UNION ALL
    SELECT 6, bids.created_at, bids.creator_id, 'slot.held', 'slot', slots.id, bids.id, 'Locked'
    FROM slots JOIN bids ON bids.id = slots.holder_bid_id
    UNION ALL
    SELECT 7, created_at, buyer_id, 'commitment.created', 'commitment', id, bid_id, 'Active' FROM commitments
    UNION ALL
    SELECT 8, created_at, buyer_id, 'commitment.completed', 'commitment', id, bid_id, status FROM commitments
    WHERE status = 'Completed'
    UNION ALL
    SELECT 9, created_at, buyer_id, 'slot.completed', 'slot', slot_id, bid_id, status FROM commitments WHERE status = 'Completed'
) AS lines LEFT JOIN users ON users.id = actor
