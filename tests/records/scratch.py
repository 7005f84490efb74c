"""A pytest plugin: the README's example of a record as a domain of the app, with its table.

`test_readme.py` runs every test of this folder under it.
"""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"
BLOCK = re.compile(r"```python\n# backoffice/(suppliers/\w+\.py)\n(.*?)```", re.DOTALL)

MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9999_suppliers", "{head}", None, None


def upgrade() -> None:
    op.create_table(
        "suppliers",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("city", sa.Text(), server_default="", nullable=False),
        sa.Column("is_approved", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppliers")),
        sa.UniqueConstraint("code", name=op.f("uq_suppliers_code")),
    )


def downgrade() -> None:
    op.drop_table("suppliers")
"""


def blocks() -> dict[str, str]:
    """Path → the file's content as the README has it."""
    return dict(BLOCK.findall(README.read_text()))


def _install() -> None:
    folder = Path(tempfile.mkdtemp(prefix="backoffice-scratch-"))
    for path, text in blocks().items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    sys.path.insert(0, str(folder))
    from backoffice.database import revisions

    copied = folder / "migrations"
    shutil.copytree(revisions.MIGRATIONS, copied)
    newest = max(path.stem for path in (copied / "versions").glob("[0-9]*.py"))
    (copied / "versions" / "9999_suppliers.py").write_text(MIGRATION.format(head=newest))
    revisions.MIGRATIONS = copied
    import suppliers.domain

    from backoffice.app import domains

    domains.DOMAINS = (*domains.DOMAINS, suppliers.domain.DOMAIN)


if os.environ.get("SCRATCH_RECORD"):
    _install()
