"""Wherever a value is shown beside its former or expected one, the difference is signed, by column, and adds up.

A seeded sequence of tampering, edits, heals and recalculations; then every page that can be reached, every file of
every list and every command that returns JSON is read by `pairs`, which is independent of any screen.
"""

import json
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Integer, Numeric, Text, func, literal, select
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from backoffice.app.extensions import db
from backoffice.app.protection import limiter
from backoffice.audit.models import AuditEvent
from backoffice.billing.models import Invoice, Payment
from backoffice.drift.models import DriftFinding
from backoffice.drift.verification.scope import scope_of
from backoffice.figures import registry
from backoffice.orders.models import Order
from backoffice.runs.models import Run
from backoffice.wallets.actions import recharge
from tests.approvals.cards import confirm
from tests.approvals.cases import CASES, Case
from tests.approvals.test_verbs import press
from tests.billing.books_of_meters import a_customer, a_payment, an_invoice, migrated
from tests.billing.recalculations import recalculated
from tests.customers.desk import form
from tests.depth import examples
from tests.drift import pairs
from tests.drift.books import run_of
from tests.drift.every_figure import fill, tamper
from tests.factories.wallets import WalletFactory
from tests.imports.desk import LINES, ORDERS, Desk
from tests.platform.test_every_command import options, tree
from tests.pricing.shops import open_shop
from tests.pricing.test_views import shown

pytestmark = pytest.mark.slow

Outside = psycopg.Connection[Any]
Command = Callable[..., Any]

MOST = examples(6)
"""The most addresses of one endpoint that are read."""

LEADING = {"customers.record": 8, "payments.record": 8}
"""Pages without pairs that lead to pages with some, and how many of them are read."""


class Office:
    """A user who tampers, edits, imports, heals and recalculates, in any order."""

    def __init__(
        self, session: Any, surgery: Outside, outside: Outside, client: FlaskClient, command: Command,
        chance: random.Random,
    ) -> None:  # fmt: skip
        self.session, self.surgery, self.outside = session, surgery, outside
        self.client, self.command, self.chance = client, command, chance

    def deeds(self) -> list[Callable[[], object]]:
        """All possible actions, by name in order."""
        return [getattr(self, name) for name in sorted(dir(self)) if name.startswith("do_")]

    def _some(self, model: Any) -> Any:
        self.session.rollback()
        return self.chance.choice(self.session.scalars(select(model).order_by(model.id)).all())

    def _cents(self) -> Decimal:
        return Decimal(self.chance.randint(101, 99_999)).scaleb(-2)

    def do_tamper(self) -> None:
        """Tamper without triggers: with figures, and with facts beneath them, which a user accepts."""
        tamper(self.surgery, self.chance, 4)
        self.accept()

    def accept(self) -> None:
        """Accept facts that differ from the trail, except the book's own, which the sweep between tests leaves."""
        run_of("audit.facts")
        self.session.rollback()
        is_one = DriftFinding.figure.startswith("facts:"), DriftFinding.figure != "facts:book"
        open_ones = select(DriftFinding.id).where(DriftFinding.healed_at.is_(None), *is_one)
        for number in self.session.scalars(open_ones).all():
            self.session.rollback()
            self.command("audit", "accept-fact", str(number), "--reason", "So it is")

    def do_edit_an_order(self) -> None:
        """Edit additions and a quantity, through the app."""
        order = self._some(Order)
        if "addition" not in order.itemised:
            order.additions = self._cents()
        for line in order.lines:
            line.quantity += Decimal("1.125")
        self.session.commit()

    def do_edit_an_invoice(self) -> None:
        """Edit units and rate, through the app."""
        invoice = self._some(Invoice)
        if invoice.units is not None:
            invoice.units += Decimal("2.5")
            invoice.rate += Decimal("0.1234")
        else:
            invoice.amount += self._cents()
        self.session.commit()

    def do_edit_a_payment(self) -> None:
        """Edit its amount, through the app."""
        payment = self._some(Payment)
        payment.amount += self._cents()
        self.session.commit()

    def do_write_outside(self) -> None:
        """Another program writes, and its notes are drained."""
        self.outside.execute(b"UPDATE order_lines SET quantity = quantity + 0.25 WHERE id <= 3")
        self.command("figures", "heal", "--noted")

    def do_verify(self) -> None:
        run_of("figures.verify")
        run_of("audit.facts")

    def do_heal(self) -> None:
        run_of("figures.heal")

    def do_rebuild_one(self) -> None:
        run_of("figures.rebuild", scope_of([registry.get("meters.balance")], [1, 2]))

    def do_dry_run(self) -> None:
        run_of("figures.heal", dry_run=True)

    def do_recalculate(self) -> None:
        recalculated(dry_run=self.chance.random() < 0.5)

    def do_migrate(self) -> None:
        migrated(dry_run=self.chance.random() < 0.5)

    def do_reconcile(self) -> None:
        run_of("reconciliation.nightly")

    def do_set_targets(self) -> None:
        growth = str(self.chance.randint(1, 90))
        self.command(
            "targets", "generate", "--update", "--otherwise", str(self._cents()), "--growth", growth
        )  # fmt: skip

    def do_import(self) -> None:
        """Import existing orders and lines with changed values."""
        order = self._some(Order)
        person = order.account_manager.email
        lines = "\n".join(
            f"{order.number},{kind},{kind},{self.chance.randint(1, 9)}.5,{self._cents()}"
            for kind in ("package", "promo")
        )
        desk = Desk(self.client)
        for kind, text in (
            ("orders", f"{ORDERS}\n{order.number},{order.customer.code},{person},2026-01-05,\n"),
            ("order-lines", f"{LINES}\n{lines}\n"),
        ):
            number = desk.checked(kind, text)
            page, apply = f"/imports/{number}", f"/imports/{number}/apply"
            if apply in self.client.get(page).text:  # otherwise the resulting amounts are refused
                self.client.post(apply, data=form(self.client, page, apply))

    def do_change_a_price(self) -> None:
        """Change the price list for the orders that it affects."""
        price = f"{self.chance.randint(5, 40)}.25"
        answer = self.client.post("/pricing/apply", data=shown(self.client, unit_price=price))
        if answer.status_code == 200:
            confirm(self.client, answer)


CHAINED = b"""
UPDATE wallet_transactions AS stored SET balance_before = until - moved, balance_after = until FROM (
  SELECT id, moved, sum(moved) OVER (PARTITION BY wallet_id ORDER BY id) AS until FROM (
    SELECT id, wallet_id, CASE transaction_type WHEN 'charge' THEN -amount ELSE amount END AS moved
    FROM wallet_transactions
  ) AS moves
) AS chain WHERE chain.id = stored.id
"""
"""Balances beside a transaction that were overwritten are not corrected, and do not add up until then."""


@pytest.fixture
def office(
    app: Flask, session: Any, surgery: Outside, app_connection: Outside, sign_in: Any, run_command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[int], Office]:  # fmt: skip
    """An office in which every action has happened once, and then random ones."""
    monkeypatch.setattr(limiter, "enabled", False)

    def opened(seed: int) -> Office:
        chance = random.Random(seed)
        fill(session)
        open_shop(session)
        lost = a_customer("LOST", "M-LOST")
        a_payment("P-LOST", lost)
        an_invoice("I-LOST", lost)
        session.commit()
        client = sign_in("finance")
        for figure in (figure for figure in registry.figures if not figure.generated):
            name, key = figure.table.name, figure.primary_key.name
            column = next(c for c in figure.columns if isinstance(c.type, Numeric | Integer))
            surgery.execute(
                f"UPDATE {name} SET {column.name} = {column.name} + 7 WHERE {key} = 1".encode()
            )
        made = Office(session, surgery, app_connection, client, run_command, chance)
        made.accept()
        run_of("figures.heal")
        deeds = made.deeds()
        chance.shuffle(deeds)
        for deed in [*deeds, *chance.choices(deeds, k=12)]:
            deed()
            session.rollback()
        made.do_tamper()
        surgery.execute(CHAINED)
        surgery.execute(b"UPDATE meters SET balance = balance + 9 WHERE id <= 3")
        surgery.execute(b"UPDATE customers SET balance = balance + 9 WHERE id % 2 = 0")
        surgery.execute(b"UPDATE orders SET grand_total = grand_total + 5 WHERE id = 1")
        recharge(session, WalletFactory(customer=lost).id, Decimal(100))
        session.commit()
        surgery.execute(b"UPDATE wallets SET balance = balance + 9")
        recalculated(dry_run=True)
        migrated(dry_run=True)
        surgery.execute(b"UPDATE payments SET amount = amount + 7 WHERE id = 1")
        made.do_dry_run()
        made.do_verify()
        return made

    return opened


PAIRS = {
    "audit.event", "audit.export", "audit.index", "balance_health.check", "balance_health.detailed_report",
    "billing.customer_calculation", "billing.export_migration_items",
    "billing.export_recalculation", "invoices.calculation", "invoices.calculation_of", "invoices.changes",
    "billing.migration_items", "payments.changes", "billing.recalculation", "billing.recalculation_changes",
    "customers.changes",
    "drift.export", "drift.index", "drift.record",
    "imports.record",
    "meters.calculation", "meters.calculation_of", "meters.changes",
    "orders.calculation", "orders.calculation_of", "orders.calculation_of_part", "orders.changes",
    "pricing.change", "pricing.index", "products.record",
    "reconciliation.download", "reconciliation.index", "reconciliation.kept_report", "reconciliation.report",
    "runs.export_items", "runs.record",
    "targets.calculation", "targets.calculation_of",
    "wallet_transactions.export", "wallet_transactions.index", "wallet_transactions.record",
    "wallets.discrepancies", "wallets.export_discrepancies", "wallets.record",
}  # fmt: skip
"""Endpoints that show a pair. A page or file in none of these sets fails the test."""

PERHAPS = {
    "drift.accept",
    "adjustments.changes", "targets.changes", "wallet_transactions.changes", "wallets.changes",
    "wallets.calculation", "wallets.calculation_of", "wallets.calculation_of_part",
    "deposits.changes", "gas_calculations.calculation", "gas_calculations.calculation_of",
    "gas_calculations.changes", "gas_months.calculation", "gas_months.calculation_of", "gas_months.changes",
    "gas_prices.changes", "readings.changes",
    "accounts.calculation", "accounts.calculation_of", "accounts.changes", "entries.changes",
}  # fmt: skip
"""Endpoints that show a pair only if the value was changed, which not every book has."""

NO_PAIRS = {
    "adjustments.changes", "adjustments.export", "adjustments.index", "adjustments.new", "adjustments.record",
    "adjustments.void",
    "api.adjustments_index", "api.adjustments_record",
    "api.openapi", "api.customers_index", "api.customers_record", "api.meters_index", "api.meters_record",
    "api.orders_index", "api.orders_record", "api.payments_index", "api.payments_record",
    "api.products_index", "api.products_record",
    "billing.ageing", "billing.ageing_documents", "drift.check",
    "invoices.edit", "billing.export_ageing",
    "billing.export_ageing_documents", "invoices.export", "billing.export_meter_statement",
    "payments.export", "billing.export_recalculations", "billing.export_statement",
    "billing.export_unmatched", "invoices.record", "invoices.index",
    "billing.meter_statement", "billing.migration", "billing.migration_progress", "billing.migration_report",
    "invoices.move", "payments.move", "invoices.new", "payments.new",
    "payments.index", "billing.recalculation_progress", "billing.recalculations", "payments.edit", "payments.record",
    "billing.statement", "billing.unmatched", "invoices.void", "payments.void",
    "customers.delete", "customers.edit", "customers.export", "customers.index", "customers.merge",
    "customers.new", "customers.options", "customers.record",
    "health.alive", "health.dot", "health.index", "health.ready", "health.today",
    "imports.columns", "imports.export", "imports.failed", "imports.index", "imports.new",
    "api.imports_results", "api.imports_upload", "imports.of_run", "imports.progress", "imports.results",
    "lists.view",
    "meters.assign", "meters.assignment_days", "meters.edit", "meters.end_assignment", "meters.export",
    "meters.index", "meters.new", "meters.options", "meters.reassign", "meters.record",
    "metrics.scrape",
    "orders.bulk_edit", "orders.delete", "orders.edit", "orders.export", "orders.index", "orders.new",
    "orders.record",
    "people.login", "people.profile", "people.signed_in", "people.start", "people.token_new",
    "people.tokens_index", "people.user", "people.user_new", "people.users", "people.who",
    "products.edit", "products.export", "products.index", "products.new", "products.options",
    "reconciliation.export_kept", "reconciliation.kept",
    "reports.export", "reports.index", "reports.of_dimension",
    "runs.export", "runs.index", "runs.progress",
    "schedules.index",
    "search.index",
    "api.targets_index", "api.targets_record", "api.invoices_index", "api.invoices_record",
    "targets.edit", "targets.edit_year", "targets.export", "targets.index", "targets.manager_year",
    "targets.new", "targets.record", "targets.year",
    "api.wallets_index", "api.wallets_record", "api.wallets_transactions", "api.wallets_transactions_record",
    "wallets.adjust", "wallets.close", "wallets.edit", "wallets.export", "wallets.index", "wallets.lift", "wallets.new",
    "accounts.edit", "accounts.export", "accounts.export_statement", "accounts.index", "accounts.new",
    "accounts.options", "accounts.record", "accounts.statement",
    "api.accounts_index", "api.accounts_record", "api.entries_index", "api.entries_record", "api.entries_reversals",
    "api.entries_reversals_record",
    "entries.delete", "entries.edit", "entries.export", "entries.index", "entries.new", "entries.post",
    "balance_health.index",
    "entries.record", "entries.reverse", "ledger.export_trial_balance", "ledger.trial_balance",
    "ledger.balance_sheet", "ledger.income_statement", "ledger.export_balance_sheet", "ledger.export_income_statement",
    "ledger.export_tie_out", "ledger.periods", "ledger.tie_out",
    "wallets.recharge", "wallets.refund", "wallets.suspend",
    "api.deposits_index", "api.deposits_record", "api.gas_prices_index", "api.gas_prices_record",
    "api.readings_index", "api.readings_record", "deposits.delete", "deposits.edit", "deposits.export",
    "deposits.index", "deposits.new", "deposits.record", "gas.adjustment",
    "gas.export_statement", "gas.month", "gas.statement",
    "gas_calculations.export", "gas_calculations.index", "gas_calculations.record", "gas_entry.index",
    "gas_months.export", "gas_months.index", "gas_months.record", "gas_prices.bulk", "gas_prices.delete",
    "gas_prices.edit", "gas_prices.export", "gas_prices.index", "gas_prices.new", "gas_prices.record",
    "readings.delete", "readings.edit", "readings.export", "readings.index", "readings.new", "readings.record",
}  # fmt: skip
"""Endpoints that show no pair."""


def reached(client: FlaskClient, app: Flask) -> tuple[dict[str, pairs.Found], Counter[str]]:
    """Endpoint → what was found on its pages and files, reached by GET from the pages without arguments."""
    adapter = app.url_map.bind("localhost")
    found: dict[str, pairs.Found] = defaultdict(pairs.Found)
    seen, looked = set[str](), Counter[str]()
    waiting = [
        str(rule) for rule in app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and not rule.arguments and rule.endpoint != "static"
    ]  # fmt: skip
    waiting += ["/health/drift?state=all", "/health/runs?all=1"]
    waiting.insert(0, "/health/drift?cause=forged")
    waiting.insert(0, f"/audit/{an_amount_changed()}")
    while waiting:
        address = waiting.pop(0)
        try:
            endpoint, _arguments = adapter.match(urlsplit(address).path, method="GET")
        except (HTTPException, RequestRedirect):
            continue
        most = LEADING.get(endpoint, MOST if endpoint in PAIRS else 2)
        if address in seen or looked[endpoint] >= most or "xlsx" in address:
            continue
        seen.add(address)
        looked[endpoint] += 1
        answer = client.get(address)
        assert answer.status_code < 500, (address, answer.text)
        waiting += [urlsplit(answer.location).path] if answer.location else []
        if answer.status_code == 200:
            reported, links = read(answer, f"{endpoint} {address}")
            waiting += [
                link for link in links if link.startswith("/") and not link.startswith("//")
            ]
            found[endpoint].add(reported)
    return found, looked


def an_amount_changed() -> int:
    """An event of a payment with an edited amount; the first ones that links lead to may all be of texts and days."""
    changed = (
        AuditEvent.table_name == "payments",
        AuditEvent.action == "UPDATE",
        AuditEvent.after.op("?")(literal("amount", Text)),
    )
    number = db.session.scalar(select(func.max(AuditEvent.id)).where(*changed))
    db.session.rollback()
    assert number, "no payment was edited"
    return number


def read(answer: Any, where: str) -> tuple[pairs.Found, list[str]]:
    """The pairs in a response, and its links."""
    if answer.mimetype == "text/html":
        return pairs.of_page(answer.text, where), pairs.Page(answer.text).links
    if answer.mimetype == "text/csv":
        return pairs.of_csv(answer.data, where), []
    if answer.mimetype == "application/json":
        return pairs.of_json(answer.json, where), []
    return pairs.Found(), []


@pytest.mark.leaves_drift
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(examples(1)))
def test_every_pair_on_every_page_in_every_file_and_in_all_json_ties_out(
    office: Callable[[int], Office], app: Flask, sign_in: Any, run_command: Command, seed: int
) -> None:
    office(seed)
    found, looked = reached(sign_in("admin"), app)
    wrong = [line for each in found.values() for line in each.wrong]
    assert not wrong, "\n".join(wrong[:200])
    assert {endpoint for endpoint, each in found.items() if each.pairs} - PERHAPS == PAIRS
    reported = {name: said(run_command, name) for name in JSON_PAIRS}
    wrong = [line for each in reported.values() for line in each.wrong]
    assert not wrong, "\n".join(wrong[:200])
    silent = {name for name, each in reported.items() if not each.pairs and "backfill" not in name}
    assert not silent, "nothing to read: the book is too small for these"
    of_pages, in_json = (sum(e.pairs for e in each.values()) for each in (found, reported))
    sys.stdout.write(
        f"\n{sum(looked.values())} pages and files: {of_pages} pairs; in JSON {in_json}\n"
    )


JSON_PAIRS = {
    "figures explain": ("meters.balance", "1"),
    "figures heal": ("--dry-run",),
    "figures rebuild": ("--dry-run",),
    "figures verify": (),
    "backfill invoice-amounts": ("--dry-run",),
    "backfill payment-meter-ids": ("--dry-run",),
    "migrate customer-balances-to-meters": ("--dry-run",),
    "migrate meter-financials": ("--dry-run",),
    "orders update-grand-totals": ("--dry-run",),
    "orders verify-grand-totals": (),
    "recalculate customer-balances": ("--dry-run",),
    "runs show": ("{dry}", "--items", "9999"),
    "targets generate": ("--dry-run", "--update", "--otherwise", "77.10", "--growth", "3"),
}
"""Commands with pairs in their JSON, with their arguments; a command with --json in no set fails the test."""

JSON_WITHOUT = {
    "audit accept-fact", "audit anchor", "audit restore-fact", "audit seal", "audit verify-chain",
    "audit verify-facts", "balance counts", "balance initialize-realtime", "balance sync-realtime",
    "balance verify-sync", "db routine",
    "db set-meaning", "demo load", "figures check", "figures list", "figures prove", "import", "info",
    "ledger post", "ledger reconcile", "ledger reverse", "ledger trial-balance",
    "ledger balance-sheet", "ledger income-statement",
    "ledger close-period", "ledger reopen-period",
    "ledger heal", "ledger health",
    "runs apply", "runs cancel", "runs list", "runs retry", "schedule list",
    "schedule run", "tokens create", "tokens list", "users list", "validate meter-financial-data",
}  # fmt: skip


def said(run_command: Command, name: str) -> pairs.Found:
    """The pairs in the JSON of a command."""
    dry = db.session.scalar(select(func.max(Run.id)).where(Run.dry_run, Run.changed > 0))
    db.session.rollback()
    words = [word.format(dry=dry) for word in JSON_PAIRS[name]]
    answer = run_command(*name.split(), *words, "--json")
    assert answer.exit_code < 2, answer.output
    return pairs.of_json(json.loads(answer.stdout), name)


def test_every_page_file_and_command_says_whether_it_has_pairs(app: Flask) -> None:
    pages = {rule.endpoint for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())}
    assert pages - {"static"} == PAIRS | PERHAPS | NO_PAIRS
    assert not PAIRS & NO_PAIRS
    speak_json = {name for name, command in tree().items() if "as_json" in options(command)}
    assert speak_json == JSON_PAIRS.keys() | JSON_WITHOUT
    assert not JSON_PAIRS.keys() & JSON_WITHOUT


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.verb)
def test_the_card_of_every_verb_ties_out(
    session: Any, app: Flask, sign_in: Any, monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    monkeypatch.setitem(app.config, "APPROVAL_ABOVE_COUNT", 0)
    browser, book = sign_in("finance"), case.make(session)
    card = press(browser, case, book)
    assert card.status_code == 200, card.location
    reported = pairs.of_page(card.text, case.verb)
    assert reported.wrong == []
