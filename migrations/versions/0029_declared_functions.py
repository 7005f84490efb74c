"""Functions that earlier migrations made are generated from declarations, so that a replaced one is seen.

The end of `db upgrade` installs what is declared instead of them.

Revision ID: 0029_declared_functions
Revises: 0028_wrong_before
"""

from alembic import op

revision = "0029_declared_functions"
down_revision = "0028_wrong_before"
branch_labels = None
depends_on = None

GONE = (
    "order_lines_itemise()",
    "follow_merged_customer()",
    "stamp_balance()",
    "audit_events_is_append_only()",
    "renew_statistics(text)",
    "audit_accept(text, bigint, text[], jsonb)",
)

OF_CUSTOMERS = ("meter_assignments", "invoices", "payments", "meter_adjustments")

BACK = """
CREATE FUNCTION order_lines_itemise() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM FROM (
      SELECT order_id, array_agg(DISTINCT kind) AS kinds
      FROM new_rows GROUP BY order_id ORDER BY order_id
    ) lines, LATERAL (
      SELECT FROM public.orders o
      WHERE o.id = lines.order_id AND NOT lines.kinds <@ o.itemised FOR NO KEY UPDATE
    ) locked;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  UPDATE public.orders o
    SET itemised = ARRAY(
      SELECT k FROM unnest(ARRAY['package','addition','promo','reduction']) WITH ORDINALITY AS known(k, place)
      WHERE k = ANY (o.itemised || lines.kinds) ORDER BY place
    )
    FROM (SELECT order_id, array_agg(DISTINCT kind) AS kinds FROM new_rows GROUP BY order_id) lines
    WHERE o.id = lines.order_id AND NOT lines.kinds <@ o.itemised;
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION order_lines_itemise() FROM PUBLIC;
CREATE TRIGGER order_lines_itemise_on_insert AFTER INSERT ON order_lines
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION order_lines_itemise();
CREATE TRIGGER order_lines_itemise_on_update AFTER UPDATE ON order_lines
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION order_lines_itemise();
CREATE FUNCTION follow_merged_customer() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  survivor bigint;
BEGIN
  FOR step IN 1..100 LOOP
    SELECT merged_into_id INTO survivor
      FROM public.customers WHERE id = NEW.customer_id FOR KEY SHARE;
    EXIT WHEN survivor IS NULL;
    NEW.customer_id := survivor;
  END LOOP;
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION follow_merged_customer() FROM PUBLIC;
CREATE TRIGGER orders_follow_merged_customer BEFORE INSERT OR UPDATE OF customer_id ON orders
FOR EACH ROW EXECUTE FUNCTION follow_merged_customer();
CREATE FUNCTION audit_events_is_append_only() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'The audit trail is append-only: % is refused.', TG_OP
    USING ERRCODE = 'insufficient_privilege',
          HINT = 'A mistake is mended by a further change, which leaves its own event.';
END $$;
CREATE TRIGGER audit_events_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
FOR EACH STATEMENT EXECUTE FUNCTION audit_events_is_append_only();
CREATE FUNCTION renew_statistics(wanted text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('ANALYZE public.%I', wanted);
END $$
;
CREATE FUNCTION audit_accept(of_table text, of_row bigint, columns text[], before jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  place regclass := format('public.%I', of_table)::regclass;
  present jsonb;
  event bigint;
BEGIN
  IF NOT has_table_privilege(session_user, place, 'UPDATE') THEN
    RAISE EXCEPTION 'Only whoever may change % may state what it holds.', of_table
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = place
                 AND tgname = format('backoffice_audit_%s_insert', of_table)) THEN
    RAISE EXCEPTION 'The audit trail does not tell of %.', of_table USING ERRCODE = 'undefined_object';
  END IF;
  EXECUTE format(
    'SELECT (SELECT jsonb_object_agg(key, value) FROM jsonb_each(to_jsonb(r)) WHERE key = ANY ($2))'
    ' FROM %s r WHERE r.id = $1', place
  ) INTO present USING of_row, columns;
  INSERT INTO public.audit_events (table_name, row_id, action, before, after)
  VALUES (
    of_table, of_row::text,
    CASE WHEN present IS NULL THEN 'DELETE' WHEN before IS NULL THEN 'INSERT' ELSE 'UPDATE' END,
    before, present
  ) RETURNING id INTO event;
  RETURN event;
END $$
;
CREATE FUNCTION stamp_balance() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.balance_changed_at := pg_catalog.now();
  RETURN NEW;
END $$
;
"""

STAMPS = """
CREATE TRIGGER {table}_stamp_balance BEFORE UPDATE ON {table} FOR EACH ROW
WHEN (OLD.balance IS DISTINCT FROM NEW.balance OR OLD.overpayment IS DISTINCT FROM NEW.overpayment)
EXECUTE FUNCTION stamp_balance()
"""


def upgrade() -> None:
    """Drop them with their triggers."""
    for function in GONE:
        op.execute(f"DROP FUNCTION {function} CASCADE")


def downgrade() -> None:
    """Bring them back as they were."""
    op.execute(BACK)
    for table in OF_CUSTOMERS:
        op.execute(
            f"CREATE TRIGGER {table}_follow_merged_customer "
            f"BEFORE INSERT OR UPDATE OF customer_id ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION follow_merged_customer()"
        )
    for table in ("audit_seals", "audit_checks", "fact_decisions"):
        op.execute(
            f"CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_events_is_append_only()"
        )
    for table in ("customers", "meters"):
        op.execute(STAMPS.format(table=table))
