"""The documentation: the command reference is current, every page is listed, every link leads somewhere."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

import horus

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*DOCS.glob("*.md"), *ROOT.glob("*.md"), *(ROOT / "examples").glob("**/*.md"), *(ROOT / "benchmarks").glob("*.md")]
)


def generator(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    ("page", "made_by"),
    [("command-line.md", "generate_command_line"), ("python-api.md", "generate_python_api")],
)
def test_a_page_that_is_made_is_current(page: str, made_by: str) -> None:
    if (DOCS / page).read_text(encoding="utf-8") != generator(made_by).page():
        pytest.fail(f"docs/{page} is not what the code says; run python docs/{made_by}.py", pytrace=False)


def test_the_python_api_has_every_public_name() -> None:
    text = (DOCS / "python-api.md").read_text(encoding="utf-8")
    missing = [name for name in horus.__all__ if f"## horus.{name}\n" not in text and f"| `{name}` |" not in text]
    assert not missing


def test_every_public_name_says_what_it_is() -> None:
    silent = []
    for name in horus.__all__:
        each = getattr(horus, name)
        if callable(each):
            silent += [] if (each.__doc__ or "").strip() else [name]
            members = vars(each).items() if isinstance(each, type) else ()
            silent += [
                f"{name}.{member}"
                for member, what in members
                if not member.startswith("_") and (inspect.isfunction(what) or isinstance(what, property))
                if not (what.__doc__ or "").strip()
            ]
    assert not silent


def test_every_page_is_in_the_index() -> None:
    listed = set(re.findall(r"\(([\w-]+\.md)\)", (DOCS / "index.md").read_text()))
    assert {page.name for page in DOCS.glob("*.md")} - {"index.md"} == listed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    wrong = []
    for target in re.findall(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there.read_text(encoding="utf-8"))):
            wrong.append(target)
    assert not wrong
