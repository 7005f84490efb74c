"""Careless changes of wallets: what is refused, repeated keys, suspension, and what counts in the sums."""

from .mutant import Mutant

ACTIONS, RULES = "backoffice/wallets/actions.py", "backoffice/wallets/rules.py"
FIGURES = "backoffice/wallets/figures.py"
SYNC, LAWS = "tests/wallets/test_balance_sync.py", "tests/wallets/test_laws.py"
NO_AMOUNT = (f"{LAWS}::test_what_is_no_amount_is_refused_and_changes_nothing",)
KEYS = (f"{LAWS}::test_what_comes_again_under_its_key_is_the_first_and_other_content_is_refused",)
REFUNDED = (f"{LAWS}::test_no_more_is_refunded_than_was_charged",)
SUSPENDED = (
    f"{LAWS}::test_below_zero_it_is_suspended_and_a_recharge_lifts_that_but_not_what_a_person_said",
)
IS_AMOUNT = "    if amount == 0 or (amount < 0 and transaction_type != ADJUSTMENT):\n"
IS_TOO_MUCH = "    if transaction_type == CHARGE and after < 0:\n"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "wallets-charge-above-the-balance-goes-through",
        ACTIONS,
        IS_TOO_MUCH,
        "    if transaction_type == CHARGE and wallet.balance < 0:\n",
        (f"{SYNC}::test_insufficient_balance_throws_exception",),
    ),
    Mutant(
        "wallets-charge-of-the-whole-balance-is-refused",
        ACTIONS,
        IS_TOO_MUCH,
        "    if transaction_type == CHARGE and after <= 0:\n",
        SUSPENDED,
    ),
    Mutant(
        "wallets-refund-of-all-charges-is-refused",
        ACTIONS,
        "amount > wallet.total_spent:\n",
        "amount >= wallet.total_spent:\n",
        REFUNDED,
    ),
    Mutant(
        "wallets-refund-is-limited-by-the-balance",
        ACTIONS,
        "amount > wallet.total_spent:\n",
        "amount > wallet.balance:\n",
        REFUNDED,
    ),
    Mutant(
        "wallets-negative-amount-is-posted", ACTIONS, IS_AMOUNT, "    if amount == 0:\n", NO_AMOUNT
    ),
    Mutant(
        "wallets-zero-amount-is-posted",
        ACTIONS,
        IS_AMOUNT,
        "    if amount < 0 and transaction_type != ADJUSTMENT:\n",
        NO_AMOUNT,
    ),
    Mutant(
        "wallets-fraction-of-a-cent-is-posted",
        ACTIONS,
        "    if not amount.is_finite() or amount != money.round_amount(amount):\n",
        "    if not amount.is_finite():\n",
        NO_AMOUNT,
    ),
    Mutant(
        "wallets-key-used-otherwise-counts-as-repeated",
        ACTIONS,
        "any(getattr(first, name) != entered[name] for name in entered):\n",
        'first.wallet_id != entered["wallet_id"]:\n',
        KEYS,
    ),
    Mutant(
        "wallets-repeated-charge-of-a-closed-wallet-is-refused",
        ACTIONS,
        """    except Refusal:
        if (first := _created_under_key(session, entered)) is not None:
            return PostedTransaction(first, is_new=False)
        raise
""",
        """    except Refusal:
        raise
""",
        KEYS,
    ),
    Mutant(
        "wallets-at-zero-stay-suspended",
        ACTIONS,
        "not wallet.suspension_reason and after >= 0\n",
        "not wallet.suspension_reason and after > 0\n",
        SUSPENDED,
    ),
    Mutant(
        "wallets-suspended-by-a-person-are-lifted-by-a-recharge",
        ACTIONS,
        "wallet.status == SUSPENDED and not wallet.suspension_reason and after >= 0\n",
        "wallet.status == SUSPENDED and after >= 0\n",
        SUSPENDED,
    ),
    Mutant(
        "wallets-with-money-are-closed",
        ACTIONS,
        "    if wallet.balance != 0:\n",
        "    if wallet.balance < 0:\n",
        SUSPENDED,
    ),
    Mutant(
        "wallets-refunds-are-taken-out",
        RULES,
        "(RECHARGE, REFUND, ADJUSTMENT), (CHARGE,)\n",
        "(RECHARGE, ADJUSTMENT), (CHARGE, REFUND)\n",
        REFUNDED,
    ),
    Mutant(
        "wallets-refunds-leave-what-was-spent",
        FIGURES,
        "_sum(_CHARGES, CHARGE) - _sum(_REFUNDS, REFUND)",
        "_sum(_CHARGES, CHARGE)",
        REFUNDED,
    ),
    Mutant(
        "wallets-adjustments-count-as-recharges",
        FIGURES,
        "_sum(_RECHARGES, RECHARGE),",
        '_sum(_RECHARGES, RECHARGE, "adjustment"),',
        (f"{LAWS}::test_a_key_holds_also_where_the_same_again_could_not_be_stored",),
    ),
)
