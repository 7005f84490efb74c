-- The two hand-written statements: meters from their documents, customers from their active meters; each
-- leaves the same corrections as a recalculation does.
WITH documents AS (
  SELECT m.id, m.invoiced AS invoiced_before, m.adjusted AS adjusted_before, m.paid AS paid_before,
    m.balance AS balance_before, m.overpayment AS overpayment_before,
    coalesce(i.amount, 0) AS invoiced, coalesce(a.amount, 0) AS adjusted, coalesce(p.amount, 0) AS paid,
    greatest(coalesce(i.amount, 0) + coalesce(a.amount, 0) - coalesce(p.amount, 0), 0) AS balance,
    greatest(coalesce(p.amount, 0) - coalesce(i.amount, 0) - coalesce(a.amount, 0), 0) AS overpayment
  FROM meters m
  LEFT JOIN (SELECT meter_id, sum(amount) AS amount FROM invoices WHERE status <> 'void' GROUP BY 1) i
    ON i.meter_id = m.id
  LEFT JOIN (SELECT meter_id, sum(amount) AS amount FROM meter_adjustments WHERE status <> 'void' GROUP BY 1) a
    ON a.meter_id = m.id
  LEFT JOIN (SELECT meter_id, sum(amount) AS amount FROM payments WHERE status <> 'void' GROUP BY 1) p
    ON p.meter_id = m.id
), healed AS (
  UPDATE meters m SET invoiced = d.invoiced, adjusted = d.adjusted, paid = d.paid,
    balance = d.balance, overpayment = d.overpayment
  FROM documents d
  WHERE m.id = d.id AND (m.invoiced <> d.invoiced OR m.adjusted <> d.adjusted OR m.paid <> d.paid
    OR m.balance <> d.balance OR m.overpayment <> d.overpayment)
  RETURNING d.*
)
INSERT INTO corrections (figure, owner, key, before, after, cause)
SELECT 'meters.documents', id, jsonb_build_object('id', id),
  jsonb_build_object('invoiced', invoiced_before::text, 'adjusted', adjusted_before::text, 'paid', paid_before::text),
  jsonb_build_object('invoiced', invoiced::text, 'adjusted', adjusted::text, 'paid', paid::text), 'heal'
FROM healed
UNION ALL
SELECT 'meters.balance', id, jsonb_build_object('id', id),
  jsonb_build_object('balance', balance_before::text, 'overpayment', overpayment_before::text),
  jsonb_build_object('balance', balance::text, 'overpayment', overpayment::text), 'heal'
FROM healed;

WITH sums AS (
  SELECT c.id, c.balance AS balance_before, c.overpayment AS overpayment_before,
    coalesce(s.balance, 0) AS balance, coalesce(s.overpayment, 0) AS overpayment
  FROM customers c LEFT JOIN (
    SELECT customer_id, sum(balance) AS balance, sum(overpayment) AS overpayment
    FROM meter_assignments a JOIN meters m ON m.id = a.meter_id
    WHERE a.is_active GROUP BY 1
  ) s ON s.customer_id = c.id
), healed AS (
  UPDATE customers c SET balance = s.balance, overpayment = s.overpayment
  FROM sums s
  WHERE c.id = s.id AND (c.balance <> s.balance OR c.overpayment <> s.overpayment)
  RETURNING s.*
)
INSERT INTO corrections (figure, owner, key, before, after, cause)
SELECT 'customers.balance', id, jsonb_build_object('id', id),
  jsonb_build_object('balance', balance_before::text, 'overpayment', overpayment_before::text),
  jsonb_build_object('balance', balance::text, 'overpayment', overpayment::text), 'heal'
FROM healed
