"""Every view with who may open it. A new view is entered here, so that opening one is a decision of its own."""

from typing import NamedTuple


class Access(NamedTuple):
    """The permission that a view needs, the scope of tokens that opens it, and whether only tokens do."""

    permission: str
    scope: str = ""
    is_for_programs: bool = False


PUBLIC = Access("public")

VIEWS: dict[Access, str] = {
    Access("audit.read"): """
        audit.event audit.export audit.index
    """,
    Access("billing.read"): """
        adjustments.changes adjustments.export adjustments.index adjustments.record billing.ageing
        billing.ageing_documents billing.customer_calculation billing.export_ageing
        billing.export_ageing_documents billing.export_meter_statement
        billing.export_migration_items billing.export_recalculation billing.export_recalculations
        billing.export_statement billing.export_unmatched billing.meter_statement
        billing.migration billing.migration_items billing.migration_progress
        billing.migration_report billing.recalculation billing.recalculation_changes
        billing.recalculation_progress billing.recalculations billing.statement billing.unmatched
        invoices.calculation invoices.calculation_of invoices.changes invoices.export
        invoices.index invoices.record meters.calculation meters.calculation_of meters.changes
        meters.export meters.index meters.options meters.record payments.changes payments.export
        payments.index payments.record
    """,
    Access("billing.read", "adjustments:read", True): """
        api.adjustments_index api.adjustments_record
    """,
    Access("billing.read", "invoices:read", True): """
        api.invoices_index api.invoices_record
    """,
    Access("billing.read", "meters:read", True): """
        api.meters_index api.meters_record
    """,
    Access("billing.read", "payments:read", True): """
        api.payments_index api.payments_record
    """,
    Access("billing.write"): """
        adjustments.create adjustments.new adjustments.void adjustments.void_post
        billing.match_payment billing.match_sure invoices.create invoices.edit invoices.move
        invoices.move_post invoices.new invoices.preview invoices.propose invoices.update
        invoices.void invoices.void_post meters.assign meters.assign_post meters.assignment_days
        meters.assignment_days_post meters.change_assignment meters.create meters.edit
        meters.end_assignment meters.end_assignment_post meters.new meters.reassign
        meters.reassign_post meters.update payments.create payments.edit payments.move
        payments.move_post payments.new payments.preview payments.preview_move
        payments.preview_replacement payments.take_off payments.update payments.void
        payments.void_post
    """,
    Access("billing.write", "adjustments:write", True): """
        api.adjustments_create api.adjustments_void
    """,
    Access("billing.write", "invoices:write", True): """
        api.invoices_create api.invoices_update api.invoices_void
    """,
    Access("billing.write", "meters:write", True): """
        api.meters_create api.meters_update
    """,
    Access("billing.write", "payments:write", True): """
        api.payments_create api.payments_void
    """,
    Access("customers.read"): """
        customers.changes customers.export customers.index customers.options customers.record
    """,
    Access("customers.read", "customers:read", True): """
        api.customers_index api.customers_record
    """,
    Access("customers.write"): """
        customers.create customers.delete customers.delete_post customers.edit customers.merge
        customers.merge_post customers.new
        customers.update
    """,
    Access("customers.write", "customers:write", True): """
        api.customers_create api.customers_delete api.customers_update
    """,
    Access("facts.decide"): """
        drift.accept drift.accept_post
    """,
    Access("figures.heal"): """
        balance_health.preview balance_health.verify billing.apply_recalculation billing.migrate
        billing.recalculate drift.preview drift.recalculate drift.verify wallets.preview_heal
        wallets.verify
    """,
    Access("figures.heal", "health"): """
        balance_health.auto_heal balance_health.scheduled_maintenance
    """,
    Access("figures.read"): """
        balance_health.index drift.check drift.export drift.index drift.record health.dot
        health.index reconciliation.download reconciliation.export_kept reconciliation.index
        reconciliation.kept reconciliation.kept_report reconciliation.report
    """,
    Access("figures.read", "health"): """
        balance_health.check balance_health.detailed_report
    """,
    Access("gas.read"): """
        deposits.changes deposits.export deposits.index deposits.record gas.adjustment
        gas.export_statement gas.month gas.statement gas_calculations.calculation
        gas_calculations.calculation_of gas_calculations.changes gas_calculations.export
        gas_calculations.index gas_calculations.record gas_months.calculation
        gas_months.calculation_of gas_months.changes gas_months.export gas_months.index
        gas_months.record gas_prices.changes gas_prices.export gas_prices.index gas_prices.record
        readings.changes readings.export readings.index readings.record
    """,
    Access("gas.read", "deposits:read", True): """
        api.deposits_index api.deposits_record
    """,
    Access("gas.read", "gas_prices:read", True): """
        api.gas_prices_index api.gas_prices_record
    """,
    Access("gas.read", "readings:read", True): """
        api.readings_index api.readings_record
    """,
    Access("gas.write"): """
        deposits.create deposits.delete deposits.delete_post deposits.edit deposits.new
        deposits.update gas.adjust gas.realtime gas_entry.index gas_entry.preview gas_entry.save
        gas_prices.bulk gas_prices.bulk_preview gas_prices.create gas_prices.delete
        gas_prices.delete_post gas_prices.edit gas_prices.new gas_prices.preview gas_prices.update
        readings.create readings.delete readings.delete_post readings.edit readings.new
        readings.update
    """,
    Access("gas.write", "deposits:write", True): """
        api.deposits_create api.deposits_delete api.deposits_update
    """,
    Access("gas.write", "gas_prices:write", True): """
        api.gas_prices_create api.gas_prices_delete api.gas_prices_update
    """,
    Access("gas.write", "readings:write", True): """
        api.readings_create api.readings_delete api.readings_update
    """,
    Access("imports.run"): """
        imports.apply imports.columns imports.columns_post imports.create imports.discard
        imports.export imports.failed imports.index imports.new imports.of_run imports.progress
        imports.record imports.results
    """,
    Access("ledger.close"): """
        ledger.close_period ledger.reopen_period
    """,
    Access("ledger.read"): """
        accounts.calculation accounts.calculation_of accounts.changes accounts.export
        accounts.export_statement accounts.index accounts.options accounts.record
        accounts.statement entries.changes entries.export entries.index entries.record
        ledger.balance_sheet ledger.export_balance_sheet ledger.export_income_statement
        ledger.export_tie_out ledger.export_trial_balance ledger.income_statement ledger.periods
        ledger.tie_out ledger.trial_balance
    """,
    Access("ledger.read", "accounts:read", True): """
        api.accounts_index api.accounts_record
    """,
    Access("ledger.read", "entries:read", True): """
        api.entries_index api.entries_record api.entries_reversals api.entries_reversals_record
    """,
    Access("ledger.write"): """
        accounts.create accounts.edit accounts.new accounts.update entries.create entries.delete
        entries.delete_post entries.edit entries.new entries.post entries.post_post
        entries.preview entries.reverse entries.reverse_post entries.update ledger.post_open
        ledger.preview_open
    """,
    Access("ledger.write", "accounts:write", True): """
        api.accounts_create api.accounts_update
    """,
    Access("ledger.write", "entries:write", True): """
        api.entries_create api.entries_delete api.entries_post api.entries_reverse
        api.entries_update
    """,
    Access("metrics.read", "metrics"): """
        metrics.scrape
    """,
    Access("orders.read"): """
        orders.calculation orders.calculation_of orders.calculation_of_part orders.changes
        orders.export orders.index orders.record
    """,
    Access("orders.read", "orders:read", True): """
        api.orders_index api.orders_record
    """,
    Access("orders.write"): """
        orders.bulk_apply orders.bulk_edit orders.create orders.delete orders.delete_post
        orders.edit orders.new orders.preview orders.update
    """,
    Access("orders.write", "orders:write", True): """
        api.orders_create api.orders_delete api.orders_update
    """,
    Access("products.read"): """
        pricing.change pricing.index pricing.preview products.export products.index
        products.options products.record
    """,
    Access("products.read", "products:read", True): """
        api.products_index api.products_record
    """,
    Access("products.write"): """
        pricing.apply products.create products.edit products.new products.remove_price
        products.update
    """,
    Access("products.write", "products:write", True): """
        api.products_create api.products_update
    """,
    Access("profile.own"): """
        lists.create lists.delete lists.update lists.view people.own_password people.profile
        people.profile_post people.signed_in people.start people.who search.index
    """,
    PUBLIC: """
        api.openapi health.alive health.ready people.login people.login_post people.logout
        people.preferences_post
    """,
    Access("reports.read"): """
        reports.export reports.index reports.of_dimension
    """,
    Access("runs.approve"): """
        runs.approve
    """,
    Access("runs.read"): """
        runs.apply runs.cancel runs.export runs.export_items runs.index runs.progress runs.record
        runs.retry schedules.index
    """,
    Access("schedules.run"): """
        reconciliation.make schedules.run
    """,
    Access("targets.read"): """
        targets.calculation targets.calculation_of targets.changes targets.export targets.index
        targets.manager_year targets.record targets.year
    """,
    Access("targets.read", "targets:read", True): """
        api.targets_index api.targets_record
    """,
    Access("targets.write"): """
        targets.create targets.edit targets.edit_year targets.new targets.preview targets.update
        targets.update_year
    """,
    Access("targets.write", "targets:write", True): """
        api.targets_create api.targets_update
    """,
    Access("today.read"): """
        health.today
    """,
    Access("tokens.manage"): """
        people.token_create people.token_new people.token_revoke people.tokens_index
    """,
    Access("users.manage"): """
        people.user people.user_create people.user_disable people.user_edit people.user_enable
        people.user_end_sessions people.user_new people.user_password people.users
    """,
    Access("wallets.read"): """
        wallet_transactions.changes wallet_transactions.export wallet_transactions.index
        wallet_transactions.record wallets.calculation wallets.calculation_of
        wallets.calculation_of_part wallets.changes wallets.discrepancies wallets.export
        wallets.export_discrepancies wallets.index wallets.record
    """,
    Access("wallets.read", "wallets:read", True): """
        api.imports_results api.imports_upload api.wallets_index api.wallets_record
        api.wallets_transactions api.wallets_transactions_record
    """,
    Access("wallets.write"): """
        wallets.adjust wallets.adjust_post wallets.close wallets.close_post wallets.create
        wallets.edit wallets.lift wallets.lift_post wallets.new wallets.recharge
        wallets.recharge_post wallets.refund wallets.refund_post wallets.suspend
        wallets.suspend_post wallets.update
    """,
    Access("wallets.write", "wallets:write", True): """
        api.imports_wallet_charges api.wallets_adjust api.wallets_charge api.wallets_close
        api.wallets_create api.wallets_lift api.wallets_recharge api.wallets_refund
        api.wallets_suspend api.wallets_update
    """,
}
"""The endpoints that each kind of access opens."""
