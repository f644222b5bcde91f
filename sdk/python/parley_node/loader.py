# SPDX-License-Identifier: Apache-2.0
"""Looks at a node's file without serving it."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import NodeError

if TYPE_CHECKING:
    from .node import Node

_collecting: list[list[type[Node]]] = []


def collected(node: type[Node]) -> bool:
    """Whether somebody only looks: serve then does nothing."""
    if _collecting:
        _collecting[-1].append(node)
    return bool(_collecting)


def load(path: str | Path) -> type[Node]:
    """The node that a file serves, or the only one that it defines."""
    from .node import Node as Base

    file = Path(path).resolve()
    if not file.is_file():
        raise NodeError(f"file: {str(path)!r}: there is none: name the Python file that calls serve(...)")
    name = "_parley_" + file.stem + "_" + hashlib.sha256(str(file).encode()).hexdigest()[:8]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise NodeError(f"file: {str(path)!r}: is no Python file: its name ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(file.parent))  # as for a file that is run
    served: list[type[Node]] = []
    _collecting.append(served)
    try:
        spec.loader.exec_module(module)
    except SystemExit as err:
        raise NodeError(f"{path}: it exits when it is imported: {err}") from err
    except Exception as err:
        raise NodeError(f"{path}: {type(err).__name__}: {err}") from err
    finally:
        _collecting.pop()
        sys.path.remove(str(file.parent))
    if not served:
        served = [
            v for v in vars(module).values()
            if isinstance(v, type) and issubclass(v, Base) and v is not Base and v.__module__ == name
        ]
    if len(served) != 1:
        found = ", ".join(n.__name__ for n in served) or "none"
        raise NodeError(f"{path}: nodes that it serves: {found}: call serve(...) once, with the one node of this file")
    return served[0]
