"""The README is correct: its tour works as written, and every command of its table exists."""

import re
import shlex
from collections.abc import Callable, Iterator
from typing import Any

import click
import pytest

from backoffice import figures
from backoffice.app.commands import COMMANDS, command_named
from backoffice.app.config import READERS, ROOT
from backoffice.app.extensions import db
from backoffice.ledger.periods.queries import checklist, next_to_close

pytestmark = pytest.mark.slow

Command = Callable[..., Any]
README = (ROOT / "README.md").read_text()
PROGRAM = ".venv/bin/backoffice "


def section(title: str) -> str:
    """The text under a heading, up to the next heading."""
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def steps(tour: str) -> Iterator[tuple[str, int]]:
    """The commands of the tour, in order, each with the exit status that the README states."""
    for fence, span in re.findall(
        r"```\n(.*?)```|`(\.venv/bin/backoffice [^`]*)`", tour, re.DOTALL
    ):
        for line in (fence or span).splitlines():
            typed, _, comment = line.strip().partition("  #")
            said = re.search(r"status (\d)", comment)
            if typed.strip():
                yield typed.strip(), int(said[1]) if said else 0


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("demo_company")
def test_the_tour_goes_as_it_is_written(run_command: Command, sign_in: Callable[..., Any]) -> None:
    taken = []
    for typed, status in steps(section("A tour of five minutes")):
        taken.append(typed)
        assert typed.startswith(PROGRAM), typed
        done = run_command(*shlex.split(typed.removeprefix(PROGRAM)))
        assert done.exit_code == status, f"{typed}: {done.output}"
        if status == 1:
            assert "NW-10250" in done.output
            assert "1.00" in done.output
    assert len(taken) >= 8
    assert sum(" db psql " in typed for typed in taken) == 2
    assert not [typed for typed in taken if not typed.startswith(PROGRAM)], "nothing is installed"
    verified = run_command("figures", "verify")
    assert (verified.exit_code, verified.stdout.splitlines()[0]) == (0, "Every figure is right.")
    history = sign_in("finance").get("/orders/NW-10250/history").text
    assert "tour" in history


@pytest.mark.usefixtures("demo_company")
def test_where_the_tour_says_to_look_the_correction_stands(
    session: Any, run_command: Command, sign_in: Callable[..., Any]
) -> None:
    """Step 4: also where a worker was quicker than the command."""
    assert "*History* of order `NW-10248`" in section("A tour of five minutes")
    run_command("db", "psql", "-c", "UPDATE order_lines SET quantity = 99 WHERE id = 1")
    figures.heal_noted(db.engine)
    history = sign_in("finance").get("/orders/NW-10248/history").text
    assert "Corrected" in history
    assert "backoffice_owner" in history


@pytest.mark.usefixtures("demo_company")
def test_the_first_month_of_the_tour_has_something_left_to_do(
    session: Any, sign_in: Callable[..., Any]
) -> None:
    """Step 12: a draft, which the checklist links; without it the month is closed."""
    finance = sign_in("finance")
    page = finance.get("/ledger/periods").text
    [address] = re.findall(
        r'href="([^"]*status=draft[^"]*until=[^"]*)"', page.replace("&amp;", "&")
    )
    assert "Rent deposit, paid by the owner" in finance.get(address).text
    month = next_to_close(session)
    open_items = [one for one in checklist(session, month) if one.count]
    assert [(one.check.name, one.count) for one in open_items] == [("drafts", 1)]


@pytest.mark.usefixtures("demo_company")
def test_the_screens_of_the_tour_are_there(sign_in: Callable[..., Any]) -> None:
    finance = sign_in("finance")
    for address, words in {
        "/orders/NW-10250": ("Edit", "How was this calculated?", "History"),
        "/orders/NW-10250/edit": ("Save",),
        "/orders": ("Export",),
        "/pricing": ("Chang",),
        "/billing/payments": ("Payments",),
        "/targets": ("Targets",),
    }.items():
        page = finance.get(address, follow_redirects=True)
        assert page.status_code == 200, address
        for word in words:
            assert word in page.text, f"{word} is not on {address}"


def rows() -> Iterator[str]:
    """The commands of the table with their options, as written there."""
    for line in section("Commands").splitlines():
        if line.startswith("| `"):
            cell = re.split(r"(?<!\\)\|", line)[1]
            yield from re.findall(r"`([^`]*)`", cell.replace("\\|", "|"))


def written(row: str) -> Iterator[tuple[click.Command, str]]:
    """Each command that one entry of the table names, with the options written after it."""
    words = re.sub(r"\[[^]]*\]", "", row.removeprefix("backoffice ")).split(" ", 1)
    command = command_named(words[0])
    assert command is not None, f"{row}: no such command"
    if not isinstance(command, click.Group):
        yield command, row
        return
    rest = words[1]
    while rest:
        name, _, rest = rest.partition(" ")
        for each in name.split("|"):
            if each.isupper() or each.startswith(("[", "-")):
                continue
            if each not in command.commands:
                assert not each.islower(), f"{row}: there is no {each}"
                continue
            yield command.commands[each], row


def test_every_command_of_the_table_exists_with_its_options() -> None:
    named = 0
    for row in rows():
        for command, text in written(row):
            named += 1
            options = {o for p in command.params for o in p.opts} | {"--help"}
            for option in re.findall(r"--[a-z-]+", text):
                assert option in options, f"{row}: {command.name} has no {option}"
    assert named > 40


def test_every_command_stands_in_the_table() -> None:
    table = {(id(command)) for row in rows() for command, _ in written(row)}
    for name in COMMANDS:
        command = command_named(name)
        leaves = command.commands.values() if isinstance(command, click.Group) else [command]
        for leaf in leaves:
            assert id(leaf) in table, f"{name} {leaf.name} is missing in the README"


def test_every_variable_stands_in_the_table_with_its_default() -> None:
    text = section("Configuration")
    for name, (default, _) in READERS.items():
        line = next(
            (li for li in text.splitlines() if li.startswith("| `") and f"`{name}`" in li), ""
        )
        assert line, f"{name} is missing in the README"
        if default and not default.startswith("/"):
            assert f"`{default}`" in line, f"{name} is {default} by default"
