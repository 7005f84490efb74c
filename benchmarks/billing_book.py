"""A large book of billing by meter: loaded with right figures, which can then all be made wrong."""

from typing import Any

from psycopg import Connection

from tests.surgery import tell_of_everything

METERS_OF_A_CUSTOMER = 2
MONTHS = 12

LOAD = (
    (
        "INSERT INTO customers (id, code, name) OVERRIDING SYSTEM VALUE "
        "SELECT n, 'C' || n, 'Customer ' || n FROM generate_series(1, %(customers)s) AS n"
    ),
    (
        "INSERT INTO meters (id, number) OVERRIDING SYSTEM VALUE "
        "SELECT n, 'M-' || n FROM generate_series(1, %(meters)s) AS n"
    ),
    (
        "INSERT INTO meter_assignments (meter_id, customer_id, is_active) "
        "SELECT n, (n - 1) %% %(customers)s + 1, n %% 50 <> 0 FROM generate_series(1, %(meters)s) AS n"
    ),
    # Month after month, as a business writes them: a meter's documents are far from each other on disk.
    (
        "INSERT INTO invoices (number, customer_id, meter_id, units, rate, fixed_charge, amount, "
        " issued_on, due_on) "
        "SELECT 'INV-' || month || '-' || n, (n - 1) %% %(customers)s + 1, n, u, r, 150, "
        " round(u * r, 2) + 150, date '2025-01-01' + (month || ' months')::interval, "
        " date '2025-01-31' + (month || ' months')::interval "
        "FROM generate_series(0, %(last)s) AS month, generate_series(1, %(meters)s) AS n, "
        " LATERAL (SELECT (10 + (n::bigint * 7919 + month * 104729) %% 90000 / 1000.0)::numeric(15, 3) AS u, "
        "  (80 + (n + month) %% 40 / 4.0)::numeric(15, 4) AS r) AS sold"
    ),
    (
        "INSERT INTO payments (reference, customer_id, meter_id, paid_on, amount) "
        "SELECT 'PAY-' || month || '-' || n, (n - 1) %% %(customers)s + 1, n, "
        " date '2025-01-20' + (month || ' months')::interval, "
        " (1000 + (n::bigint * 31337 + month::bigint * 15485863) %% 900000 / 100.0)::numeric(15, 2) "
        "FROM generate_series(0, %(last)s) AS month, generate_series(1, %(meters)s) AS n"
    ),
)

RIGHT = (
    (
        "UPDATE meters SET invoiced = d.invoiced, paid = d.paid, "
        " balance = greatest(d.invoiced - d.paid, 0), overpayment = greatest(d.paid - d.invoiced, 0) "
        "FROM (SELECT m.id, coalesce(i.amount, 0) AS invoiced, coalesce(p.amount, 0) AS paid FROM meters m "
        " LEFT JOIN (SELECT meter_id, sum(amount) AS amount FROM invoices GROUP BY 1) i ON i.meter_id = m.id "
        " LEFT JOIN (SELECT meter_id, sum(amount) AS amount FROM payments GROUP BY 1) p ON p.meter_id = m.id "
        ") AS d WHERE d.id = meters.id"
    ),
    (
        "UPDATE customers SET balance = s.balance, overpayment = s.overpayment "
        "FROM (SELECT customer_id, sum(balance) AS balance, sum(overpayment) AS overpayment "
        " FROM meter_assignments a JOIN meters m ON m.id = a.meter_id WHERE a.is_active GROUP BY 1) AS s "
        "WHERE s.customer_id = customers.id"
    ),
)

TABLES = ("customers", "meters", "meter_assignments", "invoices", "payments")


def load(connection: Connection[Any], customers: int) -> None:
    """Fill the empty tables, with triggers and foreign keys disabled and the figures computed by plain SQL."""
    given = {
        "customers": customers,
        "meters": customers * METERS_OF_A_CUSTOMER,
        "last": MONTHS - 1,
    }
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        for statement in LOAD:
            connection.execute(statement.encode(), given)
        for statement in RIGHT:
            connection.execute(statement.encode())
        tell_of_everything(connection)
    for table in TABLES:
        connection.execute(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}".encode()
        )
