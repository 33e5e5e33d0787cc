"""``import horus`` finds the package, whatever lies beside the script."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.scripts import ROOT


def test_an_editable_install_puts_the_tree_on_the_path() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert settings["package-dir"] == {"": "."}


@pytest.mark.parametrize("how", ["script", "-c"])
def test_a_folder_called_horus_beside_the_script_is_not_taken_for_the_package(tmp_path: Path, how: str) -> None:
    (tmp_path / "horus" / "horus").mkdir(parents=True)
    (tmp_path / "horus" / "README.md").touch()
    code = "from horus import Node, Scheduler; import horus; print(horus.__file__)"
    (tmp_path / "mine.py").write_text(code)
    ended = subprocess.run(
        [sys.executable, *(["mine.py"] if how == "script" else ["-c", code])],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert ended.returncode == 0, ended.stderr
    assert Path(ended.stdout.strip()).name == "__init__.py"
