import time, pytest
@pytest.mark.leaves_drift
def test_big(app, session, admin_database_url):
    import psycopg
    from backoffice.people import tokens
    from backoffice.metrics.board import Board, told
    from backoffice.metrics.machine import Machine
    from backoffice.extensions import db
    from backoffice import measures
    with psycopg.connect(admin_database_url, autocommit=True) as c:
        c.execute("SET session_replication_role = replica")
        b=time.perf_counter()
        c.execute("INSERT INTO customers (code, name) SELECT 'c'||n, 'n'||n FROM generate_series(1,1000) n")
        c.execute("INSERT INTO users (email, name, role) VALUES ('a@b.example','a','account_manager')")
        c.execute("INSERT INTO orders (number, customer_id, account_manager_id, order_date) SELECT 'o'||n, 1+n%1000, 1, '2026-01-01' FROM generate_series(1,1000000) n")
        c.execute("INSERT INTO corrections (figure, owner, key, before, after, cause, at) SELECT 'orders.grand_total', n, '{\"id\": 1}', '{\"grand_total\": \"1.00\"}', '{\"grand_total\": \"2.00\"}', 'heal', now() - (1000000-n) * interval '1 second' FROM generate_series(1,1000000) n")
        c.execute("INSERT INTO runs (kind, scope, scope_key, status, created_at, started_at, finished_at) SELECT 'chore', '{}', n::text, 'done', now() - (200000-n) * interval '10 second', now(), now() FROM generate_series(1,200000) n")
        c.execute("INSERT INTO drift_findings (figure, owner, key, kind, amount, roots, is_root, cause) SELECT 'orders.grand_total', n, jsonb_build_object('id', n), 'different', 1.5, '[]', true, 'unnoticed' FROM generate_series(1,20000) n")
        c.execute("INSERT INTO audit_events (table_name, row_id, action) SELECT 'orders', n::text, 'UPDATE' FROM generate_series(1,1000000) n")
        c.execute("VACUUM ANALYZE")
        print("filled", time.perf_counter()-b)
    board = Board(db.engine, Machine(app.config["REDIS_URL"]))
    for _ in range(5):
        board.forget()
        b=time.perf_counter(); told(board); print("read+write", round((time.perf_counter()-b)*1000,1))
    with db.engine.connect().execution_options(isolation_level="REPEATABLE READ") as c:
        for s in measures.SOURCES.values():
            b=time.perf_counter(); list(s.read(c)); print("   ", s.name, round((time.perf_counter()-b)*1000,1))
    for _ in range(3):
        b=time.perf_counter(); told(board); print("cached", round((time.perf_counter()-b)*1000,1))
