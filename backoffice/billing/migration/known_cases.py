"""Every case that a step may find, and why its items were left or failed."""

from collections.abc import Mapping

from ...runs.wording import Reason
from . import amounts, documents
from .cases import Case
from .checks import CHECKS
from .proving import PROOFS

CASES: Mapping[str, Case] = {
    case.name: case
    for case in (
        *documents.CASES,
        *amounts.CASES,
        *(check.case for check in CHECKS.values()),
        *(proof.case for proof in PROOFS.values()),
    )
}
"""Name → case."""

REASONS = tuple({case.why: Reason(case.why) for case in CASES.values() if case.why}.values())
