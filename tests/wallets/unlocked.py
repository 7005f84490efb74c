"""The app without the lock of a charge: the mutant, which shows that the tests with many processes can fail."""

import time
from typing import Any

from flask import Flask

from backoffice import create_app
from backoffice.wallets import actions


def serve() -> Flask:
    """The WSGI app that gunicorn serves."""
    unlocked = actions._HELD.with_for_update(key_share=True)
    unlocked._for_update_arg = None
    actions._HELD = unlocked
    inserted = actions._inserted

    def late(*given: Any) -> Any:
        time.sleep(0.02)  # others have read meanwhile
        return inserted(*given)

    actions._inserted = late
    return create_app()
