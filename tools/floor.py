"""Print the oldest versions that pyproject.toml allows, as constraints for pip.

    python tools/floor.py [NAME ...]

`make test-floor` tests the package with them. A NAME is taken from constraints.txt instead: for a
package whose oldest version cannot be had on this machine.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def floor(names: list[str]) -> list[str]:
    """Return one pin for each requirement but the peers of the benchmarks, sorted.

    Raises `ValueError` for a name that is no requirement or has no pin in constraints.txt.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["course"], *extras["test"]]
    pins = dict(line.split(">=") for line in lines)
    newest = dict(re.findall(r"^(.+)==(.+)$", (ROOT / "constraints.txt").read_text(), flags=re.M))
    for name in names:
        if name not in pins or name not in newest:
            raise ValueError(f"{name} is no requirement of pyproject.toml with a pin")
        pins[name] = newest[name]
    return [f"{name}=={version}" for name, version in sorted(pins.items())]


if __name__ == "__main__":
    print("\n".join(floor(sys.argv[1:])))
