"""`scripts/test --quick` picks the tests that a change may break."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.changed import changed_files, select

FILES = {
    "gateway/wire/sse.py": "",
    "gateway/chat.py": "",
    "gateway/access/keys.py": "",
    "tests/support/rows.py": "from gateway.access import keys\n",
    "tests/wire/test_sse.py": "",
    "tests/web/test_pages.py": "from gateway.wire.sse import split\n",
    "tests/web/test_ops.py": "from tests.support.rows import a_start\n",
    "tests/test_chat.py": "import tests.support.rows\n",
    "tests/test_layers.py": "",
    "tests/e2e/test_chaos.py": "import gateway.chat\n",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of one commit."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "-q", "-b", "main")
    commit(tmp_path)
    return tmp_path


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *arguments], cwd=root, check=True)


def commit(root: Path) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "Change")


@pytest.mark.parametrize(
    ("changed", "tests"),
    [
        ("gateway/wire/sse.py", ["tests/test_layers.py", "tests/web/test_pages.py", "tests/wire/test_sse.py"]),
        ("gateway/chat.py", ["tests/test_chat.py", "tests/test_layers.py"]),
        ("gateway/access/keys.py", ["tests/test_chat.py", "tests/test_layers.py", "tests/web/test_ops.py"]),
        ("tests/wire/test_sse.py", ["tests/test_layers.py", "tests/wire/test_sse.py"]),
        ("frontend/src/index.ts", ["tests/test_layers.py", "frontend"]),
        ("tests/e2e/test_chaos.py", ["tests/test_layers.py"]),
        ("docs/api.md", ["tests/test_layers.py"]),
    ],
)
def test_the_tests_beside_a_change_and_those_that_import_it(checkout: Path, changed: str, tests: list[str]) -> None:
    """Directly, or through a helper of the tests; never those that take minutes."""
    assert select([changed], checkout) == tests


def test_what_differs_from_main(checkout: Path) -> None:
    """Commits of the branch, edits that are not committed, and new files count alike."""
    git(checkout, "checkout", "-q", "-b", "branch")
    (checkout / "gateway/chat.py").write_text("A = 1\n")
    commit(checkout)
    (checkout / "gateway/wire/sse.py").write_text("A = 1\n")
    (checkout / "gateway/new.py").touch()
    assert changed_files(checkout) == {"gateway/chat.py", "gateway/wire/sse.py", "gateway/new.py"}


def test_a_clean_main_is_compared_with_the_commit_before(checkout: Path) -> None:
    """Otherwise nothing would be tested after a landing."""
    (checkout / "gateway/chat.py").write_text("A = 1\n")
    commit(checkout)
    assert changed_files(checkout) == {"gateway/chat.py"}
