"""Every route that changes data is classified here: a new one declares whether it can change much at one press."""

from flask import Flask

from tests.approvals.cases import CASES
from tests.records.declared import DECLARED

TWO_PEOPLE = {case.endpoint for case in CASES}
"""Shown on the card; above the limits another user approves (test_verbs)."""

DRY_RUNS = {
    "drift.preview", "drift.recalculate", "billing.recalculate", "billing.migrate", "schedules.run",
    "runs.retry", "drift.verify", "gas_prices.bulk_preview",
    "wallets.verify", "wallets.preview_heal", "balance_health.auto_heal", "balance_health.preview",
    "balance_health.scheduled_maintenance", "balance_health.verify", "ledger.preview_open",
}  # fmt: skip
"""Start a read-only run, or a dry run of one that would write (tests/runs/test_four_eyes)."""

RUNS = {"runs.apply", "billing.apply_recalculation", "runs.approve", "runs.cancel"}
"""Act on a dry run: apply with a reason under the limits, approve by another user, cancel."""

ENTRIES = {
    "orders.create", "orders.update", "orders.delete_post", "customers.create", "customers.update",
    "customers.delete_post", "targets.create", "targets.update", "targets.update_year", "payments.create",
    "payments.update", "invoices.create", "invoices.update",
    "invoices.void_post", "meters.create", "meters.update", "payments.void_post",
    "adjustments.create", "adjustments.void_post", "meters.assignment_days_post", "products.create",
    "products.update", "products.remove_price", "imports.create", "imports.columns_post", "imports.apply",
    "imports.discard",
    "wallets.create", "wallets.update", "wallets.recharge_post", "wallets.refund_post",
    "wallets.adjust_post", "wallets.suspend_post", "wallets.lift_post", "wallets.close_post",
    "readings.create", "readings.update", "readings.delete_post",
    "deposits.create", "deposits.update", "deposits.delete_post",
    "gas_entry.save", "gas.adjust",
    "accounts.create", "accounts.update", "entries.create", "entries.update", "entries.post_post",
    "entries.reverse_post", "entries.delete_post", "ledger.post_open",
}  # fmt: skip
"""One document, or a file of them, entered by a user: the audit trail records each under their name."""

API = {
    f"api.{record.domain}_{verb}"
    for record in DECLARED
    for verb in (
        "create",
        *(() if record.append_only else ("update",)),
        *(verb.name for verb in record.program_verbs),
    )
} | {"api.imports_wallet_charges"}
"""One record, or a file of them, sent by a program: the audit trail records each under its token."""

PREVIEWS = {
    "orders.preview", "targets.preview", "payments.preview", "payments.preview_replacement",
    "invoices.preview", "invoices.propose", "payments.preview_move", "pricing.preview",
    "reconciliation.make", "gas_prices.preview", "gas_entry.preview", "entries.preview",
}  # fmt: skip
"""Write no business data: a calculation is previewed, or a report is made."""

DECISIONS = {"drift.accept_post"}
"""Decide about one row that was written past the triggers: shown beside the trail, with a reason (tests/drift)."""

OWN = {
    "lists.create", "lists.update", "lists.delete", "people.login_post", "people.logout", "people.preferences_post",
    "people.profile_post", "people.own_password",
}  # fmt: skip
"""Concern only the signed-in user."""

ADMINISTRATION = {
    "people.token_create", "people.token_revoke", "people.user_create", "people.user_edit",
    "people.user_password", "people.user_disable", "people.user_enable", "people.user_end_sessions",
}  # fmt: skip
"""Users and tokens."""


def test_every_route_that_changes_anything_is_spoken_for(app: Flask) -> None:
    kinds = [
        TWO_PEOPLE,
        DRY_RUNS,
        RUNS,
        ENTRIES,
        API,
        PREVIEWS,
        DECISIONS,
        OWN,
        ADMINISTRATION,
    ]
    spoken_for = set().union(*kinds)
    assert sum(map(len, kinds)) == len(spoken_for), "each is of one kind"
    unsafe = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if (rule.methods or set()) & {"POST", "PUT", "PATCH", "DELETE"}
    }
    of_the_kit = {
        f"{record.domain}.{verb}"
        for record in app.declared.records.values()
        for verb in ("create", "update", "delete_post")
    }  # one row at a press
    assert unsafe - spoken_for - of_the_kit == set(), (
        "does it change much at one press? Then it is a verb of two people"
    )
    assert spoken_for - unsafe == set()
