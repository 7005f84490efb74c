"""A server's processes collect garbage seldom."""

import gc
import importlib.util

from flask import Flask

from backoffice.app.config import ROOT
from tests.processes import together


def test_a_process_of_the_server_sets_aside_what_was_read_and_looks_seldom(app: Flask) -> None:
    def work() -> tuple[int, tuple[int, int, int]]:
        spec = importlib.util.spec_from_file_location("conf", ROOT / "deploy" / "gunicorn.conf.py")
        assert spec is not None
        assert spec.loader is not None
        conf = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(conf)
        conf.post_fork(None, None)
        return gc.get_freeze_count(), gc.get_threshold()

    [(set_aside, threshold)] = together(app, work)
    assert set_aside > 10_000
    assert threshold[0] > 10_000
    assert gc.get_freeze_count() < set_aside, "only there"
