import time
from backoffice.demo import billing, loading
def test_time(app, session, monkeypatch, run_command):
    took=[]
    load=billing.load
    def timed(s):
        t=time.monotonic(); c=time.process_time(); r=load(s); took.append((time.monotonic()-t, time.process_time()-c)); return r
    monkeypatch.setattr(billing,"load",timed)
    t=time.monotonic(); run_command("demo","load"); print("XX all", time.monotonic()-t, "billing", took); assert 0
