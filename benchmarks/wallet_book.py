"""Wallets with a hundred transactions, one with few and one with very many, in the product's own tables."""

from typing import Any

import psycopg
from flask import Flask

from backoffice.app.extensions import db
from backoffice.people import tokens
from tests.surgery import tell_of_everything

MANY = 1_000_000
FEW = 10
WALLETS = 50
"""The number of wallets that each side charges."""

_CUSTOMER = "INSERT INTO customers (code, name) VALUES ('bench', 'Bench')"
_WALLETS = (
    "INSERT INTO wallets (number, customer_id) "
    "SELECT 'W-' || n, (SELECT id FROM customers WHERE code = 'bench') FROM generate_series(1, %s::int) n"
)
_TRANSACTIONS = (
    "INSERT INTO wallet_transactions "
    "(wallet_id, transaction_type, amount, balance_before, balance_after, made_by) "
    "SELECT w, kind, amount, sum(moved) OVER s - moved, sum(moved) OVER s, 'user:1' FROM ("
    " SELECT w, n, kind, amount, CASE kind WHEN 'charge' THEN -amount ELSE amount END AS moved FROM ("
    "  SELECT w, n, CASE n %% 10 WHEN 1 THEN 'recharge' WHEN 5 THEN 'refund' ELSE 'charge' END AS kind,"
    "   CASE n %% 10 WHEN 1 THEN 10000 ELSE (1 + (w * 31 + n * 7919) %% 999) / 10.0 END AS amount"
    "  FROM generate_series(%(first)s::int, %(last)s::int) w, generate_series(1, %(size)s::bigint) n"
    " ) drawn"
    ") moves WINDOW s AS (PARTITION BY w ORDER BY n) ORDER BY w, n"
)
_SUMS = (
    "UPDATE wallets SET balance = b, total_recharged = r, total_spent = s FROM ("
    " SELECT wallet_id, sum(CASE transaction_type WHEN 'charge' THEN -amount ELSE amount END) AS b,"
    "  sum(amount) FILTER (WHERE transaction_type = 'recharge') AS r,"
    "  sum(CASE transaction_type WHEN 'charge' THEN amount WHEN 'refund' THEN -amount ELSE 0 END) AS s"
    " FROM wallet_transactions GROUP BY 1"
    ") sums WHERE wallet_id = wallets.id"
)


def load(surgery: psycopg.Connection[Any], many: int) -> None:
    """Insert two groups of wallets, then one with few and one with `many` transactions, right, without triggers."""
    last = 2 * WALLETS
    sizes = ((1, last, 100), (last + 1, last + 1, FEW), (last + 2, last + 2, many))
    with surgery.transaction():
        surgery.execute("SET LOCAL session_replication_role = replica")
        surgery.execute(_CUSTOMER)
        surgery.execute(_WALLETS, [last + 2])
        for first, until, size in sizes:
            surgery.execute(_TRANSACTIONS, {"first": first, "last": until, "size": size})
        surgery.execute(_SUMS)
        tell_of_everything(surgery)


def secret_of_a_program(app: Flask) -> str:
    """The secret of a new token that may charge wallets."""
    with app.app_context():
        issued = tokens.create(db.session, name="Bench", scope="wallets:write", expires_at=None)
        db.session.commit()
        return issued.secret
