"""Coverage-guided fuzzing of the EDIFACT room against tests/syntax/invariants.py.

    python -m tests.syntax.fuzz [--minutes 10] [--keep FOLDER]

Needs atheris, which is installed into a throw-away environment where it is not there: it is no dependency
of the product or its tests.  What breaks an invariant, or raises what is not documented, is counted by kind,
its smallest input kept in FOLDER, and the fuzzing goes on.  Ends with 1 where anything was found.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "samples"
MAX_LENGTH = 6_000  # octets of an input
WORDS = (
    "UNA:+.? '", "UNB+UNOC:3+", "UNB+UNOA:1+", "UNB+UNOY:4::7+", "UNB+UNOW:4+", "UNZ+1+", "UNG+", "UNE+1+",
    "UNH+1+CUSCAR:D:95B:UN'", "UNH+2+CUSDEC:D:96B:UN'", "UNH+1+PAXLST:D:02B:UN'", "UNH+1+CONTRL:D:3:UN'",
    "UNT+9+1'", "UNO+P+1:X+12:X+5'", "UNP+5+P'", "UNS+D'", "UNS+S'", "USH+", "UST+", "UCI+", "UCM+", "UCS+",
    "BGM+", "DTM+137:", "CNI+1'", "RFF+BM:", "GID+1+", "FTX+AAA+++", "MEA+AAE+G+KGM:", "NAD+CN+", "LOC+9+",
    "TDT+20+", "CST+1+", "CNT+5:1'", "?'", "??", "?+", "?:", "''", "++", "::", "*", "+:", "\\x0d\\x0a", "\\x0a ",
    "\\x00", "\\xef\\xbb\\xbf", "\\xc3\\xa9", "\\xe2\\x80\\xae", "\\x1c", "\\x1d", "\\x1f",
)  # fmt: skip


def one_input(keep: Path) -> None:
    """Run under atheris until the time is over; each new kind of violation is kept as it is found."""
    import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]

    with atheris.instrument_imports(include=["gateway.syntax"]):
        from gateway import syntax
    from gateway.model.finding import load_catalogue
    from tests.syntax import invariants

    directories = syntax.Directories.load(ROOT / "xsd" / "edifact")
    catalogue = load_catalogue(ROOT / "mappings" / "findings")
    told: dict[str, list[int]] = {}

    def tell(kind: str, octets: bytes, why: str) -> None:
        count, size = told.get(kind, [0, 1 << 30])
        told[kind] = [count + 1, min(size, len(octets))]
        if len(octets) < size:
            name = re.sub(r"[^A-Za-z0-9]+", "-", kind)[:80]
            (keep / f"{name}.edi").write_bytes(octets)
            (keep / f"{name}.txt").write_text(why)
        (keep / "kinds.json").write_text(json.dumps(told, indent=2))

    def try_one(octets: bytes) -> None:
        for error in invariants.violations(octets, directories, catalogue):
            why = "".join(traceback.format_exception(error))
            if isinstance(error, invariants.Broken):
                tell(": ".join(map(str, error.args)), octets, why)
            else:
                last = traceback.extract_tb(error.__traceback__)[-1]
                tell(f"{type(error).__name__} in {Path(last.filename).name}:{last.name}", octets, why)

    atheris.Setup(sys.argv, try_one)
    atheris.Fuzz()


def seeds(folder: Path) -> None:
    """Our samples, small enough, and the interchanges of the odd folder."""
    for path in (*SAMPLES.glob("c*/*.edi"), *(SAMPLES / "odd").glob("*.edi")):
        octets = path.read_bytes()
        if len(octets) <= MAX_LENGTH:
            (folder / f"{path.parent.name}-{path.name}").write_bytes(octets)


def interpreter(cache: Path) -> tuple[str, dict[str, str]]:
    """A Python that has atheris, and the environment in which it finds ours; installs it where needed."""
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    if importlib.util.find_spec("atheris"):
        return sys.executable, environment
    python = cache / "bin" / "python"
    if not (cache / ".ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(cache)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "atheris"]
        subprocess.run(pip, check=True)
        (cache / ".ready").touch()
    ours = [path for path in sys.path if path.endswith("site-packages")]
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *ours])
    return str(python), environment


def fuzz(minutes: float, keep: Path, cache: Path) -> int:
    """Run, print what was found; 1 where anything was."""
    python, environment = interpreter(cache)
    keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cvan-fuzz-") as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        seeds(corpus)
        words = Path(folder) / "words"
        words.write_text("".join(f'"{_quoted(word)}"\n' for word in WORDS))
        options = [
            f"-max_total_time={int(minutes * 60)}",
            f"-max_len={MAX_LENGTH}",
            "-timeout=20",
            "-rss_limit_mb=4096",
            "-print_final_stats=1",
            f"-dict={words}",
            f"-artifact_prefix={keep}/",
        ]
        command = [python, "-m", "tests.syntax.fuzz", "--one", str(keep), *options, str(corpus)]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace", check=False
        )
    lines = done.stderr.splitlines()
    covered = [line for line in lines if " cov: " in line]
    print(covered[-1] if covered else "\n".join(lines[-20:]))
    print("\n".join(line for line in lines if line.startswith("stat::")))
    kinds = json.loads((keep / "kinds.json").read_text()) if (keep / "kinds.json").exists() else {}
    for kind, (count, size) in sorted(kinds.items(), key=lambda item: -item[1][0]):
        print(f"{count:8,} x {kind} (smallest input {size} octets)")
    crashed = [path.name for path in keep.iterdir() if path.name.startswith(("crash-", "timeout-", "oom-"))]
    print(f"{len(kinds)} kinds of violation, {len(crashed)} crashes, time-outs or floods {crashed}; {keep}")
    return int(bool(kinds or crashed or done.returncode))


def _quoted(word: str) -> str:
    return word.replace('"', '\\"')


def main() -> None:
    """The command line; ``--one`` is the child that fuzzes."""
    if sys.argv[1:2] == ["--one"]:
        keep = Path(sys.argv[2])
        del sys.argv[1:3]
        one_input(keep)
        return
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument("--keep", type=Path, default=None, help="where inputs are kept")
    default = Path(tempfile.gettempdir()) / "cvan-fuzz-environment"
    arguments.add_argument("--cache", type=Path, default=default, help="where atheris is installed")
    asked = arguments.parse_args()
    keep = asked.keep or Path(tempfile.mkdtemp(prefix="cvan-fuzz-found-"))
    sys.exit(fuzz(asked.minutes, keep, asked.cache))


if __name__ == "__main__":
    main()
