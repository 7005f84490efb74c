-- The hand-written heal: which orders hold a line amount, a component or a grand total that is not what
-- it must be; write what it must be; leave a correction for each. One statement, one pass over the lines.
WITH lines AS (
  SELECT order_id,
    bool_or(amount <> round(quantity * unit_price, 2)) AS wrong,
    sum(round(quantity * unit_price, 2)) FILTER (WHERE kind = 'package') AS package,
    sum(round(quantity * unit_price, 2)) FILTER (WHERE kind = 'addition') AS addition,
    sum(round(quantity * unit_price, 2)) FILTER (WHERE kind = 'promo') AS promo,
    sum(round(quantity * unit_price, 2)) FILTER (WHERE kind = 'reduction') AS reduction
  FROM order_lines GROUP BY order_id
), components AS (
  SELECT o.id, o.grand_total AS before, l.wrong,
    coalesce(l.package, CASE WHEN 'package' = ANY (o.itemised) THEN 0 ELSE o.total_price END) AS total_price,
    coalesce(l.addition, CASE WHEN 'addition' = ANY (o.itemised) THEN 0 ELSE o.additions END) AS additions,
    coalesce(l.promo, CASE WHEN 'promo' = ANY (o.itemised) THEN 0 ELSE o.promo END) AS promo,
    coalesce(l.reduction, CASE WHEN 'reduction' = ANY (o.itemised) THEN 0 ELSE o.reductions END) AS reductions
  FROM orders o LEFT JOIN lines l ON l.order_id = o.id
), healed AS (
  UPDATE orders o SET total_price = c.total_price, additions = c.additions, promo = c.promo,
    reductions = c.reductions, grand_total = c.total_price + c.additions - c.promo - c.reductions
  FROM components c
  WHERE o.id = c.id AND (
       o.total_price <> c.total_price OR o.additions <> c.additions OR o.promo <> c.promo
    OR o.reductions <> c.reductions
    OR o.grand_total <> c.total_price + c.additions - c.promo - c.reductions)
  RETURNING o.id, c.before, o.grand_total AS after
)
INSERT INTO corrections (figure, owner, key, before, after, cause)
SELECT 'orders.grand_total', id, jsonb_build_object('id', id),
  jsonb_build_object('grand_total', before::text), jsonb_build_object('grand_total', after::text), 'heal'
FROM healed
