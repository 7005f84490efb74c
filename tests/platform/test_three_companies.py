"""Every command and every kind of run on an empty company, on one with a record of each kind, and on the demo company.

No traceback, an exit status as documented, a run that ends; and dry runs write nothing but runs and their items.
"""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.billing.migration.steps import STEP_OF, WHOLE
from backoffice.commands.cli import main
from backoffice.commands.housekeeping import CHORES
from backoffice.people.models import User
from backoffice.runs import actions, kinds
from backoffice.runs.models import COMPLETED, DONE, FAILED, FOUND, Run, RunItem
from tests.billing.books_of_meters import ended
from tests.billing.recalculations import digest
from tests.drift.books import text_of
from tests.factories.billing import (
    InvoiceFactory,
    MeterAdjustmentFactory,
    MeterAssignmentFactory,
    PaymentFactory,
)
from tests.factories.gas import DepositFactory, GasPriceFactory, ReadingFactory
from tests.factories.ledger import AccountFactory, accounts_of_roles, draft, of
from tests.factories.orders import OrderLineFactory
from tests.factories.wallets import WalletFactory
from tests.platform.test_every_command import (
    A_DRY_RUN_WRITES,
    ASKS,
    COMMANDS,
    NOT_HERE,
    options,
    tree,
)
from tests.runs.test_failed_runs import HARMLESS, SUCCESS

pytestmark = pytest.mark.slow

Command = Callable[..., Any]
Outside = psycopg.Connection[Any]

COMPANIES = ("empty", "one of each", "demo")


@pytest.fixture(params=COMPANIES)
def company(request: pytest.FixtureRequest, session: Any, kept_book: Any) -> str:
    """An empty company, one with a record of each kind, or the demo company."""
    name: str = request.param
    if name == "demo":
        request.getfixturevalue("demo_company")
    else:
        kept_book(f"a company: {name}", one_of_each if name == "one of each" else db.session.commit)
    session.rollback()
    for run_id in session.scalars(select(Run.id).where(Run.finished_at.is_(None))).all():
        ended(run_id)
    return name


def one_of_each() -> None:
    """One record of each kind that a user enters."""
    OrderLineFactory()
    assigned = MeterAssignmentFactory()
    customer, meter = assigned.customer, assigned.meter
    invoice = InvoiceFactory(customer=customer, meter=meter)
    PaymentFactory(customer=customer, meter=meter, invoice=invoice)
    PaymentFactory(customer=customer)
    MeterAdjustmentFactory(customer=customer, meter=meter)
    GasPriceFactory(customer=customer)
    DepositFactory(customer=customer)
    ReadingFactory(customer=customer, read_on=date(2026, 1, 7))
    WalletFactory(customer=customer)
    accounts_of_roles()
    draft(of(AccountFactory(), 5), of(AccountFactory(), -5), number="D-1")
    db.session.commit()


NAMES_ITS_ROW = {
    "audit accept-fact", "audit restore-fact", "figures explain", "ledger post", "ledger reopen-period",
    "ledger reverse", "runs apply", "runs cancel", "runs retry", "runs show", "tokens revoke", "users disable",
    "users enable", "users set-password", "users set-role",
}  # fmt: skip
"""Commands that refuse a row that the company does not have: exit status 2."""

NEEDS = {
    "audit anchor": ("sealed",),
    "ledger close-period": ("earlier periods", "retained"),
    "import": ("wallet",),
    "targets generate": ("month",),
    "db set-meaning": ("empty",),
    "figures reconcile": ("order",),
}
"""Commands that a company may have too little for, with a word of the refusal."""


def words_of(name: str, folder: Any) -> list[str]:
    """The command with the arguments of the table, and an answer to what it asks for; its rows do not exist."""
    spoken = COMMANDS[name]
    extra: Mapping[str, tuple[str, ...]] = {
        "balance initialize-realtime": ("--all",),
        "balance sync-realtime": ("--all",),
        "balance lock": ("--until", "1950-01-01", "--reason", "closed"),
        "users create": ("--no-password",),
        "users set-password": ("--password", "correct horse battery"),
        "ledger reopen-period": ("--reason", "opened"),
        "audit accept-fact": ("--reason", "looked at"),
        "audit restore-fact": ("--reason", "looked at"),
        "runs apply": ("--reason", "looked at"),
    }
    given = [*spoken.arguments, *extra.get(name, ())]
    numbers = dict.fromkeys(("dry", "live", "cancelled", "forged", "wallet"), "999999")
    return [*name.split(), *(word.format(folder=folder, count="1", **numbers) for word in given)]


def said(app: Flask, line: list[str]) -> Any:
    return app.test_cli_runner().invoke(main, line, input="correct horse battery\n")


def assert_ended_well(name: str, line: list[str], answer: Any) -> None:
    """The exit status is 0 or 1, or 2 with a sentence where the company has too little for the command."""
    spoken = (line, answer.exit_code, answer.output)
    assert answer.exception is None or isinstance(answer.exception, SystemExit), spoken
    assert "Traceback" not in answer.output, spoken
    if answer.exit_code == 2:
        is_known = name in NAMES_ITS_ROW or name in NEEDS or name in ASKS
        assert is_known, spoken
        assert any(word in answer.stderr for word in NEEDS.get(name, ("",))), spoken
        assert answer.stderr.strip(), spoken
    else:
        assert answer.exit_code in (0, 1), spoken


def runs_that_failed() -> list[tuple[str, str, str]]:
    db.session.rollback()
    db.session.expire_all()
    found = select(Run.kind, Run.status, Run.error).where(Run.status.not_in(COMPLETED))
    return [tuple(row) for row in db.session.execute(found)]  # type: ignore[misc]


@pytest.mark.timeout(1200)
@pytest.mark.leaves_drift
def test_every_command_ends_as_documented(
    company: str, app: Flask, owner_connection: Outside, tmp_path: Any
) -> None:
    (tmp_path / "charges.csv").write_text(
        "wallet_id,amount,service_type,description,idempotency_key\n999999,1,water,January,c-1\n"
    )
    commands = {name: command for name, command in tree().items() if name not in NOT_HERE}
    before = digest(owner_connection, but=A_DRY_RUN_WRITES)
    for name, command in commands.items():
        if "dry_run" not in options(command):
            continue
        line = [*words_of(name, tmp_path), "--dry-run"]
        assert_ended_well(name, line, said(app, line))
        assert digest(owner_connection, but=A_DRY_RUN_WRITES) == before, line
    assert runs_that_failed() == []
    for name, also in [
        *((name, ()) for name in commands),
        *((name, also) for name, *also in BY_COMMAND.values()),
    ]:
        line = [*words_of(name, tmp_path), *also]
        assert_ended_well(name, line, said(app, line))
    assert runs_that_failed() == []


SCOPES: dict[str, Mapping[str, Any]] = {
    **{step.kind: step.scope for step in STEP_OF.values()},
    **dict.fromkeys(  # noqa: RUF024 (nothing writes it)
        (
            "figures.verify", "figures.heal", "figures.rebuild", "figures.drain", "audit.facts", "audit.seal",
            "audit.anchor", "audit.verify", "ledger.post", "ledger.maintenance", "summary.daily",
            "database.routine", "reconciliation.nightly",
        ),
        {},
    ),
    WHOLE: {},
    "chore": {"chore": next(iter(CHORES))},
    "gas.change-prices": {"prices": []},
}  # fmt: skip
"""Kind of run → the scope in which it is requested here."""

APPLY = {"figures.apply": "figures.heal", "billing.apply-migration": WHOLE}
"""Kind that applies a dry run → the kind of that dry run."""


BY_COMMAND = {"imports.lines": ("import", "--line-by-line")}
"""Kind of run → the command with an option that begins one, where it needs a file."""


def test_every_kind_of_run_has_a_case(app: Flask) -> None:
    assert {*SCOPES, *APPLY, *BY_COMMAND, *app.declared.verbs} == app.declared.kinds.keys()


def asked(kind: str, scope: Mapping[str, Any], *, dry_run: bool = False) -> Run:
    run = actions.request(db.session(), kind, scope, dry_run=dry_run, is_paced=False)
    db.session.commit()
    return ended(run.id)


def assert_done(run: Run) -> None:
    assert run.status == DONE, (run.kind, run.dry_run, run.status, run.error)
    assert run.checked == run.changed + run.unchanged + run.skipped + run.failed, run.kind
    found = select(RunItem).where(RunItem.run_id == run.id, RunItem.outcome == FOUND).limit(1)
    assert not run.changed or not run.dry_run or db.session.scalar(found) is not None


@pytest.mark.timeout(1200)
@pytest.mark.leaves_drift
def test_every_kind_of_run_ends(company: str, app: Flask, owner_connection: Outside) -> None:
    """First as a dry run, which writes nothing; then for good; then what is applied and approved."""
    before = digest(owner_connection, but=A_DRY_RUN_WRITES)
    previews = {}
    for kind, scope in SCOPES.items():
        if not kinds.kind_of(kind).apply_as and kind not in STEP_OF:
            continue
        previews[kind] = asked(kind, scope, dry_run=True)
        assert_done(previews[kind])
        assert digest(owner_connection, but=A_DRY_RUN_WRITES) == before, kind
    for kind, scope in SCOPES.items():
        if kind != WHOLE:
            assert_done(asked(kind, scope))
    for kind, previewed in APPLY.items():
        run = asked(kind, {"run": previews[previewed].id})
        assert_done(run)
    assert runs_that_failed() == []


@pytest.mark.leaves_drift
def test_every_verb_that_waits_for_a_second_person_ends(company: str, app: Flask) -> None:
    """Its request names what this company does not have: nothing is changed, and the run has ended."""
    for name in app.declared.verbs:
        payload: Mapping[str, Any] = {"asked": {"payload": {}, "digest": ""}}
        run = actions.request(db.session(), name, payload, is_paced=False)
        db.session.commit()
        run = ended(run.id)
        assert not run.is_live, name
        assert run.changed == 0, name


@pytest.mark.timeout(1200)
@pytest.mark.leaves_drift
@pytest.mark.parametrize("company", ["one of each"], indirect=True)
def test_a_command_whose_run_fails_ends_with_2_and_not_with_words_of_success(
    company: str, app: Flask, session: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every kind of run fails; which commands begin one is read from the runs."""

    def broken(*_: Any) -> Any:
        raise KeyError("bundle")

    for name, kind in app.declared.kinds.items():
        failing = kinds.RunKind(
            name, kind.title, kind.permission, broken, broken, apply_as=kind.apply_as
        )
        monkeypatch.setitem(app.declared.kinds, name, failing)
    began = set()
    for name, command in tree().items():
        if name in NOT_HERE:
            continue
        for also in ([], ["--dry-run"]) if "dry_run" in options(command) else ([],):
            line = [*words_of(name, tmp_path), *also]
            answer = said(app, line)
            failed = [kind for kind, status, _error in runs_that_failed() if status == FAILED]
            if not failed:
                continue
            began.add(name)
            words = answer.output
            for sentence in HARMLESS:
                words = words.replace(sentence, "")
            assert answer.exit_code == 2, (line, answer.exit_code, answer.output)
            assert not SUCCESS.search(words), (line, SUCCESS.search(words), answer.output)
            session.execute(Run.__table__.update().values(status=DONE))
            session.commit()
    assert began >= {
        "backfill invoice-amounts", "backfill payment-meter-ids", "figures heal", "figures rebuild",
        "figures verify", "migrate customer-balances-to-meters", "migrate meter-financials",
        "recalculate customer-balances", "validate meter-financial-data", "audit verify-facts", "db routine",
    }  # fmt: skip


@pytest.mark.parametrize("company", ["empty"], indirect=True)
def test_the_migration_of_an_empty_company_has_nothing_to_do_and_says_so(
    company: str, app: Flask, sign_in: Any, session: Any
) -> None:
    """It once failed with a KeyError, while its row said that nothing was to do."""
    answer = said(app, ["migrate", "meter-financials", "--dry-run"])
    assert answer.exit_code == 0, answer.output
    assert answer.stdout.count("Nothing to do.") == 6
    words = text_of(sign_in("admin").get("/billing/migration").text)
    assert words.count("Nothing to do.") == 6
    assert "Nothing would change." in words
    assert session.scalar(select(User.id).limit(1)) is not None
