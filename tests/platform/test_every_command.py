"""Every command, with every pair of its options: applied or refused; and a dry run writes nothing."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
from flask import Flask
from flask_migrate.cli import db as flask_migrate

from backoffice.app.extensions import db
from backoffice.base.periods import Month
from backoffice.commands.cli import main
from backoffice.drift.verification.scope import scope_of
from backoffice.figures import registry
from backoffice.ledger.periods.actions import close
from backoffice.runs import actions
from backoffice.wallets.actions import recharge
from tests.billing.books_of_meters import a_customer, a_payment, an_invoice
from tests.billing.recalculations import digest
from tests.drift.books import run_of
from tests.drift.every_figure import fill
from tests.factories.ledger import AccountFactory, accounts_of_roles, draft, of
from tests.factories.wallets import WalletFactory

pytestmark = pytest.mark.slow

Command = Callable[..., Any]
Outside = psycopg.Connection[Any]

A_DRY_RUN_WRITES = ("runs", "run_items")
"""The tables in which a dry run stores its findings. Its chunks are deleted when it has ended."""


@dataclass(frozen=True)
class Spoken:
    """What a command does to the book, and what each of its options decides, beside --json and --dry-run.

    `writes`: nothing; records (its findings, or a run); or the book, where `no_dry_run` is the reason why there
    is no dry run. `decides`: option → (what it decides, a value). Two options that decide different things are applied
    together; two that decide the same are refused (`command_line.never_together`).
    """

    writes: str = "nothing"
    no_dry_run: str = ""
    arguments: tuple[str, ...] = ()
    decides: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)


NAMES = ("which figures", ("orders.grand_total",))
OWNER = ("which owner", ("--owner", "1"))
REASON = ("why", ("--reason", "counted again"))
EVERYBODY = ("gas of which customers", ("--all",))
QUEUE = ("who works", ("--queue",))

COMMANDS: dict[str, Spoken] = {
    "audit accept-fact": Spoken("book", arguments=("{forged}",), decides={"reason": REASON}),
    "audit restore-fact": Spoken("book", arguments=("{forged}",), decides={"reason": REASON}),
    "audit anchor": Spoken("records", decides={"restored": ("why", ("--restored", "restored"))}),
    "audit seal": Spoken("records"),
    "audit verify-chain": Spoken(
        "records",
        decides={
            "folders": ("which anchors", ("--anchors", "{folder}")),
            "until": ("until when", ("--until", "2199-01-01T00:00")),
        },
    ),
    "audit verify-facts": Spoken("records", decides={"tables": ("where", ("--table", "orders"))}),
    "backfill invoice-amounts": Spoken("book"),
    "backfill payment-meter-ids": Spoken("book"),
    "balance counts": Spoken(),
    "balance initialize-realtime": Spoken(
        "book", decides={"everybody": EVERYBODY, "customer_id": ("gas of which customers", ("--customer-id", "1"))}
    ),
    "balance lock": Spoken(
        "book", "one day, named",
        decides={
            "until": ("which days", ("--until", "1950-01-01")), "is_open": ("which days", ("--open",)),
            "reason": REASON,
        },
    ),
    "balance sync-realtime": Spoken(
        "book",
        decides={
            "everybody": EVERYBODY, "customer_id": ("gas of which customers", ("--customer-id", "1")), "reason": REASON,
            "from_month": ("since when", ("--from-month", "2026-01")), "force": ("how much", ("--force",)),
        },
    ),
    "balance verify-sync": Spoken(
        "book",
        decides={
            "fix": ("what becomes of it", ("--fix",)), "rebuild": ("what becomes of it", ("--rebuild",)),
            "user_id": ("which wallets", ("--user-id", "1")), "wallet_id": ("which wallets", ("--wallet-id", "1")),
            "reason": REASON,
        },
    ),
    "db psql": Spoken(
        "book", "what is typed is the user's own",
        decides={"role": ("as whom", ("--as", "app")), "arguments": ("what", ("-c", "SELECT 1"))},
    ),
    "db routine": Spoken("records"),
    "db set-meaning": Spoken(
        "book",
        decides={
            "currency": ("the currency", ("--currency", "KES")),
            "timezone": ("the time zone", ("--timezone", "Africa/Nairobi")),
            "reason": REASON,
        },
    ),
    "demo load": Spoken("book", "it fills an empty book, and refuses any other"),
    "dev": Spoken("nothing", decides={"tied": ("how long", ("--tied",))}),
    "figures check": Spoken("records", decides={"names": ("which checks", ("orders.lines",))}),
    "figures explain": Spoken(arguments=("orders.grand_total", "1")),
    "figures heal": Spoken(
        "book",
        decides={
            "names": NAMES, "owners": OWNER, "reason": REASON,
            "noted": ("what was noted", ("--noted",)), "resume": ("which run", ("--resume", "{live}")),
        },
    ),
    "figures list": Spoken(),
    "figures prove": Spoken(),
    "figures rebuild": Spoken(
        "book", decides={"names": NAMES, "owners": OWNER, "reason": REASON}
    ),
    "figures reconcile": Spoken(
        arguments=("orders.grand_total",),
        decides={
            "owners": OWNER, "since": ("from when", ("--since", "2026-01-01")),
            "until": ("until when", ("--until", "2026-12-31")),
            "output": ("where to", ("--output", "{folder}/out.csv")),
            "flavour": ("how cells are parted", ("--flavour", "csv-id")), "bom": ("how it begins", ("--bom",)),
        },
    ),
    "figures verify": Spoken("records", decides={"names": NAMES, "owners": OWNER}),
    "import": Spoken(
        "book",
        arguments=("wallet-charges", "{folder}/charges.csv"),
        decides={
            "skip_bad_rows": ("what of bad lines", ("--skip-bad-rows",)),
            "failed": ("where bad lines go", ("--failed", "{folder}/failed.csv")),
            "is_by_line": ("one transaction, or a run", ("--line-by-line",)),
            "results": ("where its lines' outcomes go", ("--results", "{folder}/results.csv")),
            "mapped": ("what columns are called", ("--map", "what=description")),
            "ignored": ("which columns are passed over", ("--ignore", "note")),
            "date_format": ("how days are written", ("--date-format", "dmy")),
            "number_format": ("how numbers are written", ("--number-format", "en")),
            "encoding": ("how letters are written", ("--encoding", "windows-1252")),
            "delimiter": ("how cells are parted", ("--delimiter", "comma")),
        },
    ),
    "info": Spoken(),
    "ledger balance-sheet": Spoken(decides={"day": ("until when", ("--date", "2026-04-01"))}),
    "ledger close-period": Spoken("book", arguments=("1950-02",), decides={"reason": REASON}),
    "ledger export": Spoken(
        arguments=("journal",), decides={"output": ("where to", ("--output", "{folder}/journal.csv"))}
    ),
    "ledger heal": Spoken("book"),
    "ledger income-statement": Spoken(
        decides={
            "since": ("since when", ("--date-from", "2026-01-01")),
            "until": ("until when", ("--date-to", "2026-04-01")),
        }
    ),
    "ledger health": Spoken("records", decides={"stored": ("how", ("--stored",))}),
    "ledger post": Spoken("book", "one row, named", ("D-1",)),
    "ledger reopen-period": Spoken(
        "book", "one row, named", ("1950-01",), {"reason": REASON}
    ),
    "ledger reverse": Spoken(
        "book", "one row, named", ("JE-2026-00001",),
        {
            "day": ("when", ("--date", "2026-04-01")), "memo": ("why", ("--memo", "Twice")),
            "key": ("which request", ("--key", "k")),
        },
    ),
    "ledger reconcile": Spoken(
        "book",
        decides={
            "sources": ("which documents", ("--source", "invoices")),
            "date_from": ("since when", ("--date-from", "2026-01-01")),
            "date_to": ("until when", ("--date-to", "2026-12-31")),
        },
    ),
    "ledger trial-balance": Spoken(decides={"day": ("until when", ("--date", "2026-04-01"))}),
    "migrate customer-balances-to-meters": Spoken("book"),
    "migrate meter-financials": Spoken("book"),
    "orders update-grand-totals": Spoken(
        "book", decides={"force": ("which orders", ("--force",)), "reason": REASON}
    ),
    "orders verify-grand-totals": Spoken("records"),
    "recalculate customer-balances": Spoken("book"),
    "runs apply": Spoken(
        "book", "it follows a dry run", ("{dry}",), {"reason": REASON, "is_queued": QUEUE}
    ),
    "runs cancel": Spoken("records", arguments=("{live}",)),
    "runs list": Spoken(
        decides={
            "status": ("how they stand", ("--status", "queued")), "kind": ("what", ("--kind", "figures.heal")),
            "live": ("whether they have ended", ("--live",)), "is_whole": ("housekeeping", ("--all",)),
            "limit": ("how many", ("--limit", "3")),
        },
    ),
    "runs retry": Spoken(
        "book", "it does what an earlier run was asked to do", ("{cancelled}",), {"is_queued": QUEUE}
    ),
    "runs show": Spoken(arguments=("{dry}",), decides={"count": ("how many", ("--items", "1"))}),
    "schedule list": Spoken(),
    "schedule run": Spoken(
        "book", "it does now what is done without anybody at its time", ("audit-seal",)
    ),
    "targets generate": Spoken(
        "book",
        decides={
            "update": ("what of targets that are set", ("--update",)),
            "month_text": ("which month", ("--month", "2027-03")),
            "year": ("which year", ("--year", "2027")),
            "growth_text": ("how much more", ("--growth", "5")),
            "otherwise_text": ("what where there is nothing", ("--otherwise", "100")),
        },
    ),
    "tokens create": Spoken(
        "book", "it shows what opens something, once", ("--name", "t{count}", "--scope", "metrics"),
        {
            "days": ("how long", ("--days", "3")), "never_expires": ("how long", ("--never-expires",)),
            "name": ("", ()), "scopes": ("", ()),
        },
    ),
    "tokens list": Spoken(),
    "tokens revoke": Spoken("book", "one row, named", ("a-token",)),
    "users create": Spoken(
        "book", "one row, named", ("u{count}@example.com", "--name", "U"),
        {
            "name": ("", ()), "role": ("what they may do", ("--role", "finance")),
            "password": ("the password", ("--password", "correct horse battery")),
            "password_stdin": ("the password", ("--password-stdin",)),
            "no_password": ("the password", ("--no-password",)),
        },
    ),
    "users disable": Spoken("book", "one row, named", ("user@example.com",)),
    "users enable": Spoken("book", "one row, named", ("user@example.com",)),
    "users list": Spoken(),
    "users set-password": Spoken(
        "book", "one row, named", ("user@example.com",),
        {
            "password": ("the password", ("--password", "correct horse battery")),
            "password_stdin": ("the password", ("--password-stdin",)),
        },
    ),
    "users set-role": Spoken("book", "one row, named", ("user@example.com", "finance")),
    "validate meter-financial-data": Spoken("records", decides={"full": ("how much", ("--full",))}),
}  # fmt: skip
"""Every command of the product."""

NOT_HERE = {"dev", "demo load", "db psql", "db set-meaning"}
"""Commands that start other programs, need an empty book, or change this process's currency, tested in
tests/platform/test_supervisor.py, test_demo.py, test_psql.py and test_book.py."""

NOBODY = "There is nobody to ask for a password here"
ASKS = {
    "balance initialize-realtime": "Say which customers", "balance sync-realtime": "Say which customers",
    "balance lock": "Say up to which day", "import": "--results goes with --line-by-line",
    "db set-meaning": "Say what the book shall mean", "users create": NOBODY, "users set-password": NOBODY,
}  # fmt: skip
"""The message of a command where a required choice is missing."""

SAME = {
    "figures heal": {
        ("noted", "resume"), ("names", "noted"), ("names", "resume"), ("owners", "noted"), ("owners", "resume"),
        ("reason", "noted"), ("reason", "resume"), ("dry_run", "resume"),
    },
    "import": {("is_by_line", "dry_run"), ("is_by_line", "skip_bad_rows"), ("is_by_line", "failed")},
}  # fmt: skip
"""Pairs that decide one thing. For `figures heal`: what is healed, and under which reason. For `import`: what happens
to the other lines where one is bad; a run enters each by itself."""


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command of the tree, by its full name."""
    context = click.Context(command)
    if not isinstance(command, click.Group):
        yield " ".join(path), command
        return
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from walk(found, (*path, name))


def tree() -> dict[str, click.Command]:
    """The product's commands; those of `db` that are Flask-Migrate's own, with its options, are left out."""
    theirs = {id(command) for command in flask_migrate.commands.values()}
    return {name: command for name, command in walk(main) if id(command) not in theirs}


def options(command: click.Command) -> list[str]:
    """The optional parameters, by the names of the function's arguments."""
    return [
        str(p.name)
        for p in command.params
        if isinstance(p, click.Option) or (p.nargs == -1 and not p.required)
    ]


def refused(command: click.Command) -> set[frozenset[str]]:
    return {frozenset(pair) for pair in getattr(command.callback, "refused", ())}


def given(name: str, option: str) -> tuple[str, ...]:
    common = {"as_json": ("--json",), "dry_run": ("--dry-run",)}
    return common[option] if option in common else COMMANDS[name].decides[option][1]


def pairs(name: str, command: click.Command) -> list[tuple[str, ...]]:
    """Each option alone, and each pair of options that are not always given."""
    free = [o for o in options(command) if o in ("as_json", "dry_run") or given(name, o)]
    return [*((o,) for o in free), *combinations(free, 2)]


def test_every_command_and_every_option_is_spoken_for() -> None:
    commands = tree()
    assert commands.keys() == COMMANDS.keys()
    for name, command in commands.items():
        reported = set(options(command)) - {"as_json", "dry_run"}
        assert reported == COMMANDS[name].decides.keys(), name


def test_what_writes_the_book_has_a_dry_run_or_says_why_not() -> None:
    for name, command in tree().items():
        spoken, has_one = COMMANDS[name], "dry_run" in options(command)
        assert has_one == (spoken.writes == "book" and not spoken.no_dry_run), name


def test_two_options_that_decide_the_same_are_refused_and_no_others() -> None:
    for name, command in tree().items():
        decides = COMMANDS[name].decides
        same = {
            frozenset(pair)
            for pair in combinations(decides, 2)
            if decides[pair[0]][0] == decides[pair[1]][0] != ""
        }
        if name in SAME:
            same = {frozenset(pair) for pair in SAME[name]}
        assert refused(command) == same, name


RUNS: dict[str, str] = {}
"""Name → number of a run or a record in the book that is kept."""


@pytest.fixture
def book(
    session: Any, surgery: Outside, app_connection: Outside, tmp_path: Path, run_command: Command,
    kept_book: Any,
) -> dict[str, str]:  # fmt: skip
    """Drift, notes of an outside program, documents without a meter, a file to import; and runs to act on."""
    kept_book(
        "a book for every command",
        lambda: RUNS.update(written(session, surgery, app_connection, run_command)),
    )
    session.rollback()
    (tmp_path / "charges.csv").write_text(
        "wallet_id,amount,service_type,description,idempotency_key\n"
        f"{RUNS['wallet']},1,water,January,c-1\n"
    )
    return {"folder": str(tmp_path), **RUNS}


def written(
    session: Any, surgery: Outside, app_connection: Outside, run_command: Command
) -> dict[str, str]:
    """Write the book; returns the numbers of its runs and of a finding."""
    fill(session)
    lost = a_customer("LOST", "M-LOST")
    a_payment("P-LOST", lost)
    an_invoice("I-LOST", lost)
    wallet = WalletFactory(customer=lost).id
    recharge(session, wallet, Decimal(100))
    accounts_of_roles()
    draft(of(AccountFactory(), 5), of(AccountFactory(), -5), number="D-1")
    session.commit()
    close(session, Month(1950, 1), "")
    session.commit()
    surgery.execute(b"UPDATE wallets SET balance = balance + 3")
    surgery.execute(b"UPDATE orders SET grand_total = grand_total + 5 WHERE id = 1")
    surgery.execute(b"UPDATE order_lines SET quantity = quantity + 1 WHERE id = 2")
    surgery.execute(b"UPDATE meters SET balance = balance + 9")
    surgery.execute(b"UPDATE invoices SET amount = amount + 3 WHERE id = 1")
    for arguments in (
        ("users", "create", "user@example.com", "--name", "A user", "--no-password"),
        ("tokens", "create", "--name", "a-token", "--scope", "metrics"),
        ("audit", "seal"),
    ):
        assert run_command(*arguments).exit_code == 0
    grand_total = [registry.get("orders.grand_total")]
    dry = run_of("figures.heal", scope_of(grand_total, [1]), dry_run=True)
    cancelled = actions.request(db.session(), "figures.verify", scope_of(grand_total, [2]))
    db.session.commit()
    from backoffice.runs.working import perform

    tried = iter([False, True, True])
    perform(db.engine, cancelled.id, stopping=lambda: next(tried))
    actions.cancel(db.session(), cancelled.id)
    db.session.commit()
    perform(db.engine, cancelled.id)
    reported = json.loads(
        run_command("audit", "verify-facts", "--table", "order_lines", "--json").stdout
    )
    live = actions.request(db.session(), "figures.verify", scope_of(grand_total, [3]))
    db.session.commit()
    app_connection.execute(b"UPDATE order_lines SET quantity = quantity + 2 WHERE id = 4")
    app_connection.execute(b"UPDATE payments SET amount = amount + 2 WHERE id = 2")
    return {
        "dry": str(dry.id), "live": str(live.id), "cancelled": str(cancelled.id),
        "forged": str(reported["findings"][0]["finding"]), "wallet": str(wallet),
    }  # fmt: skip


def typing_a_password(app: Flask, line: list[str]) -> Any:
    return app.test_cli_runner().invoke(main, line, input="correct horse battery\n")


def say(sentence: str) -> None:
    """Print a sentence in the test's output."""
    sys.stdout.write(f"\n{sentence}\n")


def words(name: str, chosen: tuple[str, ...], book: dict[str, str], count: int) -> list[str]:
    """The command line for the chosen options."""
    reported = [
        *COMMANDS[name].arguments,
        *(word for option in chosen for word in given(name, option)),
    ]
    return [*name.split(), *(word.format(**book, count=count) for word in reported)]


@pytest.mark.timeout(1200)
@pytest.mark.leaves_drift
def test_a_dry_run_changes_no_table_but_runs_and_their_items(
    book: dict[str, str], run_command: Command, owner_connection: Outside
) -> None:
    before = digest(owner_connection, but=A_DRY_RUN_WRITES)
    commands, done = tree(), 0
    writing = {name: command for name, command in commands.items() if "dry_run" in options(command)}
    for name, command in writing.items():
        for chosen in pairs(name, command):
            if "dry_run" not in chosen or frozenset(chosen) in refused(command):
                continue
            line = words(name, chosen, book, done)
            answer = run_command(*line)
            asks = answer.exit_code == 2 and name in ASKS and ASKS[name] in answer.stderr
            assert asks or answer.exit_code in (0, 1), (line, answer.output)
            assert not answer.exception or isinstance(answer.exception, SystemExit), line
            if "as_json" in chosen and not asks:
                assert json.loads(answer.stdout), line
            done += 1
        after = digest(owner_connection, but=A_DRY_RUN_WRITES)
        changed = {table for table in before if before[table] != after[table]}
        assert not changed, (name, changed)
    found = run_command("figures", "heal", "--noted", "--dry-run", "--json")
    assert json.loads(found.stdout)["drifted"], "what the outside program left is shown, and left"
    say(f"{len(writing)} commands with a dry run, {done} ways of asking for it, 0 tables changed")
    assert len(writing) >= 10


@pytest.mark.timeout(1200)
@pytest.mark.leaves_drift
def test_every_pair_of_options_is_heeded_or_refused(
    book: dict[str, str], app: Flask, owner_connection: Outside
) -> None:
    commands, done, turned_away = tree(), 0, 0
    for name, command in commands.items():
        if name in NOT_HERE:
            continue
        for chosen in pairs(name, command):
            line = words(name, chosen, book, done)
            done += 1
            if frozenset(chosen) not in refused(command):
                continue
            before = digest(owner_connection, but=())
            answer = typing_a_password(app, line)
            assert answer.exit_code == 2, (line, answer.output)
            assert "do not go together" in answer.stderr, line
            assert digest(owner_connection, but=()) == before, line
            turned_away += 1
    say(f"{len(commands)} commands, {done} options and pairs of options, {turned_away} refused")


WANT_A_REASON = {
    "runs apply",
    "audit accept-fact",
    "audit restore-fact",
    "balance lock",
    "ledger reopen-period",
}

HEEDED = [
    name for name in COMMANDS
    if name not in NOT_HERE and len(COMMANDS[name].decides) + 2 > 1
]  # fmt: skip


@pytest.mark.timeout(1200)
@pytest.mark.leaves_drift
@pytest.mark.parametrize("name", HEEDED)
def test_what_is_not_refused_is_done(name: str, book: dict[str, str], app: Flask) -> None:
    """Each option alone and each pair, without a dry run: exit status 0 or 1, and JSON is one object."""
    command, count = tree()[name], 0
    if name == "balance lock":  # no day can be locked while changes are noted
        typing_a_password(app, ["figures", "heal", "--noted"])
    ends = {"runs apply", "runs cancel", "runs retry", "audit accept-fact", "audit restore-fact"}
    ends |= {"ledger post", "ledger reverse", "ledger reopen-period"}
    for chosen in pairs(name, command):
        if "dry_run" in chosen or frozenset(chosen) in refused(command):
            continue
        line = words(name, chosen, book, count)
        answer = typing_a_password(app, line)
        count += 1
        if name in ends and count > 1:  # the first call has done it; later ones are refused
            assert answer.exit_code in (1, 2), (line, answer.output)
            continue
        if name in WANT_A_REASON and "reason" not in chosen:
            assert answer.exit_code == 2, "without a reason nothing is done"
            count = 0
            continue
        if "resume" in chosen and count > 1 and answer.exit_code == 2:
            assert "has finished" in answer.stderr, answer.stderr
            continue
        asks = answer.exit_code == 2 and name in ASKS and ASKS[name] in answer.stderr
        assert asks or answer.exit_code in (0, 1), (line, answer.output)
        if "as_json" in chosen and not asks:
            assert isinstance(json.loads(answer.stdout), dict), line
