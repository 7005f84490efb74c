"""Customers that are edited and merged: what two rows of one party have in common, and each merge."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010_merges"
down_revision = "0009_imports"
branch_labels = None
depends_on = None

NAME_KEY = (
    "nullif(regexp_replace(regexp_replace(regexp_replace(regexp_replace("
    r"lower(normalize(name, NFKD)), '[\u0300-\u036f.''’`]', '', 'g'), "
    r"'[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u2000-\u206f\u3000-\u303f]+', ' ', 'g'), "
    r"'\m(pt|cv|ud|pd|tbk|persero|ltd|limited|llc|llp|inc|incorporated|corp|corporation|co|company|plc|pty|pte|"
    r"gmbh|mbh|ag|kg|ohg|ug|ek|sa|sarl|sas|srl|spa|snc|bv|nv|oy|oyj|ab|as|aps|sdn|bhd|kk)\M', '', 'g'), "
    r"'\s', '', 'g'), '')"
)
PHONE_KEY = (
    "CASE WHEN length(regexp_replace(phone, '[^0-9]', '', 'g')) >= 7 "
    "THEN right(regexp_replace(phone, '[^0-9]', '', 'g'), 9) END"
)

# Whatever is booked on a customer that was merged ends at the survivor, whoever writes: a form that
# was open, an import that names the old code, a program. FOR KEY SHARE waits for a merge that is
# under way, and then sees it. SECURITY DEFINER: who may write orders need not be allowed to lock
# customers. A circle, which no merge makes, ends after a hundred steps.
FOLLOW = """
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
"""


def upgrade() -> None:
    """Let customers be versioned and merged, and keep a record of every merge."""
    _extend_customers()
    _create_customer_merges()
    op.execute(FOLLOW)


def downgrade() -> None:
    """Take it back; what was merged stays merged, without its record."""
    op.execute("DROP TRIGGER orders_follow_merged_customer ON orders")
    op.execute("DROP FUNCTION follow_merged_customer()")
    op.drop_table("customer_merges")
    op.drop_index("ix_customers_name_id", "customers")
    for column in ("merged_into_id", "name_key", "phone_key", "version", "updated_at"):
        op.drop_column("customers", column)


def _extend_customers() -> None:
    op.add_column("customers", sa.Column("merged_into_id", sa.BigInteger()))
    op.add_column(
        "customers", sa.Column("name_key", sa.Text(), sa.Computed(NAME_KEY, persisted=True))
    )
    op.add_column(
        "customers", sa.Column("phone_key", sa.Text(), sa.Computed(PHONE_KEY, persisted=True))
    )
    op.add_column(
        "customers", sa.Column("version", sa.Integer(), server_default="1", nullable=False)
    )
    op.add_column("customers", _moment("updated_at"))
    op.create_foreign_key(
        "fk_customers_merged_into_id_customers",
        "customers",
        "customers",
        ["merged_into_id"],
        ["id"],
    )
    op.create_check_constraint(
        op.f("ck_customers_merged_into_another"), "customers", "merged_into_id <> id"
    )
    op.create_index("ix_customers_name_id", "customers", ["name", "id"])
    for column in ("name_key", "phone_key", "merged_into_id"):
        op.create_index(f"ix_customers_{column}", "customers", [column])


def _create_customer_merges() -> None:
    op.create_table(
        "customer_merges",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("survivor_id", sa.BigInteger(), nullable=False),
        sa.Column("duplicate_id", sa.BigInteger(), nullable=False),
        sa.Column("merged_by_id", sa.BigInteger()),
        _moment("merged_at"),
        *(sa.Column(name, JSONB(), nullable=False) for name in ("moved", "before", "after")),
        sa.Column("undone_by_id", sa.BigInteger()),
        sa.Column("undone_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_customer_merges"),
        *(
            _reference(name, "customers", ondelete="CASCADE")
            for name in ("survivor_id", "duplicate_id")
        ),
        *(_reference(name, "users") for name in ("merged_by_id", "undone_by_id")),
        sa.CheckConstraint(
            "survivor_id <> duplicate_id", name=op.f("ck_customer_merges_two_customers")
        ),
    )
    op.create_index("ix_customer_merges_survivor_id", "customer_merges", ["survivor_id"])
    op.create_index(
        "ix_customer_merges_duplicate_id",
        "customer_merges",
        ["duplicate_id"],
        unique=True,
        postgresql_where=sa.text("undone_at IS NULL"),
    )


def _moment(name: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False)


def _reference(column: str, table: str, **options: str) -> sa.ForeignKeyConstraint:
    name = f"fk_customer_merges_{column}_{table}"
    return sa.ForeignKeyConstraint([column], [f"{table}.id"], name=name, **options)
