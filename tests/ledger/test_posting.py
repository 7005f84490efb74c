"""Posting rules: documents become entries, changes become difference entries, and repeating posts nothing."""

import json
import time
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from backoffice.app.extensions import db
from backoffice.base import periods
from backoffice.billing.models import Invoice, MeterAdjustment, Payment
from backoffice.drift.healing.performing import performed
from backoffice.gas.models import Deposit, Reading
from backoffice.imports.importing import import_files
from backoffice.imports.kinds import KINDS
from backoffice.ledger import actions
from backoffice.ledger.models import JournalEntry
from backoffice.ledger.posting.actions import reconcile
from backoffice.ledger.posting.queries import Scope, open_postings, roles_without_account
from backoffice.ledger.posting.sources import SOURCES
from backoffice.ledger.posting.tie_out import tie_out
from backoffice.ledger.records import ACCOUNT
from backoffice.ledger.refusals import UNNAMED, AccountsNotNamed, RoleTaken
from backoffice.orders.models import Order
from backoffice.records import actions as records
from backoffice.runs.models import DONE_WITH_FAILURES, Run, RunItem
from backoffice.schedules.catalog import schedule_of
from backoffice.wallets import actions as wallets
from tests.drift.books import key_in, run_of, text_of
from tests.drift.whole_book import write_everything
from tests.factories.billing import (
    InvoiceFactory,
    MeterAdjustmentFactory,
    MeterAssignmentFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.factories.gas import DepositFactory, GasPriceFactory, ReadingFactory
from tests.factories.ledger import accounts_of_roles, of, posted
from tests.factories.orders import OrderFactory
from tests.factories.wallets import WalletFactory
from tests.ledger.books import balances
from tests.orders.pages import _read
from tests.processes import barrier, together

D = Decimal


@pytest.fixture
def roles(session):
    made = accounts_of_roles()
    session.commit()
    return made


def post(session, **scope):
    """Post what is open; how many entries that were."""
    count = reconcile(session, Scope(**scope))
    session.commit()
    return count


def differences(session):
    """The roles of control accounts that do not tie out, with the difference."""
    session.rollback()
    tied = tie_out(session.connection())
    return {one.control.role: one.difference for one in tied if one.difference}


def all_is_posted(session):
    assert open_postings(session) == []
    assert differences(session) == {}
    assert all(one.not_posted == 0 for one in tie_out(session.connection()))
    session.rollback()


def entry_count(session):
    return session.scalar(select(func.count()).select_from(JournalEntry))


def test_every_document_is_posted_once_and_control_accounts_tie_out(session, roles):
    write_everything()
    assert differences(session) == {}, "what is not posted yet is no difference"
    assert post(session) == 7
    all_is_posted(session)
    assert post(session) == 0
    held = balances(session)
    assert (held["orders"], held["receivables"], held["wallets"]) == (D(32), D(1100), D(100))
    assert held["cash"] == D(1_000_000) + 500 + 100


def test_a_change_and_a_void_become_difference_entries(session, roles):
    meter = MeterAssignmentFactory().meter
    invoice = InvoiceFactory(meter=meter, units=None, rate=None, fixed_charge=0, amount=D(300))
    session.commit()
    assert post(session) == 1
    invoice.amount = D(250)
    session.commit()
    assert post(session) == 1
    assert balances(session) == {"receivables": D(250), "meter_revenue": D(250)}
    invoice.status = "void"
    session.commit()
    assert post(session) == 1
    assert balances(session) == {}
    said = session.execute(
        select(JournalEntry.memo, JournalEntry.source).order_by(JournalEntry.id)
    ).all()
    number = invoice.number
    change = (f"Change: Invoice {number}", number)
    assert said == [(f"Invoice {number}", number), change, change]
    all_is_posted(session)


def test_a_document_of_another_day_moves_to_that_day(session, roles):
    invoice = InvoiceFactory(meter=MeterAssignmentFactory().meter, issued_on=date(2026, 1, 10))
    session.commit()
    post(session)
    invoice.issued_on = date(2026, 2, 3)
    session.commit()
    assert post(session) == 2
    e, memo = JournalEntry, f"Invoice {invoice.number}"
    rows = session.execute(select(e.entry_date, e.document_date, e.memo).order_by(e.id))
    old, new = date(2026, 1, 10), date(2026, 2, 3)
    assert [*rows] == [(old, old, memo), (old, old, f"Change: {memo}"), (new, new, memo)]
    all_is_posted(session)


def test_what_has_no_number_names_its_customer_and_keeps_the_name_when_it_is_deleted(
    session, roles
):
    customer = CustomerFactory(name="PT Gas " + "x" * 190)
    deposit = DepositFactory(customer=customer)
    wallet = WalletFactory(customer=CustomerFactory(name="Andi"))
    wallets.post(session, wallet.id, "recharge", amount=D(5), reference="R-1")
    wallets.post(session, wallet.id, "recharge", amount=D(6))
    session.commit()
    post(session)
    session.delete(deposit)
    session.commit()
    assert post(session) == 1
    session.rollback()
    said = set(session.execute(select(JournalEntry.memo, JournalEntry.source)))
    name = customer.name
    assert said == {
        (f"Gas deposit {name}"[:200], name), (f"Change: Gas deposit {name}"[:200], name),
        ("Wallet recharge R-1, Andi", "R-1, Andi"), ("Wallet recharge Andi", "Andi"),
    }  # fmt: skip
    all_is_posted(session)


def test_a_document_that_was_renumbered_is_called_as_it_is_now(session, roles):
    meter = MeterAssignmentFactory().meter
    invoice = InvoiceFactory(
        meter=meter, units=None, rate=None, fixed_charge=0, amount=D(300), number="B-2"
    )
    session.commit()
    post(session)
    invoice.number, invoice.amount = "A-1", D(250)
    session.commit()
    post(session)
    memos = session.scalars(select(JournalEntry.memo).order_by(JournalEntry.id)).all()
    assert memos == ["Invoice B-2", "Change: Invoice A-1"]
    session.rollback()


def test_what_changes_on_a_locked_day_is_posted_today(session, roles, surgery, sign_in):
    invoice = InvoiceFactory(
        meter=MeterAssignmentFactory().meter, issued_on=date(2026, 1, 10), units=None, rate=None,
        fixed_charge=0, amount=D(300),
    )  # fmt: skip
    session.commit()
    post(session)
    surgery.execute("UPDATE book SET locked_until = '2026-01-31'")
    invoice.amount = D(310)
    session.commit()
    assert post(session) == 1
    last = session.scalars(select(JournalEntry).order_by(JournalEntry.id.desc())).first()
    assert (last.entry_date, last.document_date) == (periods.today(), date(2026, 1, 10))
    viewer, number = sign_in("viewer"), last.number
    first = session.scalars(select(JournalEntry.number).order_by(JournalEntry.id)).first()
    pages = [text_of(viewer.get(f"/ledger/entries/{one}").text) for one in (first, number)]
    assert ["Date of the document 10 Jan 2026" in page for page in pages] == [False, True]
    all_is_posted(session)
    assert post(session) == 0


def test_a_posting_that_is_reversed_by_hand_is_open_again(session, roles):
    InvoiceFactory(meter=MeterAssignmentFactory().meter)
    session.commit()
    post(session)
    entry = session.scalars(select(JournalEntry)).one()
    actions.reverse(session, entry.id, {"entry_date": entry.entry_date, "memo": "By mistake"})
    session.commit()
    assert [one.count for one in open_postings(session)] == [1]
    assert post(session) == 1
    all_is_posted(session)


def test_without_an_account_nothing_is_posted_and_it_is_named(session):
    InvoiceFactory(meter=MeterAssignmentFactory().meter)
    session.commit()
    with pytest.raises(
        AccountsNotNamed, match="used for: Revenue of meters, Receivables of meters"
    ):
        reconcile(session, Scope())
    session.rollback()
    assert entry_count(session) == 0
    assert [one.source.name for one in open_postings(session)] == ["invoices"]


def test_an_account_that_is_not_active_is_as_good_as_none_until_it_is_again(session, roles):
    InvoiceFactory(meter=MeterAssignmentFactory().meter)
    roles["meter_revenue"].is_active = False
    session.commit()
    with pytest.raises(AccountsNotNamed, match="used for: Revenue of meters"):
        reconcile(session, Scope())
    session.rollback()
    assert (entry_count(session), differences(session)) == (0, {})
    roles["meter_revenue"].is_active = True
    session.commit()
    assert post(session) == 1
    all_is_posted(session)


def test_what_is_entered_on_a_control_account_by_hand_is_the_difference(session, roles):
    write_everything()
    post(session)
    posted(of(roles["receivables"], 12), of(roles["cash"], -12))
    session.commit()
    assert differences(session) == {"receivables": D(12)}


def test_a_scope_posts_its_documents_alone(session, roles):
    write_everything()
    assert post(session, sources=("invoices",)) == 1
    assert post(session, since=date(2026, 3, 20), until=date(2026, 3, 20)) == 1
    assert {one.source.name for one in open_postings(session)} == {
        "payments", "adjustments", "deposits", "gas_purchases", "wallet_recharges",
    }  # fmt: skip


def test_a_scope_of_no_document_posts_nothing_and_takes_nothing_back(session, roles):
    write_everything()
    for is_posted in (False, True):
        if is_posted:
            post(session)
        for nothing in ({}, {"orders": ()}, {"none": (1,)}):
            scope = Scope(documents=nothing)
            assert open_postings(session, scope) == []
            assert roles_without_account(session, scope) == []
            assert post(session, documents=nothing) == 0
    all_is_posted(session)


def test_a_number_that_a_user_has_typed_is_left_to_them(session, roles):
    year = periods.today().year
    posted(of(roles["cash"], 1), of(roles["orders"], -1), number=f"AP-{year}-00003")
    write_everything()
    assert post(session) == 7


def test_an_account_that_takes_a_role_over_takes_over_what_was_posted(session, roles):
    write_everything()
    post(session)
    roles["cash"].role = ""
    other = accounts_of_roles_again(session)
    assert post(session) == 3
    held = balances(session)
    assert ("cash" in held, held[other.code]) == (False, D(1_000_600))
    all_is_posted(session)


def test_a_second_account_of_a_role_is_refused_until_the_first_one_gives_it_up(
    session, roles, sign_in
):
    browser = sign_in("finance")

    def saved(at, **typed):
        form = _read(browser.get(at).text, "account-form").fields.to_dict()
        answer = browser.post(at, data=form | typed)
        assert answer.status_code == 303 or "Account cash is used for this already" in text_of(
            answer.text
        )
        return answer.status_code

    new = {"code": "Bank", "name": "Bank", "type": "asset", "role": "cash"}
    assert saved("/ledger/accounts/new", **new) == 422
    assert saved("/ledger/accounts/new", **new | {"role": ""}) == 303
    assert saved("/ledger/accounts/Bank/edit", role="cash") == 422
    assert saved("/ledger/accounts/cash/edit", name="Till") == 303, "it has it itself"
    assert saved("/ledger/accounts/cash/edit", role="") == 303
    assert saved("/ledger/accounts/Bank/edit", role="cash") == 303
    another = {"code": "Kept", "name": "Kept", "type": "equity", "role": "retained_earnings"}
    assert saved("/ledger/accounts/new", **another) == 303


BANK = {"name": "Bank", "type": "asset", "parent": None, "role": "cash", "is_active": True}
ROLE_OF_A_FILE = "code,name,type,is_active,role\n1100,Till,asset,yes,cash\n"


def role_given_twice(app, give):
    """The outcomes of `give` and, while its transaction is open, of a screen that gives the same role."""
    meet = barrier(2)

    def first():
        give()
        meet.wait()
        time.sleep(0.5)
        db.session.commit()
        return "made"

    def second():
        meet.wait()
        try:
            records.create(db.session(), ACCOUNT, {**BANK, "code": "1200"})
            db.session.commit()
        except RoleTaken:
            db.session.rollback()
            return "refused"
        return "made"

    return together(app, first, second)


def test_of_two_who_give_a_role_at_the_same_time_one_is_refused(app, session):
    def by_screen():
        records.create(db.session(), ACCOUNT, {**BANK, "code": "1100"})
        db.session.flush()

    assert role_given_twice(app, by_screen) == ["made", "refused"]


def role_by_file_and_screen(app, path):
    """The outcomes where a file gives the role first."""
    path.write_text(ROLE_OF_A_FILE)

    def by_file():
        assert not import_files(db.session(), KINDS["accounts"], [path]).problems

    return role_given_twice(app, by_file)


def test_of_a_file_and_a_screen_that_give_a_role_at_the_same_time_one_is_refused(app, tmp_path):
    assert role_by_file_and_screen(app, tmp_path / "a.csv") == ["made", "refused"]


def test_without_the_lock_of_files_two_accounts_have_one_role(app, tmp_path, monkeypatch):
    monkeypatch.setattr("backoffice.imports.kinds.ledger.hold_roles", lambda _session: None)
    assert role_by_file_and_screen(app, tmp_path / "a.csv") == ["made", "made"]


def accounts_of_roles_again(session):
    from tests.factories.ledger import AccountFactory

    other = AccountFactory(code="Bank", role="cash")
    session.commit()
    return other


def test_the_command_says_what_is_open_posts_it_and_ties_out(session, roles, run_command):
    write_everything()
    dry = run_command("ledger", "reconcile", "--dry-run", "--json")
    reported = json.loads(dry.stdout)
    assert (dry.exit_code, reported["posted"]) == (1, 0)
    assert sum(one["postings"] for one in reported["sources"]) == 7
    assert entry_count(session) == 1
    done = run_command("ledger", "reconcile", "--json")
    reported = json.loads(done.stdout)
    assert (done.exit_code, reported["posted"]) == (0, 7)
    assert {one["difference"] for one in reported["tie_out"]} == {"0.00"}
    again = run_command("ledger", "reconcile")
    assert (again.exit_code, "0 entries are posted." in again.stdout) == (0, True)
    assert run_command("ledger", "reconcile", "--date-from", "soon").exit_code == 2


def test_a_run_posts_what_its_dry_run_lists(session, roles):
    write_everything()
    dry = run_of("ledger.post", dry_run=True)
    assert (dry.status, entry_count(session)) == ("done", 1)
    done = run_of("ledger.post")
    listed, did = (
        sorted((item.key["document"], item.amount) for item in session.scalars(
            select(RunItem).where(RunItem.run_id == run.id)
        )) for run in (dry, done)
    )  # fmt: skip
    assert (listed, len(did)) == (did, 7)
    all_is_posted(session)
    assert run_of("ledger.post").total == 0


def test_the_schedule_of_every_night_posts_what_is_open(session, roles):
    write_everything()
    schedule = schedule_of("ledger-post")
    run = run_of(schedule.kind, schedule.scope(None))
    assert (run.status, run.changed) == ("done", 7)
    all_is_posted(session)
    assert run_of(schedule.kind, schedule.scope(None)).changed == 0


def test_a_run_names_what_it_cannot_post_for_want_of_an_account(session):
    InvoiceFactory(meter=MeterAssignmentFactory().meter)
    session.commit()
    for dry_run in (True, False):
        run = run_of("ledger.post", dry_run=dry_run)
        assert run.status == DONE_WITH_FAILURES
        named = select(RunItem.outcome, RunItem.error).where(RunItem.run_id == run.id)
        assert session.execute(named).one() == ("failed", UNNAMED)


def test_the_page_shows_both_sides_and_posts_what_is_open(session, roles, sign_in):
    write_everything()
    browser = sign_in("finance")
    page = browser.get("/ledger/tie-out")
    assert "Invoices 1" in text_of(page.text)
    assert "Receivables of meters Balance of the accounts 0.00" in text_of(page.text)
    for way in (
        "/ledger/accounts/?role=receivables", "/billing/meters/?assigned=unassigned", "/orders/?state=closed",
    ):  # fmt: skip
        assert f'href="{way}"'.replace("/?", "?") in page.text.replace("/?", "?")
    shown = browser.post("/ledger/tie-out/preview", data={"idempotency_key": "p"})
    session.rollback()
    dry = session.scalars(select(Run.id).where(Run.kind == "ledger.post")).one()
    assert (shown.status_code, shown.headers["Location"]) == (303, f"/runs/{dry}")
    performed(db.engine, dry)
    assert entry_count(session) == 1
    posting = browser.post("/ledger/tie-out/post", data={"idempotency_key": key_in(page.text)})
    assert posting.status_code == 303
    session.rollback()
    is_real = Run.kind == "ledger.post", Run.dry_run.is_(False)
    performed(db.engine, session.scalars(select(Run.id).where(*is_real)).one())
    assert "Not posted yet:" not in text_of(browser.get("/ledger/tie-out").text)
    file = browser.get("/ledger/tie-out/export.csv").text
    assert "1,100.00" in file or "1100.00" in file
    all_is_posted(session)
    viewer = sign_in("viewer")
    for way in ("post", "preview"):
        assert viewer.post(f"/ledger/tie-out/{way}").status_code == 403


DAYS = st.dates(date(2026, 1, 1), date(2026, 6, 30))
AMOUNTS = st.integers(1, 999_999).map(lambda cents: D(cents) / 100)
SOURCE_NAMES = sorted(source.name for source in SOURCES)
VERBS = st.sampled_from(["new", "new", "change", "gone"])
STEPS = st.tuples(VERBS, st.sampled_from(SOURCE_NAMES), DAYS, AMOUNTS)


class World:
    """A customer with a meter, a wallet and gas; and what can happen to their documents."""

    def __init__(self, session, is_stored, is_assigned):
        self.session, self.lock = session, date(2025, 12, 31)
        self.customer = CustomerFactory(use_realtime_calculation=is_stored)
        self.meter = MeterAssignmentFactory(customer=self.customer, is_active=is_assigned).meter
        self.wallet = WalletFactory(customer=self.customer).id
        GasPriceFactory(customer=self.customer)
        session.commit()

    def do(self, verb, source, day, amount):
        """Carry it out, unless it is refused."""
        if source.startswith("wallet"):
            self.move(source.removeprefix("wallet_"), amount)
        elif source in ("deposits", "gas_purchases") and self.lock > date(2026, 1, 1):
            return
        elif (row := self.last(source)) is None or verb == "new":
            self.make(source, day, amount)
        elif verb == "change":
            self.change(source, row, day, amount)
        else:
            self.end(source, row)
        self.session.commit()

    def move(self, what, amount):
        wallets.recharge(self.session, self.wallet, amount)
        if what == "refunds":
            wallets.charge(self.session, self.wallet, amount)
        if what == "adjustments":
            wallets.adjust(self.session, self.wallet, -amount, description="Because")
        else:
            act = getattr(wallets, what.removesuffix("s"))
            act(self.session, self.wallet, amount)

    def last(self, source):
        own = select(MODELS[source]).where(MODELS[source].customer_id == self.customer.id)
        return self.session.scalars(own.order_by(MODELS[source].id.desc())).first()

    def make(self, source, day, amount):
        own, meter = {"customer": self.customer}, self.meter
        if source == "orders":
            OrderFactory(**own, order_date=day, closing_date=day, total_price=amount)
        elif source == "invoices":
            entered = {"units": None, "rate": None, "fixed_charge": 0, "amount": amount}
            InvoiceFactory(**own, **entered, meter=meter, issued_on=day, due_on=date(2026, 7, 1))
        elif source == "payments":
            PaymentFactory(
                **own, meter=meter if amount > 5000 else None, paid_on=day, amount=amount
            )
        elif source == "adjustments":
            MeterAdjustmentFactory(**own, meter=meter, adjusted_on=day, amount=-amount)
        elif source == "deposits":
            DepositFactory(**own, deposited_on=day, amount=amount)
        elif not self.session.scalar(
            select(Reading.id).where(
                Reading.customer_id == self.customer.id, Reading.read_on == day
            )
        ):
            ReadingFactory(**own, read_on=day, metered_volume=amount)

    def change(self, source, row, day, amount):
        dated, worth = CHANGED[source]
        setattr(row, worth, amount)
        if dated:
            setattr(row, dated, day)

    def end(self, source, row):
        if hasattr(row, "status"):
            row.status = "void"
        elif source == "orders":
            row.closing_date = None
        else:
            self.session.delete(row)


MODELS = {
    "orders": Order, "invoices": Invoice, "payments": Payment, "adjustments": MeterAdjustment, "deposits": Deposit,
    "gas_purchases": Reading,
}  # fmt: skip
CHANGED = {
    "orders": ("closing_date", "total_price"), "invoices": ("issued_on", "amount"), "payments": ("paid_on", "amount"),
    "adjustments": ("adjusted_on", "amount"), "deposits": ("deposited_on", "amount"),
    "gas_purchases": ("", "metered_volume"),
}  # fmt: skip


@pytest.mark.slow
@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(st.one_of(STEPS, STEPS, st.just("post"), st.just("lock")), min_size=4, max_size=16),
    is_stored=st.booleans(), is_assigned=st.booleans(),
)  # fmt: skip
def test_whatever_happens_to_documents_what_is_open_is_posted_and_ties_out(
    session, roles, surgery, steps, is_stored, is_assigned
):  # fmt: skip
    session.rollback()
    surgery.execute("UPDATE book SET locked_until = NULL")
    world = World(session, is_stored, is_assigned)
    for step in steps:
        if step == "post":
            post(session)
        elif step == "lock":
            world.lock += timedelta(days=40)
            surgery.execute("UPDATE book SET locked_until = %s", [world.lock])
        else:
            world.do(*step)
    assert differences(session) == {}
    post(session)
    all_is_posted(session)
    assert post(session) == 0
