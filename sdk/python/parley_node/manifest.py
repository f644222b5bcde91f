# SPDX-License-Identifier: Apache-2.0
"""The package's manifest: what the node is, how it is started, and the checksums of its files, so that a spec can pin it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from . import loader, wire
from .declaration import declare
from .errors import NodeError
from .version import VERSION

#: The manifest's file name.
NAME = "parley-node.json"
MAX_FILES = 4096


def write(file: Path, include: Sequence[str] = (), python: str = "python3") -> str:
    """The manifest of a node's file, as JSON. Its files are the node's own, the modules beside it that it imports,
    requirements.txt, and what include names. python is the program that runs it, on the machine of the host."""
    declaration = declare(loader.load(file))
    folder = file.resolve().parent
    files = sorted({file.resolve(), *_imported(folder), *_named(folder, ["requirements.txt", *include], include)})
    if len(files) > MAX_FILES:
        raise NodeError(f"--include: {len(files)} files: a package has at most {MAX_FILES}")
    manifest: dict[str, Any] = {
        "manifest": 1,
        "name": declaration.package,
        "version": declaration.version,
        "protocol": list(wire.VERSIONS),
        "sdk": f"parley-node-python/{VERSION}",
        "declaration": declaration.wire(),
        "command": [python, file.name],
        "files": [_entry(folder, path) for path in files],
    }
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"


def shim(python: str) -> Path | None:
    """The script that the name of an interpreter leads to on this machine, such as a version manager's; None where
    it is the interpreter itself, or is not here. A sandboxed node may not start a script outside its package."""
    # A version manager that started this process has put the interpreter's own folder in front.
    own = str(Path(sys.executable).parent)
    found = shutil.which(python, path=os.pathsep.join(p for p in os.get_exec_path() if p != own))
    if found is None:
        return None
    with open(found, "rb") as file:
        return Path(found) if file.read(2) == b"#!" else None


def _imported(folder: Path) -> Iterable[Path]:
    """The modules of the package that are loaded now."""
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        if not name or not name.endswith(".py"):
            continue
        path = Path(name).resolve()
        if path.is_relative_to(folder) and not {"site-packages", "dist-packages"} & set(path.parts):
            yield path


def _named(folder: Path, patterns: Iterable[str], must: Sequence[str]) -> Iterable[Path]:
    for pattern in patterns:
        found = [path.resolve() for path in folder.glob(pattern) if path.is_file() and not _left_over(path)]
        if not found and pattern in must:
            raise NodeError(f"--include: {pattern!r}: no file below {folder} has this name")
        for path in found:
            if not path.is_relative_to(folder):
                raise NodeError(f"--include: {pattern!r}: {path} is not below {folder}: copy it there")
        yield from found


def _left_over(path: Path) -> bool:
    """What Python writes by itself, and the manifest."""
    return path.name == NAME or "__pycache__" in path.parts


def _entry(folder: Path, path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return {"path": path.relative_to(folder).as_posix(), "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
