-- The hand-written comparison: which orders hold a line amount, a component or a grand total that is
-- not what it must be. One pass over the lines, grouped by order and joined to the orders.
SELECT o.id
FROM orders o LEFT JOIN (
  SELECT order_id,
    bool_or(amount <> round(quantity * unit_price, 2)) AS wrong,
    sum(amount) FILTER (WHERE kind = 'package') AS package,
    sum(amount) FILTER (WHERE kind = 'addition') AS addition,
    sum(amount) FILTER (WHERE kind = 'promo') AS promo,
    sum(amount) FILTER (WHERE kind = 'reduction') AS reduction
  FROM order_lines GROUP BY order_id
) l ON l.order_id = o.id
WHERE l.wrong
   OR o.total_price <> coalesce(l.package, CASE WHEN 'package' = ANY (o.itemised) THEN 0 ELSE o.total_price END)
   OR o.additions <> coalesce(l.addition, CASE WHEN 'addition' = ANY (o.itemised) THEN 0 ELSE o.additions END)
   OR o.promo <> coalesce(l.promo, CASE WHEN 'promo' = ANY (o.itemised) THEN 0 ELSE o.promo END)
   OR o.reductions <> coalesce(l.reduction, CASE WHEN 'reduction' = ANY (o.itemised) THEN 0 ELSE o.reductions END)
   OR o.grand_total <> o.total_price + o.additions - o.promo - o.reductions
