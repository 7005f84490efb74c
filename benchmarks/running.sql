INSERT INTO shape_customers (id) OVERRIDING SYSTEM VALUE SELECT n FROM generate_series(1, %(customers)s::int) n
UNION ALL SELECT n FROM generate_series(100001, 100002) n;
CREATE TEMPORARY TABLE spans AS
 SELECT id, CASE WHEN id = 100001 THEN date '2025-12-01' WHEN id > 100001 THEN date '2016-01-01' ELSE %(first)s END AS low,
  %(today)s::date - 1 AS high FROM shape_customers;
INSERT INTO shape_prices (customer_id, effective_from, price, factor)
 SELECT id, day, 10000 + id %% 977 + k * 100, 1.01 + k * 0.001234
 FROM spans, LATERAL (VALUES (0, low), (1, date '2024-02-10'), (2, date '2025-03-15')) v(k, day)
 WHERE k = 0 OR low < day ORDER BY id, day, %(first)s;
INSERT INTO shape_readings (customer_id, read_on, volume)
 SELECT id, day::date, (id * 7919 + extract(doy FROM day)::int * 104729) %% 100000 / 1000.0
 FROM generate_series(date '2016-01-01', %(today)s::date - 1, interval '1 day') day JOIN spans ON day BETWEEN low AND high;
INSERT INTO shape_deposits (customer_id, deposited_on, amount)
 SELECT id, day::date, 15000000
 FROM generate_series(date '2016-01-03', %(today)s::date - 1, interval '1 month') day JOIN spans ON day BETWEEN low AND high;
DROP TABLE spans;
ANALYZE
-- ⁂
SELECT r.customer_id, r.id AS reading_id, r.read_on AS dated, p.id AS price_id,
 round(r.volume * p.factor, 3) AS volume_sm3, round(round(r.volume * p.factor, 3) * p.price, 2) AS total
FROM shape_readings r JOIN (
 SELECT *, lead(effective_from) OVER (PARTITION BY customer_id ORDER BY effective_from, id) AS until FROM shape_prices
) p ON p.customer_id = r.customer_id AND p.effective_from <= r.read_on AND (p.until IS NULL OR r.read_on < p.until)
-- ⁂
SELECT customer_id, month, sum(deposit - purchase) OVER w - deposit + purchase AS opening,
 deposit AS deposits, purchase AS purchases, sum(deposit - purchase) OVER w AS closing
FROM (
 SELECT customer_id, month, sum(deposit) AS deposit, sum(purchase) AS purchase FROM (
  SELECT customer_id, date_trunc('month', dated::timestamp)::date AS month, 0::numeric AS deposit, total AS purchase FROM shape_calculations
  UNION ALL
  SELECT customer_id, date_trunc('month', deposited_on::timestamp)::date, amount, 0 FROM shape_deposits
 ) moves GROUP BY 1, 2
) sums WINDOW w AS (PARTITION BY customer_id ORDER BY month)
-- ⁂
UPDATE shape_customers c SET balance = closing FROM (
 SELECT DISTINCT ON (customer_id) customer_id, closing FROM shape_months ORDER BY customer_id, month DESC
) last WHERE last.customer_id = c.id
-- ⁂
WITH read AS (
 INSERT INTO shape_readings (customer_id, read_on, volume)
 SELECT c, %(day)s, 10.123 FROM generate_series(%(low)s::int, %(high)s::int) c RETURNING *
), priced AS (
 INSERT INTO shape_calculations (customer_id, reading_id, dated, price_id, volume_sm3, total)
 SELECT r.customer_id, r.id, r.read_on, p.id, round(r.volume * p.factor, 3), round(round(r.volume * p.factor, 3) * p.price, 2)
 FROM read r, LATERAL (
  SELECT * FROM shape_prices p WHERE p.customer_id = r.customer_id AND p.effective_from <= r.read_on
  ORDER BY effective_from DESC LIMIT 1
 ) p RETURNING *
), carried AS (
 INSERT INTO shape_months AS m (customer_id, month, opening, deposits, purchases, closing)
 SELECT k.customer_id, date_trunc('month', k.dated::timestamp)::date, l.closing, 0, k.total, l.closing - k.total
 FROM priced k, LATERAL (
  SELECT closing FROM shape_months b WHERE b.customer_id = k.customer_id ORDER BY month DESC LIMIT 1
 ) l
 ON CONFLICT (customer_id, month) DO UPDATE
  SET purchases = m.purchases + excluded.purchases, closing = m.closing - excluded.purchases
)
UPDATE shape_customers c SET balance = balance - k.total FROM priced k WHERE k.customer_id = c.id
-- ⁂
SELECT count(*) FROM shape_customers c
LEFT JOIN (SELECT customer_id, sum(amount) AS amount FROM shape_deposits GROUP BY 1) d ON d.customer_id = c.id
LEFT JOIN (SELECT customer_id, sum(total) AS total FROM shape_calculations GROUP BY 1) k ON k.customer_id = c.id
WHERE c.balance <> coalesce(d.amount, 0) - coalesce(k.total, 0)
