-- The hand-written comparison: which meters hold another sum of documents, balance or overpayment than their
-- documents come to, and which customers another one than their active meters do.
WITH documents AS (
  SELECT m.id, m.invoiced, m.adjusted, m.paid, m.balance, m.overpayment,
    coalesce(i.amount, 0) AS should_invoiced, coalesce(a.amount, 0) AS should_adjusted,
    coalesce(p.amount, 0) AS should_paid
  FROM meters m
  LEFT JOIN (
    SELECT meter_id, sum(CASE WHEN units IS NULL THEN amount ELSE round(units * rate, 2) + fixed_charge END) AS amount
    FROM invoices WHERE status <> 'void' GROUP BY 1
  ) i ON i.meter_id = m.id
  LEFT JOIN (SELECT meter_id, sum(amount) AS amount FROM meter_adjustments WHERE status <> 'void' GROUP BY 1) a
    ON a.meter_id = m.id
  LEFT JOIN (SELECT meter_id, sum(amount) AS amount FROM payments WHERE status <> 'void' GROUP BY 1) p
    ON p.meter_id = m.id
), balances AS MATERIALIZED (
  SELECT *, greatest(should_invoiced + should_adjusted - should_paid, 0) AS should_balance,
    greatest(should_paid - should_invoiced - should_adjusted, 0) AS should_overpayment
  FROM documents
), customers_should AS (
  SELECT c.id, c.balance, c.overpayment, coalesce(s.balance, 0) AS should_balance,
    coalesce(s.overpayment, 0) AS should_overpayment
  FROM customers c LEFT JOIN (
    SELECT customer_id, sum(should_balance) AS balance, sum(should_overpayment) AS overpayment
    FROM meter_assignments a JOIN balances b ON b.id = a.meter_id
    WHERE a.is_active GROUP BY 1
  ) s ON s.customer_id = c.id
)
SELECT 'meter', id FROM balances
WHERE invoiced <> should_invoiced OR adjusted <> should_adjusted OR paid <> should_paid
  OR balance <> should_balance OR overpayment <> should_overpayment
UNION ALL
SELECT 'customer', id FROM customers_should
WHERE balance <> should_balance OR overpayment <> should_overpayment
