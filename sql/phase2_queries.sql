-- Phase 2: three ways to ask for every pro customer whose latest view of pricing or settings is at
-- most seven days old, with that view. All three give the same rows; query 2 is the rule.

-- Query 1: a correlated subquery. For each customer the view that comes first when the newest is
-- first, and of views at one time the one with the highest id. Runs anywhere.
-- (Not GROUP BY user_id with MAX(event_time): MySQL 9.7 answers that by "skip scan for grouping"
-- over the index, and then misses users who have recent views of one of the pages only.)
SELECT c.id, c.email, c.first_name, c.last_name, c.plan_type, c.candidate,
       pv.id AS page_view_id, pv.page, pv.device, pv.browser, pv.location, pv.event_time
FROM customers c
JOIN page_views pv ON pv.id = (
  SELECT latest.id
  FROM page_views latest
  WHERE latest.user_id = c.id
    AND latest.page IN ('pricing', 'settings')
    AND latest.event_time >= DATE_SUB(CURDATE(), INTERVAL 7 DAY)
  ORDER BY latest.event_time DESC, latest.id DESC
  LIMIT 1
)
WHERE c.plan_type = 'pro'
ORDER BY c.id;

-- Query 2: a CTE with ROW_NUMBER. It says what is meant, ties included, and reads the views once:
-- this is the rule (rule.sql has it with parameters).
WITH ranked_views AS (
  SELECT c.id, c.email, c.first_name, c.last_name, c.plan_type, c.candidate,
         pv.id AS page_view_id, pv.page, pv.device, pv.browser, pv.location, pv.event_time,
         ROW_NUMBER() OVER (PARTITION BY c.id ORDER BY pv.event_time DESC, pv.id DESC) AS view_rank
  FROM customers c
  JOIN page_views pv ON c.id = pv.user_id
  WHERE c.plan_type = 'pro'
    AND pv.page IN ('pricing', 'settings')
    AND pv.event_time >= DATE_SUB(CURDATE(), INTERVAL 7 DAY)
)
SELECT id, email, first_name, last_name, plan_type, candidate,
       page_view_id, page, device, browser, location, event_time
FROM ranked_views
WHERE view_rank = 1
ORDER BY id;

-- Query 3: an anti-join. A view counts when there is no later one; good for a few users, and
-- quadratic in the views of one user.
SELECT c.id, c.email, c.first_name, c.last_name, c.plan_type, c.candidate,
       pv.id AS page_view_id, pv.page, pv.device, pv.browser, pv.location, pv.event_time
FROM customers c
JOIN page_views pv ON pv.user_id = c.id
WHERE c.plan_type = 'pro'
  AND pv.page IN ('pricing', 'settings')
  AND pv.event_time >= DATE_SUB(CURDATE(), INTERVAL 7 DAY)
  AND NOT EXISTS (
    SELECT 1
    FROM page_views later
    WHERE later.user_id = pv.user_id
      AND later.page IN ('pricing', 'settings')
      AND later.event_time >= DATE_SUB(CURDATE(), INTERVAL 7 DAY)
      AND (later.event_time > pv.event_time
           OR (later.event_time = pv.event_time AND later.id > pv.id))
  )
ORDER BY c.id;
