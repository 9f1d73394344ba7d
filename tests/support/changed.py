"""Which tests a change may break: `python -m tests.support.changed` prints them, for `scripts/test --quick`.

It looks one step far, at the tests beside the changed files and those that import them. What a change breaks further
away, the whole of `scripts/test` finds.
"""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
ALWAYS = ("tests/test_layers.py", "tests/test_docs.py", "tests/test_errors.py")
# Tests through whole processes, which take minutes.
SLOW = (
    "tests/crash/",
    "tests/stress/",
    "tests/e2e/",
    "tests/mlflow/test_scenario.py",
    "tests/mlflow/test_over_chats.py",
)


def changed_files(root: Path = ROOT) -> set[str]:
    """Return what differs from where the branch left main, committed or not. On a clean main, the last commit."""
    base = next((name for name in ("main", "origin/main") if _git(root, "rev-parse", "-q", "--verify", name)), "HEAD")
    base = _git(root, "merge-base", base, "HEAD")[0]
    files = {*_git(root, "diff", "--name-only", base), *_git(root, "ls-files", "--others", "--exclude-standard")}
    return files or set(_git(root, "diff", "--name-only", "HEAD~1"))


def select(changed: Iterable[str], root: Path = ROOT) -> list[str]:
    """Return the test files for these changed files, sorted, and `frontend` where something in there is among them."""
    changed = set(changed)
    folders = tuple(name for path in changed for name in _beside(path))
    found = {path for path in ALWAYS if (root / path).exists()}
    for file in root.glob("tests/**/test_*.py"):
        path = file.relative_to(root).as_posix()
        if path in changed or path in folders or path.startswith(folders) or _imports(file, root) & changed:
            found.add(path)
    tests = sorted(path for path in found if not path.startswith(SLOW))
    return [*tests, "frontend"] if any(path.startswith("frontend/") for path in changed) else tests


def _beside(path: str) -> tuple[str, ...]:
    """gateway/wire/sse.py is tested in tests/wire/, gateway/chat.py in tests/test_chat.py."""
    parts = Path(path).parts
    if parts[0] != "gateway":
        return ()
    return (f"tests/{parts[1]}/",) if len(parts) > 2 else (f"tests/test_{parts[1]}",)


def _imports(file: Path, root: Path, seen: frozenset[str] = frozenset()) -> set[str]:
    """The files that a test imports, and those that its helpers in tests/ do."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found |= {path for name in names for path in _files(name, root)}
    for helper in {path for path in found if path.startswith("tests/")} - seen:
        found |= _imports(root / helper, root, seen | found)
    return found


def _files(module: str, root: Path) -> Iterable[str]:
    path = module.replace(".", "/")
    return (
        name
        for name in (f"{path}.py", f"{path}/__init__.py")
        if path.startswith(("gateway", "tests")) and (root / name).exists()
    )


def _git(root: Path, *arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.split("\n")[:-1]


if __name__ == "__main__":
    print(*select(changed_files()), sep="\n")
