# SPDX-License-Identifier: Apache-2.0
"""python -m parley_node check|manifest my_node.py"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import manifest, wire
from .conformance import Suite
from .errors import NodeError
from .version import VERSION


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. 0 is well, 1 is a fault of the node, 2 one of the command line."""
    parser = argparse.ArgumentParser(prog="python -m parley_node", description="Tools for nodes of a Parley voice graph.")
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="hold a node to the contract, without Parley")
    check.add_argument("file", help="the Python file that calls serve(...)")
    check.add_argument("--config", default="{}", help="the node's config, a JSON object")
    check.add_argument("--events", help='a file with one event a line, such as {"type": "segment", "text": "hello"}')
    write = commands.add_parser("manifest", help="write the package's manifest, with checksums")
    write.add_argument("file", help="the Python file that calls serve(...)")
    write.add_argument("--out", help="where to write it; parley-node.json beside the file if left out, - for the terminal")
    write.add_argument("--include", action="append", default=[], metavar="PATTERN",
                       help="further files of the package, such as 'models/*.bin', or '**/*' for all")
    write.add_argument("--python", default="python3", help="the program that runs it, on the machine of the host; python3 if left out")
    options = parser.parse_args(arguments)
    try:
        return _check(options) if options.command == "check" else _manifest(options)
    except (NodeError, OSError, ValueError) as err:
        print(err, file=sys.stderr)
        return 1


def _check(options: Any) -> int:
    config = json.loads(options.config)
    if not isinstance(config, dict):
        raise NodeError(f"--config: {options.config!r}: give a JSON object")
    events = []
    if options.events:
        for number, line in enumerate(Path(options.events).read_text(encoding="utf-8").splitlines(), 1):
            if line.strip():
                try:
                    events.append(wire.event_from_wire(json.loads(line)))
                except (ValueError, TypeError, NodeError) as err:
                    raise NodeError(f"{options.events}:{number}: {err}") from None
    bad = 0
    for finding in Suite(options.file, config, events).run():
        bad += bool(finding.faults)
        print(f"{'FAIL' if finding.faults else 'ok':4}  {finding.category}")
        for fault in finding.faults:
            print(f"      {fault}")
        for note in finding.notes:
            print(f"      note: {note}")
    print(f"{options.file}: " + (f"{bad} categories failed" if bad else "holds the contract"))
    return 1 if bad else 0


def _manifest(options: Any) -> int:
    text = manifest.write(Path(options.file), options.include, options.python)
    if options.out == "-":
        print(text, end="")
        return 0
    out = Path(options.out) if options.out else Path(options.file).resolve().parent / manifest.NAME
    out.write_text(text, encoding="utf-8")
    print(f"{out}: written; name it in the spec's node, and write it again whenever a file changes")
    if (script := manifest.shim(options.python)) is not None:
        print(f"note: {options.python} is {script} here, a script which a sandboxed node may not start: write it again with "
              f"--python {sys.executable}, and grant the interpreter's folder in the spec's config: "
              f"isolation: {{read: [{sys.base_prefix}]}}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
