-- The rule: customers on the plan whose latest view of one of the pages is recent enough, each
-- with that view. It is the Phase 2 query (phase2_queries.sql, query 2) with two differences that
-- change no row: the window function runs over narrow rows, which the index
-- (user_id, page, event_time) holds whole, and the wide columns are joined to the winners; and
-- event_epoch is event_time in epoch seconds, whatever the session's time zone is.
-- Backfill runs it over ranges of customers.id, the stream over the user ids in hand: the program
-- puts the condition in place of the comment "narrowed". Tables and columns are named by their roles:
-- the program puts in what they are called (CUSTOMERS_TABLE, PAGE_VIEWS_TABLE, COLUMN_NAMES), and in
-- place of the fields those of PROFILE_FIELDS and EVENT_FIELDS.
WITH ranked_views AS (
  SELECT c.id AS customer_id, pv.id AS page_view_id,
         ROW_NUMBER() OVER (PARTITION BY c.id ORDER BY pv.event_time DESC, pv.id DESC) AS view_rank
  FROM customers c
  JOIN page_views pv ON c.id = pv.user_id
  WHERE c.plan_type = :plan_type
    AND pv.page IN (:pages)
    AND pv.event_time >= DATE_SUB(CURDATE(), INTERVAL :lookback_days DAY)
    /* narrowed */
)
SELECT c.id AS id, c.email AS email, pv.id AS page_view_id, pv.event_time AS event_time,
       UNIX_TIMESTAMP(pv.event_time) AS event_epoch,
       /* fields */ c.first_name, c.last_name, c.plan_type, c.candidate, pv.page, pv.device,
                    pv.browser, pv.location /* end of fields */
FROM ranked_views r
JOIN customers c ON c.id = r.customer_id
JOIN page_views pv ON pv.id = r.page_view_id
WHERE r.view_rank = 1
ORDER BY c.id
