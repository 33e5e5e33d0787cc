"""What the figures were measured on, and with what."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path

import msgspec

_PACKAGES = (
    "horus-supervisor",
    "msgspec",
    "numpy",
    "posix-ipc",
    "pyarrow",
    "pyzmq",
    "eclipse-zenoh",
    "dora-rs",
    "iceoryx2",
    "mcap",
)


class Machine(msgspec.Struct):
    """The machine and the software of a run."""

    date: str
    processor: str
    cores: int
    memory_gb: float
    system: str
    virtual: str
    load: float
    versions: dict[str, str]

    @classmethod
    def here(cls) -> Machine:
        """This one, now."""
        return cls(
            date=datetime.date.today().isoformat(),
            processor=_processor(),
            cores=len(os.sched_getaffinity(0)),
            memory_gb=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            system=f"{platform.system()} {platform.release()} {platform.machine()}",
            virtual="virtual machine" if "hypervisor" in _cpuinfo().get("flags", "").split() else "",
            load=round(os.getloadavg()[0], 2),
            versions={"python": platform.python_version(), **_versions()},
        )

    def words(self) -> str:
        """One line about it."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        kind = f", {self.virtual}" if self.virtual else ""
        return (
            f"{self.processor}, {self.cores} cores, {self.memory_gb:g} GB{kind}; {self.system}; load {self.load:g} at the "
            f"start; {versions}."
        )


def _cpuinfo() -> dict[str, str]:
    lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _processor() -> str:
    facts = _cpuinfo()
    return facts.get("model name") or facts.get("Model") or facts.get("CPU part") or platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
