import time
from sqlalchemy import event, text
from backoffice.extensions import db
from backoffice.health import dot
from backoffice.drift import queries
def test_x(sign_in, session, orders, app):
    session.execute(text("""
            INSERT INTO drift_findings
                (figure, owner, key, kind, stored, expected, amount, roots, is_root, cause)
            SELECT 'orders.grand_total', n, jsonb_build_object('id', n), 'different',
                   '{"grand_total": "1.00"}', '{"grand_total": "2.00"}', n,
                   jsonb_build_array(jsonb_build_object('figure', 'orders.grand_total')), true,
                   'unnoticed'
            FROM generate_series(1, 200000) n"""))
    session.commit()
    session.execute(text("ANALYZE drift_findings")); session.commit()
    c=sign_in("finance")
    for path in ("/health/drift","/health/drift?sort=owner","/health/drift?totals=1","/today","/health","/orders"):
        t=[]
        for _ in range(4):
            b=time.perf_counter(); r=c.get(path); t.append((time.perf_counter()-b)*1000)
        print("TIME", path, r.status_code, round(min(t),1), round(sorted(t)[2],1))
    with db.engine.connect() as con:
        t=[]
        for _ in range(8):
            b=time.perf_counter(); queries.standing(con, most=1000); t.append((time.perf_counter()-b)*1000)
        print("TIME dot query", round(min(t),2), round(sorted(t)[4],2))
    b=time.perf_counter(); r=c.post("/health/drift/preview", data={"idempotency_key":"k","matching":"1"}); print("TIME preview all", r.status_code, r.location, (time.perf_counter()-b)*1000)
    session.execute(text("DELETE FROM drift_findings")); session.commit()
    sent=[]
    def n(_c,_k,s,*m): sent.append(s)
    event.listen(db.engine,"before_cursor_execute",n)
    c.get("/today")
    event.remove(db.engine,"before_cursor_execute",n)
    print("TIME queries", len(sent))
    assert 0
